"""What was tried to make a step faster, kept or not: each against the step as it is.

python -m benchmarks.choices

The step as it is: fused AdamW, float32, eager, convolutions in channels_last. All are measured on the bare step at the
batch size of the config.
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
from engine.results import Row
from models import BaseModel

CONFIGS = {  # and how many steps make a measurement
    "mnist/shallow_mlp": 200,
    "mnist/deep_mlp": 20,
    "mnist/fast_cnn": 20,
    "mnist/resnet": 10,
    "sequence/lstm": 10,
    "sequence/gru": 10,
    "depth/mnist_residual": 20,
}
ROUNDS = 5
Step = Callable[[], object]
COMPILED = "model.compile()"


def step_of(model: BaseModel, batch: tuple[Tensor, Tensor], optimizer: torch.optim.Optimizer) -> Step:
    inputs, targets = batch

    def step() -> None:
        optimizer.zero_grad()
        model.loss(model(inputs), targets).backward()
        optimizer.step()

    return step


def as_it_is(model: BaseModel, batch: tuple[Tensor, Tensor]) -> Step:
    return step_of(model, batch, model.make_optimizer())


def unfused(model: BaseModel, batch: tuple[Tensor, Tensor]) -> Step:
    groups = [
        {name: group[name] for name in ("params", "weight_decay")} for group in model.make_optimizer().param_groups
    ]
    return step_of(model, batch, torch.optim.AdamW(groups, fused=False))


def rows_first(model: BaseModel, batch: tuple[Tensor, Tensor]) -> Step:
    """Weights and images in PyTorch's usual order; for networks of two-dimensional convolutions."""
    model.to(memory_format=torch.contiguous_format)
    inner = as_it_is(model, batch)

    def step() -> None:
        with patch.object(torch, "channels_last", torch.contiguous_format):
            inner()

    return step


def compiled(model: BaseModel, batch: tuple[Tensor, Tensor]) -> Step:
    """The model compiled as PyTorch documents it. The loss and the optimizer stay eager."""
    model.compile()
    return as_it_is(model, batch)


def bf16(model: BaseModel, batch: tuple[Tensor, Tensor]) -> Step:
    """As `--trainer.precision bf16-mixed`: products in 16 bits, weights in 32."""
    optimizer = model.make_optimizer()
    inputs, targets = batch

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(inputs.device.type, torch.bfloat16):
            loss = model.loss(model(inputs), targets)
        loss.backward()
        optimizer.step()

    return step


CHOICES = {
    "as it is": as_it_is,
    "AdamW not fused": unfused,
    "rows first": rows_first,
    COMPILED: compiled,
    "bf16": bf16,
}


def timed(step: Step, count: int) -> float:
    """Milliseconds per step."""
    wait()
    start = time.perf_counter()
    for _ in range(count):
        step()
    wait()
    return (time.perf_counter() - start) / count * 1000


def measure(rounds: int = ROUNDS, configs: tuple[str, ...] = tuple(CONFIGS)) -> Row:
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
            subjects[name] = functools.partial(timed, step, CONFIGS[config])
        steps[config] = {"milliseconds": interleaved(rounds, subjects), "first": first}
        print(table({"steps": {config: steps[config]}}).splitlines()[2], flush=True)
    return {"steps": steps, "on": device()}


def table(found: Row) -> str:
    names = list(CHOICES)[1:]
    rows = []
    for config, measured in found["steps"].items():
        taken = measured["milliseconds"]
        others = [shown(ratio(taken[name], taken["as it is"])) if name in taken else "—" for name in names]
        seconds = f"{measured['first'][COMPILED]:.0f}" if COMPILED in taken else "—"
        rows.append([config, f"{statistics.median(taken['as it is']):.3g}", *others, seconds])
    return markdown(["config", "ms per step", *(f"{name} ÷" for name in names), "compiling, s"], rows)


if __name__ == "__main__":
    measure()
