"""Every inspection callback with tokens, with sequences of unequal length, and with many targets."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import nn

from callbacks import activation_stats, filters
from callbacks.drawing import label_steps, panels, visible
from callbacks.parts import recorded, stages, to_pictures, weights
from models import RNN, TCN, Linear, Transformer
from models.base import BaseModel
from tests.callbacks.sequences import TEXT, Letters, Series, Unequal, inspect
from tests.callbacks.test_insight import LISTED, events

CURVES = {"gradient_flow/by_depth", "activations/by_depth", "loss_surface/around_the_end"}
NO_BOUNDARY = "DecisionBoundary is off: the samples are not points of a plane."
NO_SERIES = "Forecasts is off: the data is not a time series."
NO_GATES = "Gates is off: {} has no nn.LSTM or nn.GRU."
NO_ATTENTION = "AttentionMaps is off: {} has no nn.MultiheadAttention."
KINDS: dict[type[BaseModel], dict[str, Any]] = {
    RNN: {"hidden_size": 5},
    TCN: {"hidden_size": 5, "num_blocks": 2, "kernel_size": 3},
    Transformer: {"head_size": 4, "num_heads": 2, "num_layers": 1, "causal": True},
}


@pytest.fixture(autouse=True)
def _fewer_evaluations(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, number in (("loss_surface.NUM_POINTS", 3), ("features.NUM_STEPS", 2), ("features.MOST_STAGES", 2)):
        monkeypatch.setattr(f"callbacks.{name}", number)


def off(capsys: pytest.CaptureFixture[str]) -> set[str]:
    return {line for line in capsys.readouterr().out.splitlines() if " is off: " in line}


def contents(figure: Figure) -> list[Any]:
    """The pixels of every picture of a figure, and the points of every line."""
    pictures = [image.get_array() for axes in figure.axes for image in axes.images]
    return [*pictures, *(line.get_xydata() for axes in figure.axes for line in axes.lines)]


@pytest.mark.parametrize("kind", [RNN, Transformer])
def test_text(
    kind: type[BaseModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = kind([41], 256, task="tagging", num_tokens=256, **KINDS[kind])
    figures = inspect(tmp_path, monkeypatch, model, Letters(41), *LISTED, is_written=True)
    own = "gates/layers" if kind is RNN else "attention/blocks.0.attention"
    assert figures.keys() == CURVES | {"feature_maps/layers", own}
    assert off(capsys) == {
        NO_SERIES,
        (NO_ATTENTION if kind is RNN else NO_GATES).format(kind.__name__),
        NO_BOUNDARY,
        "Embedding is off: in tagging, a sample has a class per time step.",
        "Features is off: samples of shape [41] are not small pictures.",
        "Filters is off: the first layer has a vector per token, which is no filter.",
        "Mistakes is off: a confusion matrix of 256 classes cannot be read.",
    }
    first, *_ = figures["feature_maps/layers"].axes
    assert "".join(label.get_text() for label in first.get_xticklabels()) == "".join(map(visible, TEXT[:40].decode()))
    with torch.no_grad(), recorded(stages(model)) as outputs:
        model.eval()(torch.tensor([list(TEXT[:41])]))
    drawn = np.asarray(first.images[0].get_array())
    assert drawn == pytest.approx(outputs["stem"][0, :40].T.numpy(), rel=1e-5), "a line per unit, a column per step"
    assert "gradient_norm/stem" in events(tmp_path).Tags()["scalars"], "the embedding of the tokens"


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_no_picture(kind: type[BaseModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["ActivationStats", "AttentionMaps", "FeatureMaps", "Features", "Gates", "Mistakes"]
    pictures, curves = [], []
    for padding in (0.0, 1e3):
        torch.manual_seed(0)
        model, folder = kind([12, 6], 3, **KINDS[kind]), tmp_path / str(padding)
        figures = inspect(folder, monkeypatch, model, Unequal(padding), *names)
        logged = events(folder)
        curves.append({tag: [event.value for event in logged.Scalars(tag)] for tag in logged.Tags()["scalars"]})
        pictures.append({tag: contents(figure) for tag, figure in figures.items()})
    assert pictures[0].keys() > {"activations/by_depth", "feature_maps/layers", "features/head", "mistakes/confusion"}
    assert curves[0] == curves[1]
    for tag, expected in pictures[0].items():
        assert len(expected) == len(pictures[1][tag]) > 0
        for one, other in zip(expected, pictures[1][tag], strict=True):
            np.testing.assert_array_equal(one, other, err_msg=tag)


@pytest.mark.parametrize(("num_columns", "kind"), [(1, RNN), (7, Linear)])
def test_series(
    num_columns: int,
    kind: type[BaseModel],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = kind([120, num_columns], 96, task="regression", **KINDS.get(kind, {}))
    figures = inspect(tmp_path, monkeypatch, model, Series(num_columns), *LISTED, is_written=True)
    own = {"filters/head"} if kind is Linear else {"filters/layers.weight_ih_l0", "gates/layers"}
    assert figures.keys() == CURVES | {"feature_maps/layers"} | own
    without = {NO_ATTENTION, NO_GATES} if kind is Linear else {NO_ATTENTION}
    assert off(capsys) == {reason.format(kind.__name__) for reason in without} | {
        NO_SERIES,
        NO_BOUNDARY,
        f"Features is off: samples of shape [120, {num_columns}] are not small pictures.",
        "Mistakes is off: regression has no classes.",
    }
    (table,) = tmp_path.rglob("metadata.tsv")
    assert len(table.read_text().splitlines()) == 8, "a target per sample"


def test_activations_are_measured_without_padding() -> None:
    torch.manual_seed(0)
    lengths = torch.tensor([5, 2, 4])
    for kind, options in KINDS.items():
        model = kind([6, 3], 2, **options).eval()
        x = torch.randn(3, 6, 3)
        parts = stages(model)
        with torch.no_grad(), recorded(parts) as together:
            model(x, lengths)
        for name, output in together.items():
            values = activation_stats.unit_values(output, parts[name], model, lengths)
            alone = []
            for sequence, length in zip(x, lengths, strict=True):
                with torch.no_grad(), recorded(parts) as outputs:
                    model(sequence[None, :length])
                alone.append(activation_stats.unit_values(outputs[name], parts[name], model))
            torch.testing.assert_close(values, torch.cat(alone))


def test_filters_of_sequences() -> None:
    weight = torch.arange(2.0 * 5 * 3).view(2, 15)  # 5 steps of 3 values
    rows = filters.weight_pictures(weight, [5, 3])
    assert rows[0].tolist() == [0, 3, 6, 9, 12, 1, 4, 7, 10, 13, 2, 5, 8, 11, 14], "one value after the other"
    kernels = torch.randn(4, 6, 3)
    assert np.array_equal(filters.weight_pictures(kernels, [12, 6]), kernels.flip(1)), "the first value is below"


def test_long_sequences_run_from_left_to_right() -> None:
    steps = torch.rand(2, 9, 4)
    assert np.array_equal(to_pictures(steps), steps.transpose(1, 2).flip(1))


def test_every_character_can_be_written(recwarn: pytest.WarningsRecorder) -> None:
    labels = [visible(bytes([number]).decode(errors="replace")) for number in range(256)]
    assert all(len(label) == 1 and label.isprintable() and label != " " for label in labels)
    assert (labels[32], labels[10], labels[9]) == ("␣", "⏎", "⇥")
    figure, (axes,) = panels("", 4.8, 4)
    label_steps(axes.xaxis, labels)
    FigureCanvasAgg(figure).draw()
    assert not recwarn.list, "the font has all characters"


def test_tokens_of_data_without_decode_are_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Letters, "decode")
    model = RNN([8], 256, task="tagging", num_tokens=256, hidden_size=4)
    figure = inspect(tmp_path, monkeypatch, model, Letters(8), "Gates")["gates/layers"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == [str(number) for number in TEXT[:8]]


def test_layers_with_weight_norm_have_one_weight() -> None:
    layer = nn.utils.parametrizations.weight_norm(nn.Conv1d(2, 3, 5))
    model = nn.Sequential(layer)
    found = weights(model, torch.zeros(1, 2, 9))
    assert list(found) == ["0"]
    assert found["0"].shape == (3, 2, 5)
