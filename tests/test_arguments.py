"""Wrong input is answered in one line that says what to type, before PyTorch is loaded; bugs keep their traceback."""

import inspect
import re
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import yaml
from lightning.fabric import connector
from lightning.fabric.accelerators import ACCELERATOR_REGISTRY
from lightning.pytorch.callbacks import ModelCheckpoint

import datamodules
import models
import train
from engine import arguments, cli, signatures
from engine.arguments import COMMANDS, OPTIONS, VALUES
from engine.paths import PROJECT
from engine.signatures import options, registry
from tests.conftest import CONFIGS, SMOKE, Fit

CONFIG = "-c configs/mnist/shallow_mlp.yaml"
WRONG = [  # what was typed, and what is answered
    ("fitt", "'fitt' is not a command; type fit"),
    ("tset --ckpt_path x.ckpt", "'tset' is not a command; type test"),
    ("train", "'train' is not a command; type one of fit, validate, test, predict"),
    (CONFIG, f"a command comes first: python train.py fit {CONFIG}"),
    ("fit", "fit needs a config, or a --model of models/; type -c configs/mnist/"),
    ("fit --model DeepMLP", "fit needs a config, or a --data of datamodules/; type -c configs/mnist/"),
    ("fit -c configs/extras/smoke.yaml", "smoke.yaml names no model; an experiment does: type -c configs/mnist/"),
    ("configs/mnist/resnet.yaml", "a command comes first: python train.py fit -c configs/mnist/resnet.yaml"),
    ("fit -c configs/mnist", "configs/mnist is a folder; type -c configs/mnist/"),
    ("fit configs/mnist/resnet.yaml", "configs/mnist/resnet.yaml stands alone; type -c configs/mnist/resnet.yaml"),
    ("test last.ckpt", "last.ckpt stands alone; type --ckpt_path last.ckpt"),
    (f"fit {CONFIG} faster", "'faster' belongs to no option"),
    ("fit -c", "-c needs a config file; type -c configs/mnist/"),
    (f"fit {CONFIG} --model.lr", "--model.lr needs a value"),
    (
        "fit -c configs/mnist/shalow_mlp.yaml",
        "shalow_mlp.yaml; type -c configs/mnist/shallow_mlp.yaml",
    ),
    (
        "fit -c nothing.yaml",
        "there is no config nothing.yaml; type -c configs/mnist/shallow_mlp.yaml; `python",
    ),
    ("fit -c README.md", "README.md is not a config"),
    (f"fit {CONFIG} --trainer.max_epoch 3", "--trainer.max_epoch is not an option; type --trainer.max_epochs 3"),
    (f"fit {CONFIG} --trainer.max_epoch=3", "--trainer.max_epoch is not an option; type --trainer.max_epochs 3"),
    (f"fit {CONFIG} --traner.max_epochs 3", "--traner.max_epochs is not an option; type --trainer.max_epochs 3"),
    (f"fit {CONFIG} --epochs 3", "--epochs is not an option; type --trainer.max_epochs 3"),
    (f"fit {CONFIG} --batch_size 64", "--batch_size is not an option; type --data.batch_size 64"),
    (f"fit {CONFIG} --lr 0.1", "--lr is not an option; type --model.lr 0.1"),
    (f"fit {CONFIG} --seed 1", "--seed is not an option; type --seed_everything 1"),
    (
        f"fit {CONFIG} --model.hiden_size 9",
        "is not an option of ShallowMLP; type --model.hidden_size 9",
    ),
    (
        f"fit {CONFIG} --model.num_layers 9",
        "is not an option of ShallowMLP; there are model.optimizer, ",
    ),
    (f"fit {CONFIG} --model.init_args.hiden_size 9", "type --model.hidden_size 9"),
    (f"fit {CONFIG} --data.batchsize 9", "--data.batchsize is not an option of MNIST; type --data.batch_size 9"),
    (
        f"fit {CONFIG} --checkpoint.save_topk 9",
        "--checkpoint.save_topk is not an option; type --checkpoint.save_top_k 9",
    ),
    ("fit --model DeepMPL --data MNIST", "--model: there is no DeepMPL; type DeepMLP"),
    ("fit --model deepmlp --data MNIST", "--model: there is no deepmlp; type DeepMLP"),
    (
        "fit --model BaseModel --data MNIST",
        "--model: there is no BaseModel; type one of AlexNet, CNN1D, DeepMLP, FastCNN, LeNet, Linear, RNN, ResNet, "
        "ResidualMLP, ShallowMLP, TCN, Transformer, VGG",
    ),
    ("fit --model.help DeepMPL", "--model.help: there is no DeepMPL; type DeepMLP"),
    ("fit --model DeepMLP --data MINST", "--data: there is no MINST; type MNIST"),
    ("fit -c configs/sequence/lstm.yaml --model.cell gur", "--model.cell: 'gur' is not known; type gru"),
    (f"fit {CONFIG} --data.variant fashon", "--data.variant: 'fashon' is not known; type fashion"),
    (f"fit {CONFIG} --model.schedule never", "'never' is not known; type one of constant, cosine, onecycle"),
    (f"fit {CONFIG} --trainer.accelerator gpuu", "--trainer.accelerator: 'gpuu' is not known; type gpu"),
    (f"fit {CONFIG} --trainer.precision bf16-mixd", "--trainer.precision: 'bf16-mixd' is not known; type bf16-mixed"),
    (f"fit {CONFIG} --test_checkpoint bets", "--test_checkpoint: 'bets' is not known; type best"),
    (f"fit {CONFIG} --data.batch_size many", "--data.batch_size: 'many' is not a whole number, such as 10"),
    (f"fit {CONFIG} --data.batch_size 12.5", "--data.batch_size: 12.5 is not a whole number, such as 10"),
    (f"fit {CONFIG} --model.lr fast", "--model.lr: 'fast' is not a number, such as 0.1"),
    ("fit -c configs/mnist/deep_mlp.yaml --model.batch_norm on_", "--model.batch_norm: 'on_' is not true or false"),
    (
        f"fit {CONFIG} --model.num_outputs 7",
        "model.num_outputs cannot be set: it is decided by the data, chosen by --data",
    ),
    (f"fit {CONFIG} --data.seed 7", "data.seed cannot be set: it is decided by --seed_everything"),
    (f"fit {CONFIG} --ckpt_path gone.ckpt", "there is no checkpoint gone.ckpt"),
    ("test", "test needs a trained model"),
    (
        "predict --images nowhere.png --ckpt_path README.md",
        "--images: there is no nowhere.png; type the path of an image",
    ),
    (f"fit {CONFIG} --data.batch_size 1e3", "--data.batch_size: '1e3' is not a whole number"),
    (f"fit {CONFIG} --images README.md", "--images belongs to predict, not to fit"),
]
RIGHT = [  # what must not be refused
    f"fit {CONFIG} --model.lr 1e-3 --model.label_smoothing=0 --trainer.max_epochs null --trainer.callbacks+=Timer",
    f"fit {CONFIG} --model ResNet --trainer.logger.save_dir x --trainer.precision 32 --trainer.limit_val_batches 0.5",
    "fit --model.help DeepMLP",
    "fit --model DeepMLP --data.class_path MNIST --data.init_args.val_size 0 --seed_everything 7",
    "fit --model tests.broken.Raises --model.anything 1 --data MNIST",
    f"fit {CONFIG} --print_config",
    "fit -c=configs/mnist/shallow_mlp.yaml",
    "fit -cconfigs/mnist/shallow_mlp.yaml",
    'fit --model {"class_path":"DeepMLP","init_args":{"num_layers":2}} --data MNIST',
    f"fit {CONFIG} -c configs/extras/gpu.yaml -c configs/extras/smoke.yaml",
]


