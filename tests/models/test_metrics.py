"""The metrics of an epoch equal means over all samples, for any division into batches."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models import metrics
from models.metrics import IGNORE_INDEX, EpochMetrics

SIZES = [8, 8, 8, 3, 8, 1]  # samples per batch
Batches = list[tuple[Tensor, Tensor]]


def classified(*shape: int) -> Batches:
    """Logits and labels in batches of different sizes. A quarter of the labels is ignored."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for size in SIZES:
        targets = torch.randint(5, (size, *shape), generator=generator)
        targets[torch.rand(targets.shape, generator=generator) < 0.25] = IGNORE_INDEX
        targets.view(-1)[0] = 1  # the mean over no label would be NaN
        found.append((torch.randn(size, *shape, 5, generator=generator), targets))
    return found


def regressed() -> Batches:
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(size, 2, generator=generator), torch.randn(size, 2, generator=generator)) for size in SIZES]


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs.flatten(0, -2), targets.flatten(), ignore_index=IGNORE_INDEX)


def together(batches: Batches) -> tuple[Tensor, Tensor]:
    outputs, targets = zip(*batches, strict=True)
    return torch.cat(outputs), torch.cat(targets)


def add(metrics: EpochMetrics, batches: Batches) -> None:
    loss = cross_entropy if "acc" in metrics.metrics else F.mse_loss
    for outputs, targets in batches:
        metrics.add(loss(outputs, targets), outputs, targets)


def computed(metrics: EpochMetrics) -> dict[str, float]:
    return {name: float(metric.compute()) for name, metric in metrics.metrics.items()}


CASES = [("classification", classified()), ("tagging", classified(4)), ("regression", regressed())]
every_task = pytest.mark.parametrize(("task", "batches"), CASES, ids=["classification", "tagging", "regression"])


@every_task
def test_metrics_equal_a_computation_over_all_samples(task: str, batches: Batches) -> None:
    epoch = EpochMetrics(task)
    add(epoch, batches)
    outputs, targets = together(batches)
    if task == "regression":
        expected = {"loss": F.mse_loss(outputs, targets)}
    else:
        counted = targets != IGNORE_INDEX
        accuracy = (outputs.argmax(-1)[counted] == targets[counted]).float().mean()
        expected = {"loss": cross_entropy(outputs, targets), "acc": accuracy}
    assert computed(epoch) == pytest.approx({name: float(value) for name, value in expected.items()}, rel=1e-6)


@every_task
@pytest.mark.parametrize("max_pending", [0, 10, 100])
def test_metrics_do_not_depend_on_the_size_of_the_queue(
    task: str, batches: Batches, max_pending: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, early = EpochMetrics(task), EpochMetrics(task)
    add(late, batches)
    assert late.pending, "some batches wait"
    monkeypatch.setattr(metrics, "MAX_PENDING", max_pending)
    for batch in batches:
        add(early, [batch])
        early.flush()
        assert not early.pending
    assert computed(late) == pytest.approx(computed(early), rel=1e-6)
    assert late.metrics["loss"].count == early.metrics["loss"].count


@every_task
def test_pending_batches_are_limited(task: str, batches: Batches, monkeypatch: pytest.MonkeyPatch) -> None:
    epoch = EpochMetrics(task)
    monkeypatch.setattr(metrics, "MAX_PENDING", 0)
    add(epoch, batches)
    assert not epoch.pending


@every_task
def test_compute_may_be_called_between_batches(task: str, batches: Batches) -> None:
    whole, part, epoch = EpochMetrics(task), EpochMetrics(task), EpochMetrics(task)
    add(whole, batches)
    add(part, batches[:3])
    add(epoch, batches[:3])
    assert computed(epoch) == computed(part)
    add(epoch, batches[3:])
    assert computed(epoch) == pytest.approx(computed(whole), rel=1e-6)


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("position", [0, 1, 5])
def test_nan_stays_nan(task: str, position: int) -> None:
    epoch = EpochMetrics(task)
    for number in range(6):
        loss = torch.tensor(float("nan") if number == position else 1.0)
        epoch.add(loss, torch.ones(4, 2), torch.ones(4, 2) if task == "regression" else torch.ones(4).long())
    assert epoch.metrics["loss"].compute().isnan()


def test_add_returns_whether_a_batch_is_the_first_since_a_reset() -> None:
    epoch, loss = EpochMetrics("classification"), torch.tensor(1.0)
    batch = loss, torch.ones(4, 2), torch.ones(4).long()
    assert [epoch.add(*batch) for _ in range(3)] == [True, False, False]
    epoch.reset()
    assert [epoch.add(*batch) for _ in range(2)] == [True, False]


@every_task
def test_state_is_restored_inside_an_epoch(task: str, batches: Batches) -> None:
    unbroken, interrupted, resumed = EpochMetrics(task), EpochMetrics(task), EpochMetrics(task)
    add(unbroken, batches)
    add(interrupted, batches[:3])
    states = {name: metric.state_dict() for name, metric in interrupted.metrics.items()}
    assert all(set(state) == {"total", "count"} for state in states.values())
    add(interrupted, batches[3:])
    assert computed(interrupted) == pytest.approx(computed(unbroken), rel=1e-6), "saving does not change the metrics"
    for name, metric in resumed.metrics.items():
        metric.load_state_dict(states[name])
    add(resumed, batches[3:])
    assert computed(resumed) == pytest.approx(computed(unbroken), rel=1e-6)
    assert resumed.metrics["loss"].count == unbroken.metrics["loss"].count


@every_task
def test_reset_drops_pending_batches(task: str, batches: Batches) -> None:
    fresh, epoch = EpochMetrics(task), EpochMetrics(task)
    add(epoch, batches[:3])
    assert epoch.pending
    epoch.reset()
    assert not epoch.pending
    assert epoch.metrics["loss"].count == 0
    for one in (fresh, epoch):
        add(one, batches[4:])
    assert computed(epoch) == computed(fresh)
