"""Wrong input gets one line that says what to type; bugs keep their traceback."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightning.pytorch.callbacks import EarlyStopping

import train
from engine import explain, usage
from engine.cli import InputError, build
from engine.paths import PROJECT
from models import ShallowMLP
from tests.conftest import CONFIGS, SMOKE, Fit

CONFIG = "-c configs/mnist/shallow_mlp.yaml"
SLIPS = [  # answered before PyTorch is loaded
    ("fitt", "'fitt' is not a command; type fit"),
    ("tset --ckpt_path x.ckpt", "'tset' is not a command; type test"),
    ("train", "'train' is not a command; type one of fit, validate, test, predict, doctor"),
    (CONFIG, f"a command comes first: python train.py fit {CONFIG}"),
    ("configs/mnist/resnet.yaml", "a command comes first: python train.py fit -c configs/mnist/resnet.yaml"),
    ("fit -c configs/mnist/shalow_mlp.yaml", "shalow_mlp.yaml; type -c configs/mnist/shallow_mlp.yaml"),
    ("fit -c smoke", "there is no config smoke; type -c configs/extras/smoke.yaml"),
    ("fit -c nothing.yaml", "there is no config nothing.yaml; type -c configs/mnist/shallow_mlp.yaml; `python"),
]
WRONG = [
    ("fit", "fit needs a config with model and data; type -c configs/mnist/shallow_mlp.yaml"),
    ("fit --model DeepMLP", "fit needs a config with data; type -c configs/mnist/"),
    ("fit -c configs/extras/smoke.yaml", "fit needs a config with model and data; type -c configs/mnist/"),
    ("fit -c configs/mnist", "configs/mnist is a folder; type -c configs/mnist/"),
    ("fit configs/mnist/resnet.yaml", "type -c configs/mnist/resnet.yaml"),
    ("test last.ckpt", "type --ckpt_path last.ckpt"),
    ("predict digit.png", "type --images digit.png"),
    ("predict seven.WAV", "type --audio seven.WAV"),
    (f"fit {CONFIG} faster", "'faster' is not an option"),
    ("fit -c", "-c needs a config file; type -c configs/mnist/"),
    (f"fit {CONFIG} --model.lr", "--model.lr needs a value"),
    ("fit -c README.md", "README.md is not a config"),
    (
        f"fit {CONFIG} --trainer.max_epoch 3",
        "max_epoch is not an option of train.py; type --trainer.max_epochs",
    ),
    (
        f"fit {CONFIG} --trainer.max_epoch=3",
        "max_epoch is not an option of train.py; type --trainer.max_epochs",
    ),
    (
        f"fit {CONFIG} --traner.max_epochs 3",
        "max_epochs is not an option of train.py; type --trainer.max_epochs",
    ),
    (f"fit {CONFIG} --epochs 3", "--epochs is not an option of train.py; type --trainer.max_epochs"),
    (f"fit {CONFIG} --trainer.gpus 1", "--trainer.gpus is not an option of train.py; type --trainer.devices"),
    (f"fit {CONFIG} --batch_size 64", "--batch_size is not an option of train.py; type --data.batch_size"),
    (f"fit {CONFIG} --lr 0.1", "--lr is not an option of train.py; type --model.lr"),
    (f"fit {CONFIG} --seed 1", "--seed is not an option of train.py; type --seed_everything"),
    (f"fit {CONFIG} --model.hiden_size 9", "is not an option of ShallowMLP; type --model.hidden_size"),
    (f"fit {CONFIG} --model.num_layers 9", "is not an option of ShallowMLP; ShallowMLP has model.activation, "),
    (f"fit {CONFIG} --model.init_args.hiden_size 9", "type --model.hidden_size"),
    (f"fit {CONFIG} --data.batchsize 9", "--data.batchsize is not an option of MNIST; type --data.batch_size"),
    (f"fit {CONFIG} --checkpoint.save_topk 9", "is not an option of train.py; type --checkpoint.save_top_k"),
    ("fit --model DeepMPL --data MNIST", "--model: invalid choice 'DeepMPL'; type DeepMLP"),
    ("fit --model deepmlp --data MNIST", "--model: invalid choice 'deepmlp'; type DeepMLP"),
    ("fit --model CNN --data MNIST", "--model: invalid choice 'CNN'; type CNN1D or FastCNN"),
    ("fit --model Nothing --data MNIST", "type one of AlexNet, CNN1D, DeepMLP, "),
    ("fit --model BaseModel --data MNIST", "--model: invalid choice 'BaseModel'; type one of AlexNet,"),
    ("fit --model Linear --data BaseDataModule", "--data: invalid choice 'BaseDataModule'; type one of Add"),
    ("fit --model.help DeepMPL", "--model: invalid choice 'DeepMPL'; type DeepMLP"),
    ("fit --model DeepMLP --data MINST", "--data: invalid choice 'MINST'; type MNIST"),
    ("fit --model.lr 0.1 --model ShallowMLP --data MNIST", "type --model NAME before its options"),
    ("fit -c configs/sequence/lstm.yaml --model.cell gur", "--model.cell: invalid choice 'gur'; type gru"),
    (f"fit {CONFIG} --data.variant fashon", "--data.variant: invalid choice 'fashon'; type fashion"),
    (f"fit {CONFIG} --model.schedule never", "invalid choice 'never'; type one of constant, cosine, onecycle"),
    (f"fit {CONFIG} --trainer.accelerator gpuu", "accelerator='gpuu'`. Available names are: auto, "),
    (f"fit {CONFIG} --trainer.precision bf16-mixd", "--trainer.precision: invalid choice 'bf16-mixd'; type bf16-mixed"),
    (f"fit {CONFIG} --test_checkpoint bets", "--test_checkpoint: invalid choice 'bets'; type best"),
    (f"fit {CONFIG} --data.batch_size many", "--data.batch_size: 'many' is not a whole number, such as 10"),
    (f"fit {CONFIG} --data.batch_size 12.5", "--data.batch_size: '12.5' is not a whole number, such as 10"),
    (f"fit {CONFIG} --data.batch_size 1e3", "--data.batch_size: '1000.0' is not a whole number"),
    (f"fit {CONFIG} --model.lr fast", "--model.lr: 'fast' is not a number, such as 0.1"),
    ("fit -c configs/mnist/deep_mlp.yaml --model.batch_norm on_", "--model.batch_norm: 'on_' is not true or false"),
    (f"fit {CONFIG} --model.num_outputs 7", "model.num_outputs=7 cannot be used, because MNIST has num_outputs=10"),
    (
        f"fit {CONFIG} --data.seed 7",
        "--data.seed cannot be set; one seed is used for everything: type --seed_everything",
    ),
    (f"fit {CONFIG} --ckpt_path gone.ckpt", "there is no checkpoint gone.ckpt"),
    ("test", "test needs a trained model"),
    (f"fit {CONFIG} --images README.md", "--images belongs to predict"),
    (f"fit {CONFIG} --prompt Hello", "--prompt belongs to predict"),
    (f"fit {CONFIG} --audio README.md", "--audio belongs to predict"),
    (f"fit {CONFIG} --trainer.callbacks+=ModelSumary", "invalid choice 'ModelSumary'; type ModelSummary"),
    (f"fit {CONFIG} --trainer.logger=TensorBordLogger", "invalid choice 'TensorBordLogger'; type TensorBoardLogger"),
    (f"fit {CONFIG} --model=tests.broken.Nothing", "module 'tests.broken' has no attribute 'Nothing'"),
    ("fit --model tests.broken.Dies --model.smoothing 1 --data MNIST", "is not an option of Dies; type --model.label_"),
    (f"fit {CONFIG} --trainer.devices=0", "devices='0'"),
    (f"fit {CONFIG} --seed_everything=-1", "--seed_everything=-1 must be between 0 and 4294967295"),
    (f"fit {CONFIG} --checkpoint.dirpath=README.md", "README.md is a file; type the path of a folder"),
    (f"fit {CONFIG} --trainer.default_root_dir=README.md", "README.md is a file; type the path of a folder"),
    (f"fit {CONFIG} --trainer.logger.init_args.save_dir=README.md", "README.md is a file; type the path of a folder"),
    (f"fit {CONFIG} --seed_everything=many", "--seed_everything: 'many' is not a whole number"),
    (f"fit {CONFIG} --model.hidden_size=-3", "--model.hidden_size=-3 must be 1 or more"),
    (f"fit {CONFIG} --model=CNN1D", "CNN1D takes sequences (T, D), not input_shape=[1, 28, 28]"),
    (f"fit {CONFIG} --trainer.accelerator=cuda --trainer.devices=99", "accelerator"),
]


def test_slips_are_answered_before_pytorch_is_loaded() -> None:
    code = """
