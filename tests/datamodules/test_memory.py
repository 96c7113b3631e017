import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from datamodules import AddingProblem, CopyMemory
from datamodules.loader import ShuffledLoader
from datamodules.memory import Generated


def set_up(datamodule: Generated) -> Generated:
    datamodule.setup()
    return datamodule


@pytest.mark.parametrize("marks", ["halves", "anywhere"])
def test_target_is_the_sum_of_the_two_marked_numbers(marks: str) -> None:
    datamodule = AddingProblem(7, marks)  # type: ignore[arg-type]
    inputs, targets = datamodule.draw(2000, np.random.default_rng(0))
    numbers, marked = inputs.unbind(-1)
    assert (marked.sum(1) == 2).all()
    torch.testing.assert_close((numbers * marked).sum(1, keepdim=True), targets)
    in_first_half = marked[:, :3].sum(1)
    assert (in_first_half == 1).all() == (marks == "halves")
    assert marked.sum(0).min() > 0, "every step may be marked"


def test_adding_baseline_is_the_error_of_a_constant_output_of_1() -> None:
    _, targets = AddingProblem(50).draw(100_000, np.random.default_rng(0))
    assert ((targets - 1) ** 2).mean().item() == pytest.approx(AddingProblem.baseline, abs=0.003)


def test_copy_targets_repeat_the_symbols_at_the_end() -> None:
    inputs, targets = CopyMemory(30).draw(500, np.random.default_rng(0))
    symbols = inputs.argmax(-1)
    assert torch.equal(symbols[:, :10], targets[:, -10:])
    assert set(symbols[:, :10].unique().tolist()) == set(range(1, 9))
    assert not symbols[:, 10:39].any(), "29 blanks"
    assert (symbols[:, 39] == 9).all(), "the go signal, ten steps before the end"
    assert not symbols[:, 40:].any()
    assert not targets[:, :-10].any()


def test_copy_baseline_is_the_loss_without_memory() -> None:
    datamodule = CopyMemory(30)
    _, targets = datamodule.draw(20, np.random.default_rng(0))
    logits = torch.full((20, 50, 9), -1e4)
    logits[:, :-10, 0] = 0.0  # certain that it is blank
    logits[:, -10:, 1:] = 0.0  # one of eight
    assert F.cross_entropy(logits.flatten(0, 1), targets.flatten()).item() == pytest.approx(datamodule.baseline)
    assert CopyMemory(1000).baseline == pytest.approx(10 * math.log(8) / 1020)


@pytest.mark.parametrize("make", [AddingProblem, CopyMemory])
def test_training_samples_are_new_in_each_epoch_and_validation_samples_fixed(make: Any) -> None:
    def batches(seed: int, epoch: int) -> torch.Tensor:
        datamodule = set_up(make(num_steps=9, num_samples=40, batch_size=10, val_size=8, test_size=8, seed=seed))
        loader = datamodule.train_dataloader()
        assert isinstance(loader, ShuffledLoader)
        loader.set_epoch(epoch)
        return torch.cat([inputs for inputs, _ in loader])

    first, second, again, other = batches(0, 0), batches(0, 1), batches(0, 1), batches(1, 1)
    assert len(first) == 40
    assert torch.equal(second, again), "it depends only on seed and epoch"
    assert not {tuple(sample.flatten().tolist()) for sample in first} & {tuple(s.flatten().tolist()) for s in second}
    assert not {tuple(sample.flatten().tolist()) for sample in other} & {tuple(s.flatten().tolist()) for s in second}
    one, another = (set_up(make(num_steps=9, num_samples=40, val_size=8, test_size=8, seed=seed)) for seed in (3, 4))
    for split in ("val", "test"):
        assert len(one.splits[split][1]) == 8
        assert torch.equal(one.splits[split][0], another.splits[split][0])


def test_size_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match="num_samples=0 is too small"):
        AddingProblem(num_samples=0)
    with pytest.raises(ValueError, match="num_steps=1 is too small; use num_steps=2 or more"):
        AddingProblem(num_steps=1)