def test_wrong_input_is_answered_in_one_line_before_pytorch_is_loaded(tmp_path: Path) -> None:
    """In a process of its own, since this one has PyTorch already."""
    code = """
import sys, train
for typed in sys.stdin.read().splitlines():
    sys.argv = ["train.py", *typed.split()]
    print(train.command_line(), file=sys.stderr)
assert not {"torch", "lightning", "numpy"} & set(sys.modules)
"""
    typed = "\n".join(typed for typed, _ in WRONG)
    done = subprocess.run(
        [sys.executable, "-c", code], input=typed, cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stdout
    lines = done.stderr.splitlines()
    assert lines[1::2] == ["2"] * len(WRONG), "the exit code"
    for (typed, expected), line in zip(WRONG, lines[::2], strict=True):
        assert line.startswith("train.py: "), typed
        assert expected in line, typed


@pytest.mark.parametrize("typed", RIGHT)
def test_right_input_is_let_through(typed: str) -> None:
    arguments.check([arguments.located(word) for word in typed.split()])


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("model:\n  class_path: ShallowMLP\n  init_args:\n    hiden_size: 3\n", "write model.hidden_size"),
        ("trainer:\n  max_epoch: 3\n", "trainer.max_epoch is not an option; write trainer.max_epochs"),
        ("model:\n  class_path: ShalowMLP\n", "model: there is no ShalowMLP; type ShallowMLP"),
        ("data:\n  init_args:\n    variant: kminst\n", "data.variant: 'kminst' is not known; type kmnist"),
        ("modle:\n  class_path: ShallowMLP\n", "modle is not an option; write model"),
        ("trainer: [1\n", "is not a config: while parsing"),
        ("model:\n  class_path: RNN\n  lr: 0.1\n", "model.lr stands beside class_path; write it below init_args:"),
        ("model:\n  init_args: 3\n", "model.init_args is 3, and not names with values"),
        ("only words\n", "is not a config: it holds no names with values"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_config_is_named_with_its_file(config: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(config)
    with pytest.raises(ValueError, match=re.escape(expected)) as refusal:
        arguments.check(["fit", "-c", "configs/mnist/shallow_mlp.yaml", "-c", str(path)])
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--trainer.callbacks+=ModelSumary"], "there is no ModelSumary; type ModelSummary"),
        (["--trainer.logger=TensorBordLogger"], "there is no TensorBordLogger; type TensorBoardLogger"),
        (["--model=tests.broken.Nothing"], "module 'tests.broken' has no attribute 'Nothing'"),
        (["--trainer.devices=0"], "devices='0'"),
        (["--seed_everything=many"], "is not a whole number from 0 to 4294967295"),
        (["--seed_everything=true"], "True is not a whole number from 0 to 4294967295"),
        (["--seed_everything=-1"], "-1 is not a whole number from 0 to 4294967295"),
        (["--seed_everything=4294967296"], "4294967296 is not a whole number from 0 to 4294967295"),
        (["--checkpoint.save_weights_only=true"], "would leave out what test and fit need"),
        (["--trainer.enable_checkpointing=false"], "would leave nothing to test"),
        (["--model.lr=-1"], "--model.lr=-1.0 must be between 0 and inf"),
        (["--data.shift=-1"], "--data.shift=-1.0 must be between 0 and 28"),
        (["--data.val_size=45000"], "--data.val_size=4500 leaves nothing of the 4500 samples"),
        (["--model=CNN1D"], "CNN1D takes sequences (T, D), not input_shape=[1, 28, 28]"),
        (
            ["--model=DeepMLP", "--model.batch_norm=true", "--data.batch_size=1"],
            "batch norm needs at least 2 samples per device in training; use a larger --data.batch_size",
        ),
    ],
)
def test_what_only_the_libraries_can_tell_is_one_line_too(flags: list[str], expected: str, fit: Fit) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)) as refusal:
        fit("mnist/shallow_mlp.yaml", *flags)
    assert "\n" not in str(refusal.value)
    assert train.is_refusal(refusal.value)