import sys, train
for typed in sys.stdin.read().splitlines():
    print(train.command_line(typed.split()), file=sys.stderr)
assert not {"torch", "lightning", "numpy"} & set(sys.modules)
"""
    typed = "\n".join(typed for typed, _ in SLIPS)
    done = subprocess.run(
        [sys.executable, "-c", code], input=typed, cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert lines[1::2] == ["2"] * len(SLIPS), "the exit code"
    for (typed, expected), line in zip(SLIPS, lines[::2], strict=True):
        assert line.startswith("train.py: "), typed
        assert expected in line, typed


@pytest.mark.parametrize(("typed", "expected"), WRONG)
def test_wrong_input_gets_one_line_that_says_what_to_type(
    typed: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.command_line(typed.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("train.py: ")
    assert expected in line


@pytest.mark.parametrize(
    "typed",
    [
        f"{CONFIG} --model.lr 1e-3 --model.label_smoothing=0 --trainer.max_epochs 2 --trainer.callbacks+=ModelSummary",
        f"{CONFIG} --model ResNet --trainer.precision 32 --trainer.limit_val_batches 0.5",
        "--model DeepMLP --data.class_path MNIST --data.init_args.val_size 0 --seed_everything 7",
        "-cconfigs/mnist/shallow_mlp.yaml",
        'fit --model {"class_path":"DeepMLP","init_args":{"num_layers":2}} --data MNIST'.removeprefix("fit "),
        f"{CONFIG} -c configs/extras/smoke.yaml",
    ],
)
def test_right_input_is_built(typed: str) -> None:
    assert build(["fit", *typed.split(), "--trainer.logger=false"]).trainer


def test_value_of_an_option_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "callbacks.yaml"
    path.write_text("- class_path: EarlyStopping\n  init_args:\n    monitor: val/loss\n")
    cli = build(["fit", *CONFIG.split(), "--trainer.logger=false", f"--trainer.callbacks={path}"])
    trainer: Any = cli.trainer
    assert any(isinstance(one, EarlyStopping) for one in trainer.callbacks)


def test_own_class_may_have_the_name_of_a_base_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_model.py").write_text("import models\n\n\nclass BaseModel(models.ShallowMLP):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    cli = build(["fit", *CONFIG.split(), "--trainer.logger=false", "--model=own_model.BaseModel"])
    assert isinstance(cli.model, ShallowMLP)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("model:\n  class_path: ShallowMLP\n  init_args:\n    hiden_size: 3\n", "type model.hidden_size"),
        ("trainer:\n  max_epoch: 3\n", "trainer.max_epoch is not an option of train.py; type trainer.max_epochs"),
        ("model:\n  class_path: ShalowMLP\n", "model: invalid choice 'ShalowMLP'; type ShallowMLP"),
        ("data:\n  init_args:\n    variant: kminst\n", "data.variant: invalid choice 'kminst'; type kmnist"),
        ("modle:\n  class_path: ShallowMLP\n", "modle.class_path is not an option of train.py; type model.class_path"),
        ("trainer: [1\n", "is not a config: while parsing"),
        ("model:\n  class_path: RNN\n  lr: 0.1\n", "has options next to class_path; move them below init_args:"),
        ("only words\n", "is not a config: only words"),
    ],
)
def test_mistake_in_a_config_is_named_with_its_file(config: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(config)
    with pytest.raises(InputError, match=re.escape(expected)) as error:
        build(["fit", "-c", "configs/mnist/shallow_mlp.yaml", "-c", str(path)])
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_data_that_cannot_be_split_is_refused_and_leaves_no_run(fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--data\.val_size=4500 leaves nothing of the 4500 samples to train on"):
        fit("mnist/shallow_mlp.yaml", "--data.val_size=45000")
    assert not list(tmp_path.rglob("version_0"))


def test_batch_norm_with_one_sample_is_refused(fit: Fit) -> None:
    flags = ["--model=DeepMLP", "--model.batch_norm=true", "--data.batch_size=1"]
    with pytest.raises(InputError, match="needs at least 2 samples per device in training; use a larger --data"):
        fit("mnist/shallow_mlp.yaml", *flags)


def test_tilde_is_the_home_directory(fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = tmp_path / "home.yaml"
    config.write_text("data:\n  class_path: MNIST\n  init_args:\n    data_dir: ~/digits\n")
    for flags in (["--data.data_dir=~/digits"], ["-c", "~/home.yaml"]):
        cli = fit("mnist/shallow_mlp.yaml", "-c", SMOKE, "--test_checkpoint=none", *flags)
        assert cli.datamodule.raw == tmp_path / "digits" / "MNIST" / "raw"
    (checkpoint,) = tmp_path.glob("shallow_mlp/version_0/checkpoints/last.ckpt")
    config.write_text(f"ckpt_path: ~/{checkpoint.relative_to(tmp_path)}\ntrainer:\n  max_epochs: 2\n")
    resumed = fit("mnist/shallow_mlp.yaml", "-c", SMOKE, "-c", str(config), "--data.data_dir=~/digits")
    assert resumed.history.num_epochs == 2


@pytest.mark.parametrize("place", ["models.ShallowMLP.forward", "models.ShallowMLP.training_step"])
def test_bug_in_a_step_keeps_its_traceback(place: str, fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: Any) -> None:
        raise ValueError("no such shape")

    monkeypatch.setattr(place, bug)
    with pytest.raises(ValueError, match="no such shape") as error:
        fit("mnist/shallow_mlp.yaml")
    assert not isinstance(error.value, InputError)


@pytest.mark.parametrize(("flag", "steps"), [("1", 1), ("1.0", 15)])
def test_one_batch_is_not_all_of_them(flag: str, steps: int, fit: Fit) -> None:
    cli = fit("mnist/shallow_mlp.yaml", f"--trainer.limit_train_batches={flag}", "--trainer.max_epochs=1")
    assert cli.trainer.global_step == steps
    assert type(cli.options.trainer.limit_train_batches) is type(yaml.safe_load(flag)), "it is recorded as typed"


def test_flag_wins_over_a_config_that_is_typed_after_it() -> None:
    cli = build(["fit", "--model.hidden_size", "9", *CONFIG.split(), "-c", SMOKE, "--trainer.logger=false"])
    assert cli.model.hparams["hidden_size"] == 9


def test_offered_options_are_options_of_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = build(["fit", *CONFIG.split(), "--trainer.logger=false"]).parser
    known = explain.options(parser)
    assert {"model.hidden_size", "data.batch_size", "trainer.max_epochs", "seed_everything"} <= set(known)
    assert {*explain.SYNONYMS.values()} <= set(known)


def said(capsys: pytest.CaptureFixture[str], *typed: str) -> str:
    assert train.command_line([*typed]) == 0
    return capsys.readouterr().out


def test_train_alone_lists_every_config_with_its_title(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys).splitlines()
    for path in (*CONFIGS, *usage.extras()):
        (line,) = [line for line in lines if line.split()[:1] == [str(path.relative_to(PROJECT))]]
        assert line.endswith(f"  {usage.title(path)}")


@pytest.mark.parametrize("typed", ["--help", "fit --help", "predict -h"])
def test_help_names_every_command(typed: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, *typed.split())
    assert all(f"\n  {name} " in text for name in usage.COMMANDS)


def test_answer_to_a_missing_checkpoint_names_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"and runs contains none; train a model: python train.py fit -c configs/"):
        build(["test"])
    for number, name in enumerate(("best", "best", "last")):
        folder = tmp_path / "runs" / f"version_{number}"
        folder.mkdir(parents=True)
        (folder / f"{name}.ckpt").touch()
    with pytest.raises(InputError, match=r"type: python train\.py test --ckpt_path runs/version_1/best.ckpt"):
        build(["test"])
    with pytest.raises(InputError, match=r"--ckpt_path runs/version_2/last.ckpt"):
        build(["predict", "--ckpt_path", "runs/version_2/lats.ckpt"])
