"""Models and data of others on the command line, by import path."""

import logging
from pathlib import Path
from typing import Any

import pytest

import train

NET, LOADERS, SIZED = "tests.foreign.Net", "tests.foreign.Loaders", "tests.foreign.SizedLoaders"

pytestmark = pytest.mark.filterwarnings("ignore:The '.*' does not have many workers")


def fit(folder: Path, *flags: str) -> Any:
    place = f"--trainer.logger.init_args.save_dir={folder}"
    return train.main(["fit", *flags, "--trainer.max_epochs=2", "--trainer.limit_train_batches=5", place])


def test_a_model_of_ours_trains_on_any_data_module(tmp_path: Path) -> None:
    cli = fit(tmp_path, "--model=ShallowMLP", f"--data={SIZED}")
    assert cli.result["val_acc"] == cli.result["test_acc"]  # the same samples
    assert cli.result["data"] == "SizedLoaders"


def test_sizes_that_the_data_does_not_have_may_be_typed(tmp_path: Path) -> None:
    sizes = ["--model.input_shape=[1,28,28]", "--model.num_outputs=10"]
    cli = fit(tmp_path, "--model=ShallowMLP", f"--data={LOADERS}", *sizes)
    assert cli.trainer.global_step == 10


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([f"--data={LOADERS}"], "ShallowMLP needs input_shape, which Loaders does not have"),
        ([f"--data={SIZED}", "--model.task=regression"], "task=regression cannot be used, because SizedLoaders has"),
        ([f"--data={SIZED}", "--model.num_outputs=7"], "num_outputs=7 cannot be used, because SizedLoaders has"),
    ],
)
def test_sizes_that_are_missing_or_differ_from_the_data_are_refused(
    flags: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        fit(tmp_path, "--model=ShallowMLP", *flags)


@pytest.mark.parametrize("data", [["--data=MNIST", "--data.source=subset"], [f"--data={LOADERS}"]])
def test_any_lightning_module_trains_and_is_tested_from_its_checkpoint(data: list[str], tmp_path: Path) -> None:
    cli = fit(tmp_path, f"--model={NET}", "--model.hidden=4", *data)
    assert cli.model.hparams["hidden"] == 4
    tested = train.main(["test", f"--ckpt_path={cli.last.best_model_path}"])
    assert float(tested.trainer.callback_metrics["test_loss"]) == cli.result["test_loss"]


def test_a_profiler_and_a_summary_that_were_asked_for_are_printed(tmp_path: Path) -> None:
    asked = ["--trainer.profiler=simple", "--trainer.enable_model_summary=true"]
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        handler = logging.StreamHandler()
        patch.setattr(handler, "emit", lambda record: said.append(record.getMessage()))
        logging.getLogger("lightning.pytorch").addHandler(handler)
        fit(tmp_path, "--model=ShallowMLP", f"--data={SIZED}", *asked)
        logging.getLogger("lightning.pytorch").removeHandler(handler)
    assert any("run_training_batch" in line for line in said)
    assert any("Trainable params" in line for line in said)


def test_the_result_of_averaged_weights_is_that_of_the_file(tmp_path: Path) -> None:
    average = ["--trainer.callbacks+=EMAWeightAveraging", "--trainer.callbacks.decay=0.5"]
    model = ["--model=DeepMLP", "--model.batch_norm=true", "--model.hidden_size=8"]
    cli = fit(tmp_path, *model, "--data=MNIST", "--data.source=subset", *average)
    (path,) = tmp_path.rglob("best.ckpt")
    tested = train.main(["test", f"--ckpt_path={path}"])
    assert float(tested.trainer.callback_metrics["test/loss"]) == cli.result["test_loss"]