@pytest.mark.parametrize("option", ["trainer.logger.init_args.save_dir", "checkpoint.dirpath", "data.data_dir"])
def test_a_file_where_a_folder_belongs_is_refused(option: str, fit: Fit, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(ValueError, match=f"{path} is a file; "):
        fit("mnist/shallow_mlp.yaml", f"--{option}={path}")


def test_a_home_folder_is_expanded_wherever_it_stands(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = tmp_path / "home.yaml"
    config.write_text("data:\n  class_path: MNIST\n  init_args:\n    data_dir: ~/digits\n")
    for flags in (["--data.data_dir=~/digits"], ["--data.data_dir", "~/digits"], ["-c", "~/home.yaml"]):
        cli = fit("mnist/shallow_mlp.yaml", "-c", SMOKE, "--test_checkpoint=none", *flags)
        assert cli.datamodule.raw == tmp_path / "digits" / "MNIST" / "raw"


def test_a_gpu_that_is_not_there_is_refused(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match=r"finds none here; type --trainer\.accelerator cpu"):
        fit("mnist/shallow_mlp.yaml", "--trainer.accelerator=cuda")


@pytest.mark.parametrize("place", ["models.ShallowMLP.forward", "datamodules.MNIST.load"])
def test_a_bug_keeps_its_traceback(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: Any) -> None:
        int("a bug, which is a ValueError as wrong input is")

    flags = ["fit", *CONFIG.split(), "--data.source=subset", f"--trainer.logger.init_args.save_dir={tmp_path}"]
    monkeypatch.setattr(place, bug)
    monkeypatch.setattr("sys.argv", ["train.py", *flags])
    with pytest.raises(ValueError, match="invalid literal"):
        train.command_line()


def test_a_refusal_in_forward_is_a_bug_too(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "def forward(self, x):\n    raise ValueError('no such shape')\n"
    file = PROJECT / "models" / "shallow_mlp.py"
    scope: dict[str, Any] = {}
    exec(compile(source, str(file), "exec"), scope)
    monkeypatch.setattr("models.ShallowMLP.forward", scope["forward"])
    with pytest.raises(ValueError, match="no such shape") as error:
        fit("mnist/shallow_mlp.yaml")
    assert not train.is_refusal(error.value)


def test_a_refused_run_leaves_no_folder(fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="use a smaller val_size"):
        fit("mnist/shallow_mlp.yaml", "--data.val_size=45000")
    assert not list(tmp_path.rglob("version_0"))


def test_options_that_cannot_be_read_are_left_to_the_real_parser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "models"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from models.mine import BaselineMLP, Half\nfrom models.folder import Whole\n"
        '__all__ = ["BaselineMLP", "Half", "Whole"]\n'
    )
    (package / "base.py").write_text((PROJECT / "models" / "base.py").read_text())
    (package / "mine.py").write_text(
        "class BaselineMLP(BaseModel):\n    def __init__(self, size: int, **training):\n        pass\n"
        "class Common(BaseModel):\n    pass\n"
        "class Half(Common):\n    def __init__(self, size: int, **training):\n        pass\n"
    )
    monkeypatch.setattr(signatures, "PROJECT", tmp_path)
    for cached in (options, registry):
        cached.cache_clear()
    try:
        assert list(registry("models")) == ["BaselineMLP", "Half", "Whole"]
        assert {"size", "lr"} <= set(options("model", "BaselineMLP"))
        assert options("model", "Half") == {}, "its base is not among the known classes"
        assert options("model", "Whole") == {}, "its file is not where the import says"
    finally:
        for cached in (options, registry):
            cached.cache_clear()


def test_a_word_that_yaml_takes_for_true_or_false_may_be_a_choice() -> None:
    arguments.check_value(arguments.Setting("model.norm", False, "--model.norm", "no"), ["batch", "no"])
    with pytest.raises(ValueError, match="False is not known"):
        arguments.check_value(arguments.Setting("model.norm", False, "--model.norm", "off"), ["batch", "no"])


def test_another_progress_bar_takes_the_place_of_ours(fit: Fit) -> None:
    flags = ["--trainer.callbacks+=TQDMProgressBar", "--trainer.max_epochs=1", "--trainer.limit_train_batches=2"]
    cli = fit("mnist/shallow_mlp.yaml", *flags)
    assert type(cli.trainer.progress_bar_callback).__name__ == "TQDMProgressBar"


@pytest.mark.parametrize(("flag", "steps"), [("1", 1), ("1.0", 15)])
def test_one_batch_is_not_all_of_them(flag: str, steps: int, fit: Fit) -> None:
    cli = fit("mnist/shallow_mlp.yaml", f"--trainer.limit_train_batches={flag}", "--trainer.max_epochs=1")
    assert cli.trainer.global_step == steps
    assert type(cli.config.fit.trainer.limit_train_batches) is type(yaml.safe_load(flag)), "it is recorded as typed"


# What may be typed is what the classes accept.


def accepted(*classes: type) -> set[str]:
    names = {name for one in classes for name in inspect.signature(one).parameters}
    return names - {"training"}


@pytest.mark.parametrize("name", registry("models"))
def test_options_of_a_model_are_those_of_its_constructor(name: str) -> None:
    assert set(options("model", name)) == accepted(getattr(models, name), models.BaseModel)


@pytest.mark.parametrize("name", registry("datamodules"))
def test_options_of_a_data_module_are_those_of_its_constructor(name: str) -> None:
    assert set(options("data", name)) == accepted(getattr(datamodules, name))


def test_options_of_lightning_are_those_of_its_constructors() -> None:
    assert set(options("trainer", None)) == accepted(L.Trainer)
    assert set(options("checkpoint", None)) == accepted(ModelCheckpoint)


def test_choices_are_those_of_the_types() -> None:
    for part, package in (("model", models), ("data", datamodules)):
        for name in registry(package.__name__):
            hints = typing.get_type_hints(getattr(package, name).__init__)
            for option, allowed in options(part, name).items():
                if isinstance(allowed, list) and option in hints:
                    assert tuple(allowed) == typing.get_args(hints[option])
    assert options("model", "RNN")["cell"] == ["lstm", "gru", "tanh", "relu"]
    assert options("model", "RNN")["lr"] == "float"
    assert options("data", "MNIST")["batch_size"] == "int"
    precision: Any = connector._PRECISION_INPUT  # type: ignore[attr-defined]  # private, but what Trainer takes
    precisions = [typing.get_args(part) or (part,) for part in typing.get_args(precision)]
    assert set(VALUES["trainer.precision"] or ()) == {value for part in precisions for value in part}
    assert set(VALUES["trainer.accelerator"] or ()) == {"auto", "gpu", *ACCELERATOR_REGISTRY.available_accelerators()}


def test_options_of_a_run_are_those_of_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, Any] = {}

    class Seen(cli.CLI):
        def parse_arguments(self, parser: Any, args: Any) -> None:
            made.update(self._subcommand_parsers)
            raise InterruptedError

    monkeypatch.setattr(cli, "CLI", Seen)
    with pytest.raises(InterruptedError):
        train.main(["fit", *CONFIG.split()])
    assert set(made) == set(COMMANDS)
    for parser in made.values():
        names = {action.dest.split(".")[0] for action in parser._actions}
        assert names <= set(OPTIONS)
    names |= {action.dest.split(".")[0] for parser in made.values() for action in parser._actions}
    assert names == set(OPTIONS)


# What there is to type.


def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *typed: str) -> str:
    monkeypatch.setattr("sys.argv", ["train.py", *typed])
    assert train.command_line() == 0
    return capsys.readouterr().out


