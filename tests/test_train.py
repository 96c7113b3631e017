"""One run through the command line: what it computes, records, tests and refuses."""

import platform
import re
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.trainer.states import TrainerFn
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import train
from callbacks.curves import Diverged, EpochCurves
from engine.cli import CLI, InputError, RunFailed, build
from engine.paths import PROJECT
from engine.report import loss_warning, next_commands
from engine.setup import filter_messages
from models import ShallowMLP
from tests.conftest import SMOKE, Fit, fit_in
from tests.test_checkpoint import drawing

SHALLOW, DEEP = "mnist/shallow_mlp.yaml", "mnist/deep_mlp.yaml"
NARROW = "--model.hidden_size=32"
Curves = dict[str, list[tuple[int, float]]]


def curves(folder: Path) -> Curves:
    """Every scalar that a run wrote, as (x, value)."""
    found: Curves = {}
    for file in sorted(folder.rglob("events.out.*")):
        events = EventAccumulator(str(file), size_guidance={"scalars": 0}).Reload()
        for tag in events.Tags()["scalars"]:
            found.setdefault(tag, []).extend((event.step, event.value) for event in events.Scalars(tag))
    return found


def texts(folder: Path) -> str:
    """Every text that a run wrote."""
    found = ""
    for file in folder.rglob("events.out.*"):
        events = EventAccumulator(str(file), size_guidance={"tensors": 0}).Reload()
        for tag in events.Tags()["tensors"]:
            found += events.Tensors(tag)[0].tensor_proto.string_val[0].decode()
    return found


def same_weights(one: CLI, other: CLI) -> bool:
    first, second = one.model.state_dict(), other.model.state_dict()
    return all(torch.equal(first[name], second[name]) for name in first)


def test_max_steps_inside_an_epoch_validates_the_last_steps(fit: Fit, tmp_path: Path) -> None:
    flags = ["--trainer.max_steps=12", "--data.batch_size=400", "--trainer.log_every_n_steps=1", NARROW]
    cli = fit(DEEP, *flags)
    assert cli.trainer.global_step == 12
    found = curves(tmp_path)
    assert [x for x, _ in found["step/lr"]] == list(range(1, 13))
    assert found["step/lr"][-1][1] == pytest.approx(0.005 / 25e4), "the schedule ends with the run"
    assert [x for x, _ in found["val/acc"]] == [1, 2], "the last steps are validated too"


