"""The attention maps of every head."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from callbacks.attention import attention_maps
from models import Transformer
from tests.callbacks.sequences import TEXT, Letters, Unequal, inspect
from tests.callbacks.test_insight import hooks_of


class Attending(nn.Module):
    """Attention alone, and in a layer that uses a fused kernel in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.MultiheadAttention(8, 2, batch_first=True)
        self.second = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x, _ = self.first(x, x, x, need_weights=False)
        return self.second(x)


def test_attention_maps_of_every_head() -> None:
    model = Attending().eval()
    nn.init.zeros_(model.first.in_proj_weight)  # all scores are equal
    x = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model(x)
        with attention_maps(model) as maps:
            assert torch.allclose(model(x), expected, atol=1e-6)
    assert {name: tuple(one.shape) for name, one in maps.items()} == {
        "first": (3, 2, 5, 5),
        "second.self_attn": (3, 2, 5, 5),
    }
    assert torch.allclose(maps["first"], torch.full((3, 2, 5, 5), 1 / 5))
    assert torch.allclose(maps["second.self_attn"].sum(-1), torch.ones(3, 2, 5))
    assert not hooks_of(model)


def test_maps_of_a_text_have_its_characters_on_both_axes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Transformer([41], 256, task="tagging", num_tokens=256, head_size=4, num_heads=2, num_layers=1, causal=True)
    figures = inspect(tmp_path, monkeypatch, model, Letters(41), "AttentionMaps")
    assert list(figures) == ["attention/blocks.0.attention"]
    heads = figures["attention/blocks.0.attention"].axes[:2]
    written = TEXT[:40].decode().replace(" ", "␣").replace("\n", "⏎")
    with torch.no_grad(), attention_maps(model.eval()) as maps:
        model(torch.tensor([list(TEXT[:41])]))
    for axes, expected in zip(heads, maps["blocks.0.attention"][0], strict=True):
        for axis in (axes.xaxis, axes.yaxis):
            assert "".join(label.get_text() for label in axis.get_ticklabels()) == written
        drawn = torch.as_tensor(axes.images[0].get_array())
        torch.testing.assert_close(drawn, expected[:40, :40], check_dtype=False)


def test_maps_end_where_the_sequence_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = Transformer([12, 6], 3, head_size=4, num_heads=2, num_layers=1), Unequal()
    figure = inspect(tmp_path, monkeypatch, model, data, "AttentionMaps")["attention/blocks.0.attention"]
    _, _, lengths = data.splits["val"]
    end = int(lengths[0])
    for axes in figure.axes[:2]:
        picture = axes.images[0].get_array()
        assert picture is not None
        assert picture.shape == (end, end)
        assert torch.as_tensor(picture).sum(1).numpy() == pytest.approx(1, rel=1e-5)