def test_train_alone_lists_every_config_with_a_phrase(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = said(monkeypatch, capsys).splitlines()
    for path in (*CONFIGS, *arguments.extras()):
        (line,) = [line for line in lines if line.split()[:1] == [str(path.relative_to(PROJECT))]]
        assert line.endswith(f"  {arguments.phrase(path)}")
        assert not arguments.phrase(path).startswith(("#", "python"))
    (command,) = [line.strip() for line in lines if line.startswith("  python train.py")]
    arguments.check(command.split()[2:])


@pytest.mark.parametrize("typed", ["--help", "-h", "fit --help", "predict -h"])
def test_help_is_short_and_points_on(
    typed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(monkeypatch, capsys, *typed.split())
    assert len(text.splitlines()) <= 30
    for name in (*COMMANDS, *registry("models"), *registry("datamodules"), "--model.help NAME", "--print_config"):
        assert name in text


def test_the_command_to_use_names_the_newest_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arguments, "RUNS", tmp_path)
    with pytest.raises(ValueError, match=rf"and {tmp_path} holds none; train one: python train.py fit -c configs/"):
        arguments.check(["test"])
    for number, name in enumerate(("best", "best", "last")):
        folder = tmp_path / f"version_{number}"
        folder.mkdir()
        (folder / f"{name}.ckpt").touch()
    with pytest.raises(ValueError, match=rf"type: python train\.py test --ckpt_path {tmp_path}/version_1/best.ckpt"):
        arguments.check(["test"])
    with pytest.raises(ValueError, match=rf"--ckpt_path {tmp_path}/version_2/last.ckpt"):
        arguments.check(["predict", "--ckpt_path", f"{tmp_path}/version_2/lats.ckpt"])


@pytest.mark.parametrize("config", [["-c", "a.yaml"], ["-c=a.yaml"], ["-ca.yaml"], ["--config", "a.yaml"]])
def test_a_flag_wins_over_a_config_that_is_typed_behind_it(config: list[str]) -> None:
    flag = ["--model.lr", "0.1"]
    assert arguments.configs_first(["fit", *flag, *config, "--seed_everything=1"]) == [
        *("fit", *config, *flag, "--seed_everything=1"),
    ]
    assert arguments.configs_first([*flag, *config, "-c", "b.yaml"]) == [*config, "-c", "b.yaml", *flag]
