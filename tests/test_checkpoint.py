"""A checkpoint is all that test, validate and predict need, and all that fit needs to go on."""

import csv
import io
import itertools
import math
import shutil
from pathlib import Path

import lightning as L
import pytest
import torch
import yaml
from PIL import Image, ImageDraw
from torch import Tensor

import train
from callbacks import Predictions
from engine import checkpoints
from engine.cli import InputError
from engine.paths import PROJECT
from engine.report import next_commands
from engine.setup import filter_messages
from models import ShallowMLP
from tests.conftest import Fit, fit_in

SHALLOW = "mnist/shallow_mlp.yaml"


@pytest.fixture(scope="module")
def best(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The best checkpoint of a short run, with nothing else left of the run."""
    filter_messages()
    folder = tmp_path_factory.mktemp("run")
    fit_in(folder, SHALLOW, "--trainer.max_epochs=1", "--model.hidden_size=32", "--data.batch_size=200")
    content = next(folder.rglob("best.ckpt")).read_bytes()
    shutil.rmtree(folder)
    return content


@pytest.fixture
def checkpoint(best: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it under another name, in the current folder."""
    copied = tmp_path / "elsewhere" / "renamed.ckpt"
    copied.parent.mkdir()
    copied.write_bytes(best)
    monkeypatch.chdir(copied.parent)
    return copied


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def drawing(path: Path, size: int = 200) -> None:
    """A one, as a person draws it: black on white, somewhere on the paper."""
    image = Image.new("RGB", (size, size), "white")
    ImageDraw.Draw(image).line((120, 30, 110, 150), fill="black", width=12)
    image.save(path)


@pytest.mark.parametrize("command", ["test", "validate"])
def test_copied_checkpoint_can_be_tested(
    command: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main([command, "--ckpt_path", "renamed.ckpt"]).model.hparams["hidden_size"] == 32
    printed = capsys.readouterr()
    first, _, names, measured = printed.out.splitlines()
    assert first == "ShallowMLP on MNIST-5k"
    assert names.split() == ["loss", "acc"]
    assert measured.split()[0] == {"test": "test", "validate": "val"}[command]
    assert not printed.err
    assert not list((checkpoint.parent / "runs").rglob("*")), "only fit makes a run"
    assert [path.name for path in checkpoint.parent.iterdir()] == ["renamed.ckpt"]


def test_checkpoint_contains_its_config_and_the_source_of_data(fit: Fit, tmp_path: Path) -> None:
    trained = fit(SHALLOW, "--trainer.max_epochs=1")
    again = train.main(["test", f"--ckpt_path={next(tmp_path.rglob('best.ckpt'))}"])
    assert float(again.trainer.callback_metrics["test/loss"]) == pytest.approx(trained.result["test_loss"], rel=1e-6)


def test_the_checkpoint_holds_the_config_as_text_and_what_auto_came_to(fit: Fit, tmp_path: Path) -> None:
    cli = fit(SHALLOW, "--trainer.max_epochs=1", "--trainer.limit_train_batches=2")
    for path in tmp_path.rglob("*.ckpt"):
        config = yaml.safe_load(torch.load(path, weights_only=True)["config"])
        assert config["model"]["init_args"]["hidden_size"] == 128
        assert config["data"]["init_args"]["source"] == cli.datamodule.source == "subset"


def test_loading_may_be_changed(checkpoint: Path) -> None:
    flags = ["--data.batch_size=50", "--data.data_dir=/nowhere", "--trainer.limit_test_batches=2"]
    cli = train.main(["test", f"--ckpt_path={checkpoint}", *flags])
    assert cli.datamodule.batch_size == 50
    assert cli.trainer.num_test_batches == [2]


@pytest.mark.parametrize("command", ["test", "fit"])
@pytest.mark.parametrize(
    ("flags", "differing"),
    [
        (["--model.hidden_size=64"], "model.hidden_size is 32 there and not 64"),
        (["--model=DeepMLP"], "model.class_path is ShallowMLP there and not DeepMLP"),
        (
            ["-c", str(PROJECT / "configs" / "sequence" / "gru.yaml")],
            "model.class_path is ShallowMLP there and not RNN.*, data.class_path is MNIST there and not Seq",
        ),
        (["--data.val_size=0"], "data.val_size is 5000 there and not 0"),
        (["--data.variant=kmnist", "--data.source=full"], "data.variant is mnist there and not kmnist"),
    ],
)
def test_checkpoint_of_another_network_or_task_is_refused(
    flags: list[str], differing: str, command: str, checkpoint: Path
) -> None:
    with pytest.raises(InputError, match=differing):
        train.main([command, f"--ckpt_path={checkpoint}", *flags])


def test_misspelt_option_of_a_checkpoint_is_refused(checkpoint: Path) -> None:
    with pytest.raises(ValueError, match="is not an option of ShallowMLP; type --model"):
        train.main(["test", f"--ckpt_path={checkpoint}", "--model.hiden_size=64"])


def test_missing_data_folder_of_a_checkpoint_is_replaced(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "data"
    place.mkdir()
    fit(SHALLOW, f"--data.data_dir={place}", "--trainer.max_epochs=1")
    place.rmdir()
    cli = train.main(["test", f"--ckpt_path={next(tmp_path.rglob('best.ckpt'))}"])
    assert f"The data folder {place} is not on this machine" in capsys.readouterr().out
    assert str(tmp_path) not in str(cli.datamodule.raw)


def test_fit_resumes_with_the_config_of_the_checkpoint(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ["--model.schedule=constant", "--model.warmup_ratio=0", "--data.batch_size=200", "--seed_everything=3"]
    fit(SHALLOW, *flags, "--trainer.max_epochs=2", "--trainer.logger.init_args.version=seed_3")
    unbroken = torch.load(next(tmp_path.rglob("last.ckpt")), weights_only=True)["state_dict"]
    fit(SHALLOW, *flags, "--trainer.max_epochs=1", "--trainer.logger.init_args.name=half")
    half = next((tmp_path / "half").rglob("last.ckpt"))
    monkeypatch.chdir(tmp_path)
    resumed = train.main(["fit", f"--ckpt_path={half}", "--trainer.max_epochs=2"])
    assert resumed.datamodule.seed == 3
    assert all(torch.equal(unbroken[name], value) for name, value in resumed.model.state_dict().items())
    assert (tmp_path / "runs" / "half" / "version_0" / "checkpoints" / "best.ckpt").is_file(), "a run of its own"


@pytest.mark.parametrize(("interval", "epochs"), [(0.0, [1]), (math.inf, [0])])
def test_last_is_written_once_per_interval_and_at_the_end(
    interval: float, epochs: list[int], fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []

    def epochs_of_last() -> list[int]:
        return [torch.load(path, weights_only=True)["epoch"] for path in tmp_path.rglob("last.ckpt")]

    def look(self: ShallowMLP) -> None:
        if self.current_epoch == 2:
            found.extend(epochs_of_last())

    monkeypatch.setattr(checkpoints, "INTERVAL", interval)
    monkeypatch.setattr(ShallowMLP, "on_train_epoch_start", look)
    fit(SHALLOW, "--trainer.max_epochs=3", "--data.batch_size=1000")
    assert found == epochs
    assert epochs_of_last() == [2]


@pytest.mark.parametrize(
    ("flags", "epoch"),
    [
        (["--trainer.max_steps=20"], 4),  # epochs of 4 steps
        (["--trainer.max_steps=18"], 4),
        (["--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=val/loss", "--model.lr=0"], 3),
    ],
)
def test_last_checkpoint_is_the_end_of_the_run(
    flags: list[str], epoch: int, fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "INTERVAL", math.inf)
    cli = fit(SHALLOW, "--trainer.max_epochs=9", "--data.batch_size=1000", *flags)
    saved = torch.load(next(tmp_path.rglob("last.ckpt")), weights_only=True)
    assert (saved["epoch"], saved["global_step"]) == (epoch, cli.trainer.global_step)


def test_resume_of_a_finished_run_is_refused(checkpoint: Path) -> None:
    with pytest.raises(ValueError, match=r"max_epochs=1 of 1, .* type --trainer.max_epochs 2 or more"):
        train.main(["fit", f"--ckpt_path={checkpoint}"])


def test_ckpt_path_in_a_config_resumes(checkpoint: Path, tmp_path: Path) -> None:
    config = tmp_path / "on.yaml"
    config.write_text(f"ckpt_path: {checkpoint}\n")
    with pytest.raises(ValueError, match="so nothing is left to train"):
        train.main(["fit", "-c", str(config)])
    cli = train.main(["fit", "-c", str(config), "--trainer.max_epochs=2"])
    assert cli.trainer.current_epoch == 2
    (path,) = (checkpoint.parent / "runs").rglob("config.yaml")
    written = yaml.safe_load(path.read_text())
    assert written["ckpt_path"] is None, "the written config starts a new run"


def test_run_with_several_loggers_is_not_overwritten(fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = {"save_dir": str(tmp_path), "name": "x", "version": "v"}
    config = tmp_path / "loggers.yaml"
    config.write_text(yaml.safe_dump({"trainer": {"logger": [{"class_path": "CSVLogger", "init_args": place}]}}))
    flags = ["-c", "configs/mnist/shallow_mlp.yaml", "-c", str(config), "--data.source=subset"]
    train.main(["fit", *flags, "--trainer.max_epochs=1"])
    last = next(tmp_path.rglob("last.ckpt"))
    before = last.read_bytes()
    with pytest.raises(ValueError, match="already contains a run"):
        train.main(["fit", *flags])
    train.main(["fit", f"--ckpt_path={last}", "--trainer.max_epochs=2"])
    assert last.read_bytes() == before


def test_folder_of_checkpoints_is_not_overwritten(fit: Fit, tmp_path: Path) -> None:
    flags = ["--trainer.max_epochs=1", f"--checkpoint.dirpath={tmp_path / 'kept'}"]
    fit(SHALLOW, *flags)
    with pytest.raises(ValueError, match=r"kept already contains a run; type another --checkpoint\.dirpath"):
        fit(SHALLOW, *flags)


def test_validate_without_validation_samples_is_refused(fit: Fit, tmp_path: Path) -> None:
    fit(SHALLOW, "--trainer.max_epochs=1", "--data.val_size=0")
    with pytest.raises(ValueError, match=r"validate has no samples, because --data\.val_size=0; type test instead"):
        train.main(["validate", f"--ckpt_path={next(tmp_path.rglob('last.ckpt'))}"])


def test_a_tuple_that_a_config_reads_as_a_list_is_no_conflict(fit: Fit, tmp_path: Path) -> None:
    flags = ["--model=tests.broken.Sized", "--model.sizes=[4,5]", "--trainer.max_epochs=1"]
    fit(SHALLOW, *flags)
    cli = train.main(["test", f"--ckpt_path={next(tmp_path.rglob('best.ckpt'))}"])
    assert cli.model.hparams["sizes"] in ((4, 5), [4, 5])


def test_file_that_is_not_a_checkpoint_is_refused(tmp_path: Path, checkpoint: Path) -> None:
    other = tmp_path / "other.ckpt"
    whole = checkpoint.read_bytes()
    stream = io.BytesIO()
    torch.save(torch.zeros(3), stream)
    for content in (b"words", b"", whole[:20_000], whole[: len(whole) // 2], stream.getvalue()):
        other.write_bytes(content)
        with pytest.raises(ValueError, match="is not a checkpoint, or a damaged one"):
            train.main(["test", f"--ckpt_path={other}"])


def test_checkpoint_of_another_program_needs_a_config(checkpoint: Path, tmp_path: Path) -> None:
    saved = torch.load(checkpoint, weights_only=True)
    del saved["config"]
    torch.save(saved, tmp_path / "bare.ckpt")
    with pytest.raises(ValueError, match=r"test needs a config with model and data; type -c configs/"):
        train.main(["test", f"--ckpt_path={tmp_path / 'bare.ckpt'}"])
    config = str(PROJECT / "configs" / "mnist" / "shallow_mlp.yaml")
    flags = ["-c", config, "--model.hidden_size=32", "--data.source=subset"]
    train.main(["test", f"--ckpt_path={tmp_path / 'bare.ckpt'}", *flags])


# predict


def test_predictions_on_the_test_samples(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli = train.main(["predict", f"--ckpt_path={checkpoint}"])
    table = rows(cli.predictions)
    inputs, targets = cli.datamodule.splits["test"]
    with torch.no_grad():
        expected = cli.model.eval()(inputs).softmax(-1)
    assert list(table[0]) == ["index", "label", "predicted", "unsure", *(f"probability_{k}" for k in range(10))]
    assert [int(row["index"]) for row in table] == list(range(500))
    assert [int(row["label"]) for row in table] == targets.tolist()
    assert [int(row["predicted"]) for row in table] == expected.argmax(-1).tolist()
    assert [row["unsure"] == "1" for row in table] == (expected.amax(-1) < 0.6).tolist()
    written = torch.tensor([[float(row[f"probability_{k}"]) for k in range(10)] for row in table])
    torch.testing.assert_close(written, expected, rtol=0, atol=1e-6)
    printed = capsys.readouterr().out.splitlines()
    num_right = int((expected.argmax(-1) == targets).sum())
    num_unsure = int((expected.amax(-1) < 0.6).sum())
    assert printed == [
        f"{num_right} of 500 are right",
        f"{num_unsure} predictions are unsure (probability below 60%)",
        f"Predictions are in {cli.predictions}",
    ]


def test_predictions_on_an_image_and_on_a_folder(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "digits"
    folder.mkdir()
    drawing(folder / "b.png")
    drawing(folder / "a.jpg")
    (folder / "notes.txt").write_text("not a digit")
    Image.new("L", (50, 50), 255).save(folder / "empty.png")
    one = train.main(["predict", f"--ckpt_path={checkpoint}", f"--images={folder / 'b.png'}"])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("b.png: ")
    assert printed[1] == f"Predictions are in {one.predictions}"

    all_of_them = train.main(["predict", f"--ckpt_path={checkpoint}", f"--images={folder}"])
    assert all_of_them.predictions != one.predictions, "nothing is overwritten"
    assert "Left out: empty.png is blank, notes.txt is not an image" in capsys.readouterr().out
    table = rows(all_of_them.predictions)
    assert list(table[0])[:4] == ["file", "predicted", "unsure", "probability_0"], "no label is known"
    assert [row["file"] for row in table] == ["a.jpg", "b.png"]
    assert table[1] == rows(one.predictions)[0]


@pytest.mark.parametrize("content", ["nothing", "text"])
def test_path_without_images_is_refused(content: str, checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "path"
    if content == "nothing":
        path.mkdir()
    else:
        path.write_text("words")
    with pytest.raises(ValueError, match=r"images=.*: (path is not an image|the folder has no files)"):
        train.main(["predict", f"--ckpt_path={checkpoint}", f"--images={path}"])


def test_predictions_on_recordings_need_no_data_set(fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = fit("speech/gru.yaml", "--trainer.max_epochs=1")
    assert "--audio PATH" in next_commands(trained)
    monkeypatch.chdir(tmp_path)
    parts = itertools.product(range(10), ("george", "theo"), range(5))
    names = [f"{digit}_{speaker}_{index}.wav" for digit, speaker, index in parts]
    for name in names:
        shutil.copy(trained.datamodule.folder / name, tmp_path)
    flags = [f"--ckpt_path={next(tmp_path.rglob('best.ckpt'))}", f"--data.data_dir={tmp_path / 'nothing'}"]
    cli = train.main(["predict", *flags, f"--audio={tmp_path}"])
    table = rows(cli.predictions)
    assert [row["file"] for row in table] == names
    inputs, _, lengths = trained.datamodule.splits["test"]
    with torch.no_grad():
        expected = cli.model.eval()(inputs, lengths).softmax(-1)
    written = torch.tensor([[float(row[f"probability_{k}"]) for k in range(10)] for row in table])
    torch.testing.assert_close(written, expected, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match=r"SpokenDigits .*cannot read --images="):
        train.main(["predict", *flags, f"--images={tmp_path}"])
    with pytest.raises(
        ValueError, match=r"there is no --audio=gone\.wav; type the path of a recording of a spoken digit"
    ):
        train.main(["predict", *flags, "--audio=gone.wav"])


class Fixed(L.LightningModule):
    """Stands for a model whose outputs are known."""

    def __init__(self, task: str) -> None:
        super().__init__()
        self.save_hyperparameters()

    def predict_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        return batch[0]


def written(task: str, outputs: Tensor, targets: Tensor, folder: Path) -> list[dict[str, str]]:
    writer = Predictions(folder / "predictions.csv", None)
    trainer = L.Trainer(
        callbacks=[writer], logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu"
    )
    trainer.predict(Fixed(task), _Batches(outputs, targets), return_predictions=False)
    return rows(writer.path)


class _Batches:
    def __init__(self, *tensors: Tensor) -> None:
        self.tensors = tensors

    def __len__(self) -> int:
        return 2

    def __iter__(self):  # type: ignore[no-untyped-def]
        return zip(*(tensor.split(1) for tensor in self.tensors), strict=True)


def test_predictions_of_time_steps(tmp_path: Path) -> None:
    outputs = torch.tensor([[[0.9, 0.1], [0.2, 0.8]], [[0.3, 0.7], [0.6, 0.4]]])
    table = written("tagging", outputs, torch.tensor([[0, 1], [0, -100]]), tmp_path)
    assert [[row["index"], row["step"], row["label"], row["predicted"]] for row in table] == [
        ["0", "0", "0", "0"],
        ["0", "1", "1", "1"],
        ["1", "0", "0", "1"],
        ["1", "1", "", "0"],
    ]


def test_predictions_of_values(tmp_path: Path) -> None:
    table = written(
        "regression", torch.tensor([[0.5, 1.0], [1.5, 2.0]]), torch.tensor([[0.0, 1.0], [1.0, 2.0]]), tmp_path
    )
    assert table[1] == {"index": "1", "target_0": "1.0", "target_1": "2.0", "predicted_0": "1.5", "predicted_1": "2.0"}
