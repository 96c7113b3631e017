"""What was tried to make a step faster, kept or not: each against the step as it is.

python -m benchmarks.choices

The step as it is: fused AdamW, float32, eager, convolutions in channels_last. `steps_per_execution` is measured on
whole runs of `train.py fit`, all else on the bare step at the config's own batch size.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable
from unittest.mock import patch

import torch
from torch import Tensor

from benchmarks.measure import device, interleaved, markdown, quietly, ratio, shown, wait
from models import BaseModel
from results import Row

CONFIGS = {  # and how many steps make a measurement
    "mnist/shallow_mlp": 200,
    "mnist/deep_mlp": 20,
    "mnist/fast_cnn": 20,
    "mnist/resnet": 10,
    "sequence/lstm": 10,
    "sequence/gru": 10,
    "depth/mnist_residual": 20,
}
CHUNKS = {"mnist/shallow_mlp": 5, "mnist/resnet": 1, "sequence/lstm": 1}  # epochs a run
STEPS_PER_EXECUTION = (1, 10, 100, 500)
ROUNDS = 5
Step = Callable[[], object]


def eager(model: BaseModel, batch: tuple[Tensor, Tensor], optimizer: torch.optim.Optimizer) -> Step:
    def step() -> None:
        optimizer.zero_grad()
        model.loss(batch)[0].backward()
        optimizer.step()

    return step


def as_it_is(model: BaseModel, batch: tuple[Tensor, Tensor]) -> Step:
    return eager(model, batch, model.make_optimizer())


def unfused(model: BaseModel, batch: tuple[Tensor, Tensor]) -> Step:
    return eager(model, batch, torch.optim.AdamW(model.parameter_groups(), fused=False))


def rows_first(model: BaseModel, batch: tuple[Tensor, Tensor]) -> Step:
    """Weights and images in PyTorch's usual order; for networks of two-dimensional convolutions."""
    model.to(memory_format=torch.contiguous_format)
    inner = as_it_is(model, batch)

    def step() -> None:
        with patch.object(torch, "channels_last", torch.contiguous_format):
            inner()

    return step


def compiled(model: BaseModel, batch: tuple[Tensor, Tensor]) -> Step:
    """As the option `compile` does it."""
    model.is_shared = False
    optimizer = model.make_optimizer()
    model.backward_pass = model.compiling

    def step() -> None:
        optimizer.zero_grad()
        model.backward_pass(batch)
        optimizer.step()

    return step


def bf16(model: BaseModel, batch: tuple[Tensor, Tensor]) -> Step:
    """As `--trainer.precision bf16-mixed`: products in 16 bits, weights in 32."""
    optimizer = model.make_optimizer()

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(batch[0].device.type, torch.bfloat16):
            loss, _ = model.loss(batch)
        loss.backward()
        optimizer.step()

    return step


CHOICES = {
    "as it is": as_it_is,
    "AdamW not fused": unfused,
    "rows first": rows_first,
    "compile": compiled,
    "bf16": bf16,
}


def as_shipped(arguments: list[str]) -> float:
    """Milliseconds a step of `train.py fit`, from the first step to the end of training, without validation."""
    cli = quietly([*arguments, "--test_checkpoint=none"])
    return (cli.history.seconds - cli.history.validation_seconds) / int(cli.trainer.global_step) * 1000


def timed(step: Step, count: int) -> float:
    """Milliseconds a step."""
    wait()
    start = time.perf_counter()
    for _ in range(count):
        step()
    wait()
    return (time.perf_counter() - start) / count * 1000


def measure(rounds: int = ROUNDS, configs: tuple[str, ...] = tuple(CONFIGS), with_chunks: bool = True) -> Row:
    steps: Row = {}
    for config in configs:
        subjects: dict[str, Callable[[], float]] = {}
        first: dict[str, float] = {}  # seconds of the first step, which compiles
        for name, choice in CHOICES.items():
            cli = quietly(["-c", f"configs/{config}.yaml"], run=False)
            is_image = any(isinstance(module, torch.nn.Conv2d) for module in cli.model.modules())
            if name == "rows first" and not is_image:
                continue
            model = cli.model.to(device="cuda" if torch.cuda.is_available() else "cpu").train()
            inputs = torch.randn(cli.datamodule.batch_size, *cli.datamodule.input_shape, device=model.device)
            step = choice(model, (inputs, torch.randint(10, (len(inputs),), device=model.device)))
            start = time.perf_counter()
            step()
            first[name] = time.perf_counter() - start
            if name == "compile" and model.backward_pass == model.gradients:
                continue  # it cannot, and has said so
            subjects[name] = functools.partial(timed, step, CONFIGS[config])
        steps[config] = {"milliseconds": interleaved(rounds, subjects), "first": first}
        print(table({"steps": {config: steps[config]}, "chunks": {}}).splitlines()[2], flush=True)
    chunks: Row = {}
    for config, epochs in CHUNKS.items() if with_chunks else ():
        flags = ["-c", f"configs/{config}.yaml", f"--trainer.max_epochs={epochs}"]
        runs: dict[str, Callable[[], float]] = {
            str(n): functools.partial(as_shipped, [*flags, f"--data.steps_per_execution={n}"])
            for n in STEPS_PER_EXECUTION
        }
        chunks[config] = interleaved(rounds, runs)
        print(config, {name: f"{statistics.median(taken):.3g}" for name, taken in chunks[config].items()}, flush=True)
    return {"steps": steps, "chunks": chunks, "on": device()}


def table(found: Row) -> str:
    rows = []
    for config, measured in found["steps"].items():
        taken = measured["milliseconds"]
        others = [shown(ratio(taken[name], taken["as it is"])) if name in taken else "—" for name in list(CHOICES)[1:]]
        seconds = f"{measured['first']['compile']:.0f}" if "compile" in taken else "cannot"
        rows.append([config, f"{statistics.median(taken['as it is']):.3g}", *others, seconds])
    whole = markdown(["config", "ms a step", *(f"{name} ÷" for name in list(CHOICES)[1:]), "compiling, s"], rows)
    if not found["chunks"]:
        return whole
    rows = [
        [config, *(shown(ratio(taken[str(n)], taken["1"])) for n in STEPS_PER_EXECUTION[1:])]
        for config, taken in found["chunks"].items()
    ]
    return f"{whole}\n\n" + markdown(["config", *(f"{n} steps a call ÷ 1" for n in STEPS_PER_EXECUTION[1:])], rows)


if __name__ == "__main__":
    measure()
