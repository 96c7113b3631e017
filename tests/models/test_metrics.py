"""The metrics of an epoch: each is a mean over all of its samples, however they come in batches."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models import metrics
from models.metrics import IGNORE_INDEX, EpochAccuracy, EpochLoss, EpochMean, EpochSquaredError

SIZES = [8, 8, 8, 3, 8, 1]  # samples per batch
Batches = list[tuple[Tensor, Tensor]]


def classified(*shape: int) -> Batches:
    """Logits and classes of uneven batches; a quarter of the classes is ignored."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for size in SIZES:
        targets = torch.randint(5, (size, *shape), generator=generator)
        targets[torch.rand(targets.shape, generator=generator) < 0.25] = IGNORE_INDEX
        targets.view(-1)[0] = 1  # the mean over none is NaN
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


def add(metric: EpochMean, batches: Batches) -> None:
    for outputs, targets in batches:
        if isinstance(metric, EpochAccuracy):
            metric.add(outputs, targets)
        else:
            loss = F.mse_loss if isinstance(metric, EpochSquaredError) else cross_entropy
            metric.add(loss(outputs, targets), targets)


CASES = [
    (EpochLoss, classified()),
    (EpochLoss, classified(4)),
    (EpochSquaredError, regressed()),
    (EpochAccuracy, classified()),
    (EpochAccuracy, classified(4)),
]
every_metric = pytest.mark.parametrize(
    ("make", "batches"), CASES, ids=["loss", "loss-tagging", "squared-error", "accuracy", "accuracy-tagging"]
)


@every_metric
def test_metric_equals_a_computation_over_all_samples(make: Callable[[], EpochMean], batches: Batches) -> None:
    metric = make()
    add(metric, batches)
    outputs, targets = together(batches)
    if isinstance(metric, EpochAccuracy):
        counted = targets != IGNORE_INDEX
        expected = (outputs.argmax(-1)[counted] == targets[counted]).float().mean()
    else:
        expected = (F.mse_loss if isinstance(metric, EpochSquaredError) else cross_entropy)(outputs, targets)
    torch.testing.assert_close(metric.compute(), expected, rtol=1e-6, atol=1e-6)


@every_metric
@pytest.mark.parametrize("max_pending", [0, 10, 100])
def test_metric_does_not_depend_on_when_batches_are_added_up(
    make: Callable[[], EpochMean], batches: Batches, max_pending: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, early = make(), make()
    add(late, batches)
    assert late.pending, "some are left for later"
    monkeypatch.setattr(metrics, "MAX_PENDING", max_pending)
    for batch in batches:
        add(early, [batch])
        early.flush()
        assert not early.pending
    assert late.compute() == pytest.approx(float(early.compute()), rel=1e-6)
    assert late.count == early.count


@every_metric
def test_pending_batches_are_limited(
    make: Callable[[], EpochMean], batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = make()
    monkeypatch.setattr(metrics, "MAX_PENDING", 0)
    add(metric, batches)
    assert not metric.pending


@every_metric
def test_compute_may_be_called_between_batches(make: Callable[[], EpochMean], batches: Batches) -> None:
    whole, part, metric = make(), make(), make()
    add(whole, batches)
    add(part, batches[:3])
    add(metric, batches[:3])
    assert torch.equal(metric.compute(), part.compute())
    add(metric, batches[3:])
    assert metric.compute() == pytest.approx(float(whole.compute()), rel=1e-6)


@pytest.mark.parametrize("make", [EpochLoss, EpochSquaredError])
@pytest.mark.parametrize("position", [0, 1, 5])
def test_nan_stays_nan(make: Callable[[], EpochMean], position: int) -> None:
    metric = make()
    for number in range(6):
        loss = torch.tensor(float("nan") if number == position else 1.0)
        metric.add(loss, torch.ones(4, 2) if make is EpochSquaredError else torch.ones(4).long())
    assert metric.compute().isnan()


@every_metric
def test_state_is_restored_inside_an_epoch(make: Callable[[], EpochMean], batches: Batches) -> None:
    unbroken, interrupted, resumed = make(), make(), make()
    add(unbroken, batches)
    add(interrupted, batches[:3])
    state = interrupted.state_dict()
    assert set(state) == {"total", "count"}
    add(interrupted, batches[3:])
    assert interrupted.compute() == pytest.approx(float(unbroken.compute()), rel=1e-6), "saving changes nothing"
    resumed.load_state_dict(state)
    add(resumed, batches[3:])
    assert resumed.compute() == pytest.approx(float(unbroken.compute()), rel=1e-6)
    assert resumed.count == unbroken.count


@every_metric
def test_reset_drops_pending_batches(make: Callable[[], EpochMean], batches: Batches) -> None:
    fresh, metric = make(), make()
    add(metric, batches[:3])
    assert metric.pending
    metric.reset()
    assert not metric.pending
    assert metric.count == 0
    for one in (fresh, metric):
        add(one, batches[4:])
    assert torch.equal(metric.compute(), fresh.compute())