def test_run_that_ends_inside_an_epoch_counts_the_part_of_it(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    cli = fit(SHALLOW, "--trainer.max_steps=5", "--data.batch_size=1000")  # 4 steps per epoch
    assert cli.result["epochs"] == 1.25
    assert ": 1.25 epochs in " in capsys.readouterr().out


def test_best_checkpoint_of_a_run_that_ends_inside_an_epoch_is_of_its_best_validation(fit: Fit, tmp_path: Path) -> None:
    cli = fit(SHALLOW, "--trainer.max_steps=9", "--data.batch_size=1000", "--model.lr=0.01")
    saved = torch.load(next(tmp_path.rglob("best.ckpt")), weights_only=True)
    accuracies = {step: metrics["acc"] for step, metrics in cli.history.validation.items()}
    assert list(accuracies) == [4, 8, 9]
    assert accuracies[saved["global_step"]] == max(accuracies.values())


def test_progress_and_result_show_the_same_seconds(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    fit(SHALLOW, "--trainer.max_epochs=2")
    printed = capsys.readouterr().out
    (last,) = re.findall(r"epoch  2/2 .* (\d+\.\d) s", printed)
    assert f": 2 epochs in {last} s" in printed


def test_commands_after_a_run_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = f"--trainer.logger.init_args.save_dir={tmp_path}"
    config = ["-c", str(PROJECT / "configs" / "mnist" / "shallow_mlp.yaml"), "-c", SMOKE, "--data.source=subset"]
    monkeypatch.chdir(tmp_path)
    cli = train.main(["fit", *config, place])
    commands = [line.strip() for line in next_commands(cli).splitlines() if line.startswith("  ") and "#" not in line]
    board, test, predict = (command.split() for command in commands)
    assert board == ["python", "-m", "tensorboard.main", "--logdir", str(tmp_path)]
    assert train.main(test[2:]).trainer.state.fn == "test"
    digit = tmp_path / "digit.png"
    drawing(digit)
    assert train.main([*predict[2:-1], str(digit)]).predictions.is_file()


@pytest.mark.parametrize(("lr", "has_doubt"), [("1.0", True), ("0.01", False)])
def test_fit_warns_if_the_loss_is_above_a_constant_output(
    lr: str, has_doubt: bool, fit: Fit, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(SHALLOW, "--trainer.max_epochs=1", "--data.batch_size=400", f"--model.lr={lr}", "--model.schedule=constant")
    assert ("the loss of a constant output: the network has not learned" in capsys.readouterr().out) == has_doubt


def test_warning_distinguishes_overfitting_from_not_learning(fit: Fit) -> None:
    cli = fit(SHALLOW, "-c", SMOKE)
    constant = cli.datamodule.constant_loss()
    assert loss_warning(cli.model, cli.datamodule, 0.1, constant - 0.1) == ""
    assert "the network overfits" in loss_warning(cli.model, cli.datamodule, 0.1, constant + 0.1)
    assert "has not learned" in loss_warning(cli.model, cli.datamodule, constant + 0.1, constant + 0.1)


@pytest.mark.parametrize("log_every", [1, 1000])
def test_run_with_an_infinite_loss_ends_and_is_never_the_best(log_every: int, fit: Fit, tmp_path: Path) -> None:
    flags = ["--model.optimizer=sgd", "--model.lr=1e30", "--trainer.gradient_clip_val=null"]
    with pytest.raises(RunFailed, match=r"loss is (nan|inf) in epoch 1: the run has diverged") as error:
        fit(SHALLOW, *flags, f"--trainer.log_every_n_steps={log_every}")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.rglob("*.ckpt"))


def test_nan_of_any_validation_loader_ends_the_run() -> None:
    trainer = L.Trainer(logger=False)
    trainer.state.fn = TrainerFn.FITTING
    trainer.callback_metrics.update({"val/loss/dataloader_idx_0": torch.tensor(1.0)})
    EpochCurves().on_validation_end(trainer, L.LightningModule())
    trainer.callback_metrics.update({"val/loss/dataloader_idx_1": torch.tensor(torch.nan)})
    with pytest.raises(Diverged, match="val/loss/dataloader_idx_1 is nan in epoch 1"):
        EpochCurves().on_validation_end(trainer, L.LightningModule())


def test_curves_have_their_axes_and_tags(fit: Fit, tmp_path: Path) -> None:
    fit(SHALLOW, "--trainer.max_epochs=3", "--data.batch_size=1000", "--trainer.log_every_n_steps=5")
    found = curves(tmp_path)
    for tag in ("train/loss", "train/acc", "val/loss", "val/acc", "gap/acc"):
        assert [x for x, _ in found[tag]] == [1, 2, 3], tag
    for tag in ("step/loss", "step/lr", "step/grad_norm"):
        assert [x for x, _ in found[tag]] == [5, 10], tag
    assert [x for x, _ in found["test/acc"]] == [3]
    assert set(found) == {
        *("train/loss", "train/acc", "val/loss", "val/acc", "test/loss", "test/acc", "gap/acc"),
        *("run/best_val_acc", "run/test_acc", "run/val_loss", "run/test_loss", "run/seconds"),
        *("step/loss", "step/lr", "step/grad_norm"),
    }


def test_validation_accuracy_is_a_count_over_all_samples(fit: Fit) -> None:
    cli = fit(SHALLOW, "--trainer.max_epochs=1", "--data.batch_size=300", "--test_checkpoint=last")
    inputs, targets = cli.datamodule.splits["val"]
    with torch.no_grad():
        correct = (cli.model.eval()(inputs).argmax(-1) == targets).sum().item()
    assert cli.result["val_acc"] == pytest.approx(correct / 500)


def test_run_records_its_data(fit: Fit, tmp_path: Path) -> None:
    fit(SHALLOW, "--trainer.max_epochs=1", "--trainer.limit_train_batches=2")
    written = texts(tmp_path)
    assert "MNIST-5k" in written
    assert "hidden_size: 128" in written
    checkpoint = torch.load(next(tmp_path.rglob("best.ckpt")), weights_only=True)
    assert checkpoint["MNIST"] == {"title": "MNIST-5k"}


@pytest.mark.parametrize(("which", "epoch"), [("best", 1), ("last", 3), ("none", None)])
def test_fit_tests_the_checkpoint_it_was_told(
    which: str, epoch: int | None, fit: Fit, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # uphill after the first epoch, which so is the best
    monkeypatch.setattr("models.BaseModel.lr_factor", lambda self, step, total_steps: 1.0 if step < 15 else -1.0)
    cli = fit(SHALLOW, "--trainer.max_epochs=3", f"--test_checkpoint={which}")
    printed = capsys.readouterr().out
    if epoch is None:
        assert "test_acc" not in cli.result
        assert "\ntest " not in printed
        return
    line = printed.splitlines()[-1]
    assert f": epoch {epoch}, " in line
    assert f"{which}.ckpt" in line
    weights = torch.load(line.split(": ")[-1], weights_only=True)["state_dict"]
    assert all(torch.equal(weights[name], value) for name, value in cli.model.state_dict().items())


def test_without_validation_the_last_epoch_is_tested(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    cli = fit(SHALLOW, "--data.val_size=0", "--trainer.max_epochs=2")
    assert cli.trainer.global_step == 2 * (4500 // 256)
    assert "val_acc" not in cli.result
    assert "test: epoch 2, last epoch: " in capsys.readouterr().out


def test_overfit_batches_repeats_the_same_batches(fit: Fit) -> None:
    flags = ["--trainer.overfit_batches=1", "--trainer.max_epochs=30", "--model.label_smoothing=0"]
    cli = fit(SHALLOW, *flags)
    assert cli.trainer.global_step == 30
    assert cli.result["train_loss"] < 0.1


def test_overfit_batches_accepts_a_fraction(fit: Fit) -> None:
    cli = fit(SHALLOW, "--trainer.overfit_batches=0.5", "--trainer.max_epochs=2", "--test_checkpoint=none")
    assert cli.trainer.global_step == 2 * 8  # of 16 batches, the last of which is smaller


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--data.batch_size=5000", "use --data.batch_size=4000 or less"),
        ("--trainer.max_epochs=-1", "or use --model.schedule=constant with --model.warmup_ratio=0"),
    ],
)
def test_fit_with_impossible_options_says_what_to_type(flag: str, message: str, fit: Fit) -> None:
    with pytest.raises(ValueError, match=message):
        fit(SHALLOW, flag)


@pytest.mark.parametrize(("share", "num_steps"), [(0.5, 7), (1.0, 15)])
def test_limit_train_batches_accepts_a_fraction(share: float, num_steps: int, fit: Fit) -> None:
    cli = fit(SHALLOW, f"--trainer.limit_train_batches={share}", "--trainer.max_epochs=2", "--test_checkpoint=none")
    assert cli.trainer.global_step == 2 * num_steps
    assert list(cli.history.validation) == [num_steps, 2 * num_steps]


def test_val_check_interval_writes_curves_at_steps(fit: Fit, tmp_path: Path) -> None:
    cli = fit(SHALLOW, "--trainer.val_check_interval=5", "--trainer.max_epochs=2", "--test_checkpoint=none")
    assert list(cli.history.validation) == [5, 10, 15, 20, 25, 30]
    found = curves(tmp_path)
    assert [x for x, _ in found["val/acc"]] == [5, 10, 15, 20, 25, 30]
    assert [x for x, _ in found["train/acc"]] == [x for x, _ in found["gap/acc"]] == [1, 2]


def test_the_row_has_the_validation_of_the_tested_checkpoint(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    # validated twice an epoch, and uphill in its second half
    monkeypatch.setattr("models.BaseModel.lr_factor", lambda self, step, total_steps: 1.0 if step < 7 else -1.0)
    cli = fit(SHALLOW, "--trainer.max_epochs=1", "--trainer.val_check_interval=7")
    assert list(cli.history.validation) == [7, 14]
    assert cli.result["val_acc"] == cli.history.validation[7]["acc"] > cli.history.validation[14]["acc"]


def test_without_a_best_epoch_the_last_is_tested(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    cli = fit(SHALLOW, "--trainer.check_val_every_n_epoch=2", "--trainer.max_epochs=1")
    assert "test: epoch 1, last epoch: " in capsys.readouterr().out
    assert "val_acc" not in cli.result
    assert "test_acc" in cli.result


def test_a_checkpoint_callback_of_the_users_does_not_decide_what_is_tested(
    fit: Fit, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(SHALLOW, "--trainer.callbacks+=ModelCheckpoint", "--trainer.max_epochs=1")
    assert "best val/acc: " in capsys.readouterr().out


def test_flags_win_over_the_checkpoint_that_a_run_goes_on_from(fit: Fit, tmp_path: Path) -> None:
    constant = ["--model.schedule=constant", "--model.warmup_ratio=0", "--trainer.log_every_n_steps=1"]
    fit(SHALLOW, "--trainer.max_epochs=1", *constant)
    checkpoint = next(tmp_path.rglob("last.ckpt"))
    flags = ["--model.lr=0.123", "--model.weight_decay=0.7", "--model.label_smoothing=0"]
    place = "--trainer.logger.init_args.version=resumed"
    cli = fit(SHALLOW, f"--ckpt_path={checkpoint}", "--trainer.max_epochs=2", place, *constant, *flags)
    assert cli.model.hparams["lr"] == 0.123
    assert cli.model.hparams["label_smoothing"] == 0
    assert cli.trainer.optimizers[0].param_groups[0]["weight_decay"] == 0.7
    steps, rates = zip(*curves(tmp_path / "shallow_mlp" / "resumed")["step/lr"], strict=True)
    assert steps == (*range(16, 31),)
    assert rates == pytest.approx([0.123] * 15)


def assert_same_run(resumed: CLI, unbroken: CLI) -> None:
    assert resumed.trainer.global_step == unbroken.trainer.global_step
    assert same_weights(resumed, unbroken)
    for name in ("train_loss", "val_loss", "val_acc"):
        assert resumed.result[name] == pytest.approx(unbroken.result[name], rel=1e-6), name


CONSTANT = ["--model.schedule=constant", "--model.warmup_ratio=0", "--test_checkpoint=none"]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> CLI:
    """A run of 3 epochs of 15 steps."""
    filter_messages()
    cli = fit_in(tmp_path_factory.mktemp("unbroken"), SHALLOW, *CONSTANT, "--trainer.max_epochs=3")
    assert cli.trainer.global_step == 45
    return cli


def test_resume_inside_an_epoch_equals_an_unbroken_run(unbroken: CLI, fit: Fit, tmp_path: Path) -> None:
    keep = ["--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks.filename={step}"]
    keep += ["--trainer.callbacks.every_n_train_steps=1", "--trainer.callbacks.save_top_k=-1"]
    fit(SHALLOW, *CONSTANT, *keep, "--trainer.max_epochs=2", "--trainer.logger.init_args.name=part")
    for step in (7, 15, 20):
        checkpoint = next((tmp_path / "part").rglob(f"step={step}.ckpt"))
        assert_same_run(fit(SHALLOW, *CONSTANT, f"--ckpt_path={checkpoint}", "--trainer.max_epochs=3"), unbroken)


@pytest.mark.parametrize("steps", [20, 30], ids=["inside an epoch", "at the end of one"])
def test_resume_after_max_steps_equals_an_unbroken_run(steps: int, unbroken: CLI, fit: Fit, tmp_path: Path) -> None:
    fit(SHALLOW, *CONSTANT, f"--trainer.max_steps={steps}", "--trainer.logger.init_args.name=part")
    checkpoint = next((tmp_path / "part").rglob("last.ckpt"))
    for limit in ("--trainer.max_steps=-1", "--trainer.max_steps=45"):
        resumed = fit(SHALLOW, *CONSTANT, f"--ckpt_path={checkpoint}", "--trainer.max_epochs=3", limit)
        assert resumed.history.num_epochs == 3
        assert_same_run(resumed, unbroken)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model.num_outputs", "7"),
        ("model.init_args.task", "regression"),
        ("model.input_shape", "[784]"),
        ("data.init_args.seed", "9"),
    ],
)
def test_value_that_the_data_or_the_seed_decides_is_refused(name: str, value: str, fit: Fit, tmp_path: Path) -> None:
    part, *_, option = name.split(".")
    refusal = rf"{part}.{option}(={re.escape(value)} cannot be used, because MNIST has {option}=| cannot be set)"
    with pytest.raises(InputError, match=refusal):
        fit(SHALLOW, f"--{name}={value}")
    config = tmp_path / "linked.yaml"
    config.write_text(f"{part}:\n  init_args:\n    {option}: {value}\n")
    with pytest.raises(InputError, match=refusal):
        fit(SHALLOW, "-c", str(config))


@pytest.mark.parametrize(("monitor", "mode"), [("val/loss", "min"), ("val/acc", "max")])
def test_typed_monitor_chooses_the_best_epoch(monitor: str, mode: str, fit: Fit) -> None:
    cli = fit(SHALLOW, "-c", SMOKE, f"--checkpoint.monitor={monitor}")
    assert (cli.best.monitor, cli.best.mode) == (monitor, mode)


def test_existing_run_is_not_overwritten(fit: Fit) -> None:
    flags = ["--trainer.max_epochs=1", "--trainer.logger.init_args.version=seed_0"]
    fit(SHALLOW, *flags)
    with pytest.raises(
        ValueError, match=r"seed_0 already contains a run; type another --trainer.logger.init_args.version"
    ):
        fit(SHALLOW, *flags)


def test_written_config_can_be_run_again(fit: Fit, tmp_path: Path) -> None:
    first = fit(SHALLOW, "--trainer.max_epochs=1", "--seed_everything=3")
    written = next(tmp_path.rglob("config.yaml"))
    second = train.main(["fit", "-c", str(written), f"--trainer.logger.init_args.save_dir={tmp_path / 'again'}"])
    assert second.result["test_loss"] == first.result["test_loss"]


@pytest.mark.parametrize("subcommand", ["test", "validate"])
def test_test_without_a_checkpoint_is_refused(subcommand: str) -> None:
    with pytest.raises(ValueError, match=f"{subcommand} needs a trained model"):
        train.main([subcommand, "-c", "configs/mnist/shallow_mlp.yaml", "--trainer.logger=false"])


def test_bug_keeps_its_traceback(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("models.ShallowMLP.forward", broken)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        fit(SHALLOW)


def test_build_runs_nothing() -> None:
    cli = build(["fit", "-c", "configs/mnist/shallow_mlp.yaml", "--model.hidden_size=32"])
    assert cli.model.hparams["hidden_size"] == 32
    assert cli.model.hparams["input_shape"] == [1, 28, 28]
    trainer: Any = cli.trainer
    assert trainer.max_epochs != 10, "the config wins over the defaults"
    assert trainer.num_sanity_val_steps == 0, "configs/defaults.yaml was read: Lightning's own default is 2"


@pytest.mark.parametrize("precision", ["64-true", "bf16-true", "bf16-mixed"])
def test_other_precisions_train(precision: str, fit: Fit) -> None:
    cli = fit("mnist/fast_cnn.yaml", "-c", SMOKE, "--data.shift=2", f"--trainer.precision={precision}")
    assert cli.result["train_loss"] < 2.5


class Hooked(ShallowMLP):
    """Says which of its hooks are called."""

    def on_after_backward(self) -> None:
        self.called = {*getattr(self, "called", ()), "on_after_backward"}

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.called = {*getattr(self, "called", ()), "on_before_optimizer_step"}


def test_hooks_of_a_model_are_called(fit: Fit) -> None:
    cli = fit(SHALLOW, f"--model={__name__}.Hooked", "--trainer.max_epochs=1", "--trainer.limit_train_batches=2")
    assert cli.model.called == {"on_after_backward", "on_before_optimizer_step"}


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
def test_freed_memory_is_reused(fit: Fit) -> None:
    import resource  # noqa: PLC0415  # Windows has none

    fit("plane/bumps.yaml", "-c", SMOKE)

    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(2**26)  # 256 MiB: 65,536 pages, or 128 large ones
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    # a block in a new place has new pages, and the heap may take two turns to settle
    assert min(faults() for _ in range(5)) < 16


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="this CPU has no such mode")
def test_denormal_numbers_are_flushed_to_zero(fit: Fit) -> None:
    torch.set_flush_denormal(False)
    smallest = torch.tensor(1.2e-38)
    assert smallest / 2 > 0
    fit("plane/bumps.yaml", "-c", SMOKE)
    assert smallest / 2 == 0
