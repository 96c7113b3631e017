"""Sequences of unequal length: what stands behind the end of a sequence must not matter."""

from typing import Any

import pytest
import torch

import models
from models import RNN, TCN, BaseModel, Transformer
from models.base import Task

LENGTHS = torch.tensor([7, 3, 1, 5])
KINDS: list[tuple[type[BaseModel], dict[str, Any]]] = [
    *(
        (RNN, {"cell": cell, "num_layers": 2, "bidirectional": both})
        for cell in ("lstm", "gru")
        for both in (False, True)
    ),
    (RNN, {"cell": "tanh"}),
    (TCN, {"num_blocks": 2, "kernel_size": 3}),
    (Transformer, {"head_size": 4, "causal": False}),
    (Transformer, {"head_size": 4, "causal": True}),
]


def test_every_model_that_takes_lengths_is_tested() -> None:
    names = {kind.__name__ for kind, _ in KINDS}
    for name in models.__all__:
        assert ("lengths" in getattr(models, name).forward.__code__.co_varnames) == (name in names), name


@pytest.mark.parametrize("task", ["classification", "tagging"])
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_padding_changes_nothing(kind: type[BaseModel], options: dict[str, Any], task: Task) -> None:
    torch.manual_seed(0)
    model = kind([7, 3], 4, task=task, **options).eval()
    x = torch.randn(4, 7, 3)
    padded = torch.where(torch.arange(7)[:, None] < LENGTHS[:, None, None], x, 1e3)
    with torch.no_grad():
        together = model(padded, LENGTHS)
        for sequence, length, outputs in zip(x, LENGTHS, together, strict=True):
            expected = model(sequence[None, :length])[0]
            torch.testing.assert_close(outputs[:length] if task == "tagging" else outputs, expected)


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_no_gradient_reaches_the_padding(kind: type[BaseModel], options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 7, 3, requires_grad=True)
    kind([7, 3], 4, **options)(x, LENGTHS).square().sum().backward()
    assert x.grad is not None
    is_padding = torch.arange(7) >= LENGTHS[:, None]
    assert not x.grad[is_padding].any()
    assert x.grad[torch.arange(4), LENGTHS - 1].any(-1).all()
