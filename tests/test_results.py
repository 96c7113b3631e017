"""A run's row: beside the run, and under HPARAMS as TensorBoard itself reads it."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from tensorboard import context
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

from engine import results
from tests.conftest import SMOKE, Fit
from tests.test_train import curves

SCORES = {f"run/{name}" for name in ("best_val_acc", "test_acc", "val_loss", "test_loss", "seconds")}


def hparams_page(folder: Path) -> tuple[Any, Any]:
    """What TensorBoard's own backend answers for its HPARAMS page: the columns and the rows."""
    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(folder))
    backend = backend_context.Context(base_plugin.TBContext(data_provider=provider))
    request = context.RequestContext()
    metadata = backend.hparams_metadata(request, "")
    found = backend.hparams_from_data_provider(request, "", None)
    experiment = backend.experiment_from_metadata(request, "", True, metadata, found)
    listing = api_pb2.ListSessionGroupsRequest(
        start_index=0, slice_size=100, allowed_statuses=[api_pb2.STATUS_SUCCESS, api_pb2.STATUS_UNKNOWN]
    )
    listing.col_params.extend(
        api_pb2.ColParams(metric=api_pb2.MetricName(tag=info.name.tag)) for info in experiment.metric_infos
    )
    answer = list_session_groups.Handler(request, backend, "", listing).run()
    return experiment, answer.session_groups


def test_hparams_has_one_row_per_run_with_best_values(fit: Fit, tmp_path: Path) -> None:
    runs = {}
    for config in ("mnist/shallow_mlp.yaml", "mnist1d/gru.yaml"):
        cli = fit(config, "-c", SMOKE, "--trainer.max_epochs=3", "--model.schedule=constant", "--model.lr=0.02")
        runs[Path(config).stem] = cli
    experiment, groups = hparams_page(tmp_path)
    assert {info.name for info in experiment.hparam_infos} == set(results.OPTIONS)
    assert {info.name.tag for info in experiment.metric_infos} == SCORES
    assert len(groups) == 2, "one row a run, and no run beside it"
    assert len(list(tmp_path.glob("*/*/*/events*"))) == 0, "no run below a run"
    for group in groups:
        (session,) = group.sessions
        name = group.hparams["config"].string_value
        assert session.name == f"{name}/version_0"
        values = {value.name.tag: value.value for value in session.metric_values}
        history = [row["acc"] for row in runs[name].history.validation.values()]
        assert values["run/best_val_acc"] == pytest.approx(max(history))
        assert values["run/test_acc"] == pytest.approx(runs[name].result["test_acc"])
    rows = {group.hparams["config"].string_value: group.hparams for group in groups}
    assert rows["shallow_mlp"]["parameters"].number_value == 101_770
    assert rows["shallow_mlp"]["flops"].number_value == 2 * (784 * 128 + 128 * 10)
    assert rows["shallow_mlp"]["activation"].string_value == "relu"
    assert rows["gru"]["activation"].string_value == "gru"


def test_result_file_equals_the_returned_result(fit: Fit, tmp_path: Path) -> None:
    cli = fit("mnist/resnet.yaml", "-c", SMOKE, "--seed_everything=7")
    folder = tmp_path / "resnet" / "version_0"
    row = results.read(folder)
    assert row == json.loads(json.dumps(cli.result))
    assert set(results.COLUMNS) - set(row or {}) == {"status", "error"}
    assert row["seed"] == 7  # type: ignore[index]
    assert row["activation"] == "relu"  # type: ignore[index]
    assert row["samples_per_second"] > 0 < row["seconds_per_epoch"] <= row["seconds"]  # type: ignore[index]
    assert row["peak_memory_mib"] > 50  # type: ignore[index]
    assert results.read(tmp_path) is None


def test_regression_has_the_same_columns(fit: Fit) -> None:
    cli = fit("plane/bumps.yaml", "-c", SMOKE)
    options, scores = results.hyperparameters(cli.result)
    assert set(options) == set(results.OPTIONS)
    assert set(scores) == SCORES
    assert math.isnan(scores["run/best_val_acc"])
    assert scores["run/val_loss"] == cli.result["val_loss"]


def test_gap_is_the_difference_of_its_curves(fit: Fit, tmp_path: Path) -> None:
    fit("mnist/shallow_mlp.yaml", "-c", SMOKE, "--trainer.max_epochs=2")
    fit("plane/bumps.yaml", "-c", SMOKE, "--trainer.max_epochs=2")
    found = curves(tmp_path / "shallow_mlp")
    for gap, train, val in zip(*(found[f"{name}/acc"] for name in ("gap", "train", "val")), strict=True):
        assert gap[0] == train[0] == val[0]
        assert gap[1] == pytest.approx(train[1] - val[1], abs=1e-6)
    found = curves(tmp_path / "bumps")
    assert "gap/acc" not in found
    for gap, train, val in zip(*(found[f"{name}/loss"] for name in ("gap", "train", "val")), strict=True):
        assert gap[1] == pytest.approx(val[1] - train[1], abs=1e-6)
