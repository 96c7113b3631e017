"""What is known of the runs before training: sizes, widths and the source of the data."""

from pathlib import Path
from typing import Any

import pytest

from comparison import check
from comparison.plan import Entry, Run
from engine.errors import InputError
from tests.conftest import SMOKE

MNIST, OTHER, SPIRAL = "configs/mnist/shallow_mlp.yaml", "configs/mnist/linear.yaml", "configs/depth/spiral_relu.yaml"


def inspect(*arguments: list[str], match: bool = False) -> Any:
    runs = [
        Run(Entry(f"run_{number}", ["fit", *own]), 0, Path("unused", f"run_{number}", "seed_0"))
        for number, own in enumerate(arguments)
    ]
    return check.inspect_runs(runs, match)


def test_table_never_mixes_a_data_set_with_its_subset(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    downloads = []

    def settle_source(self: Any) -> str:
        downloads.append(self.source)
        if self.source == "auto":
            self.source = "full" if len(downloads) == 1 else "subset"
        return str(self.source)

    monkeypatch.setattr("datamodules.MNIST.prepare_data", lambda self: None)
    monkeypatch.setattr("datamodules.MNIST.settle_source", settle_source)
    entries = inspect(["-c", MNIST], ["-c", OTHER], ["-c", SPIRAL])
    assert [entry["flags"] for entry in entries] == [["--data.source=subset"], ["--data.source=subset"], []]
    assert [entry["data"] for entry in entries] == ["MNIST-5k", "MNIST-5k", "Plane-spiral"]
    assert not capsys.readouterr().out, "stdout is for the printed commands"


def test_width_is_matched_to_the_parameters_of_the_first() -> None:
    first, second = inspect(["-c", SPIRAL], ["-c", "configs/depth/spiral_residual.yaml"], match=True)
    assert second["parameters"] == pytest.approx(first["parameters"], rel=0.02)
    assert [flag.partition("=")[0] for flag in second["flags"]] == ["--model.hidden_size"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model.lr=-1"], "run_0: "),
        (["--trainer.devices=2", "--trainer.accelerator=cpu"], "uses one device per run"),
    ],
)
def test_run_that_cannot_start_is_refused(flags: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        inspect(["-c", SPIRAL, "-c", SMOKE, *flags])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("checkpoint:\n  dirpath: x\n", "cannot use ckpt_path, checkpoint.dirpath or fast_dev_run"),
        (
            "trainer:\n  logger:\n    class_path: CSVLogger\n    init_args:\n      save_dir: x\n",
            "needs a TensorBoardLogger",
        ),
    ],
)
def test_config_that_sets_what_the_comparison_decides_is_refused(config: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(config)
    with pytest.raises(InputError, match=message):
        inspect(["-c", SPIRAL, "-c", str(path)])
