"""Learning rate schedules: the learning rate of a step as a fraction of the peak learning rate."""

import math


def lr_factor(schedule: str, warmup_ratio: float, step: int, total_steps: int) -> float:
    """The learning rate of a step, counted from 0, as a fraction of the peak.

    `constant` and `cosine` start with a linear warmup. `onecycle` has the learning rates of PyTorch's `OneCycleLR` with
    `pct_start=warmup_ratio`: a cosine from lr/25 to lr, then a cosine to lr/250,000. It does not change the momentum.
    PyTorch's schedulers are not used, because a run cannot be resumed with more epochs with them.
    """
    warmup_steps = warmup_ratio * total_steps
    if schedule == "onecycle":
        peak, last = warmup_steps - 1, total_steps - 1
        if step <= peak:
            return cosine_between(1 / 25, 1.0, step / peak if peak > 0 else 1.0)
        return cosine_between(1.0, 1 / 25e4, (step - max(peak, 0)) / max(last - max(peak, 0), 1))
    if step < warmup_steps:
        return min(1.0, (step + 1) / warmup_steps)
    if schedule == "constant":
        return 1.0
    return cosine_between(1.0, 0.0, (step - warmup_steps) / max(total_steps - warmup_steps, 1))


def cosine_between(start: float, end: float, fraction: float) -> float:
    """Cosine annealing from `start` to `end`, where `fraction` of it is completed. Above 1, it stays at `end`."""
    return end + (start - end) * (1 + math.cos(math.pi * min(fraction, 1.0))) / 2
