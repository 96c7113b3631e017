"""What does Lightning do for me? The same training as `train.py fit`, as a loop written by hand.

The losses are the same to the bit; tests/benchmarks/test_plain_loop.py compares them. Lightning adds the device, mixed
precision, several processes, checkpoints, resuming, curves, progress and limits such as `max_steps`.

Use it for data without augmentation: `augment` is called under a Trainer only.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from datamodules import BaseDataModule
from models import BaseModel


def fit(
    model: BaseModel, datamodule: BaseDataModule, max_epochs: int, gradient_clip_val: float | None = None
) -> tuple[list[float], list[dict[str, float]]]:
    """Trains on the CPU. Returns the training loss of every step and the validation metrics of every epoch."""
    datamodule.prepare_data()
    datamodule.setup("fit")
    train_loader: Any = datamodule.train_dataloader()
    optimizer = model.make_optimizer()
    scheduler = model.make_scheduler(optimizer, total_steps=max_epochs * len(train_loader))
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    metrics = model.add_metrics("val_0")
    losses: list[float] = []
    validation: list[dict[str, float]] = []
    for epoch in range(max_epochs):
        model.train()
        train_loader.sampler.set_epoch(epoch)
        for inputs, targets in train_loader:
            loss = model.loss(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            if gradient_clip_val:
                nn.utils.clip_grad_norm_(parameters, gradient_clip_val)
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
        if datamodule.val_size == 0:
            continue
        model.eval()
        with torch.inference_mode():
            for inputs, targets in datamodule.evaluation_loader("val"):
                outputs = model(inputs)
                metrics.add(model.loss(outputs, targets), outputs, targets)
        validation.append({name: float(metric.compute()) for name, metric in metrics.metrics.items()})
        metrics.reset()
    return losses, validation
