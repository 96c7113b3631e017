"""What does Lightning do for me? The same training as `train.py fit`, written by hand.

The losses are the same to the bit, which tests/benchmarks/test_plain_loop.py checks. What these lines do not
do: the device, mixed precision, several processes, checkpoints and going on from them, curves, progress, the
graph, limits such as `max_steps`, and reading a config.
"""

import math

import torch
from torch import nn

from datamodules import BaseDataModule
from models import BaseModel


def fit(model: BaseModel, datamodule: BaseDataModule, max_epochs: int) -> tuple[list[float], list[dict[str, float]]]:
    """Trains on the CPU and returns the training loss of every step and the validation means of every epoch."""
    datamodule.prepare_data()
    datamodule.setup("fit")
    train_loader = datamodule.train_dataloader()
    optimizer = model.make_optimizer()
    total_steps = max_epochs * datamodule.steps_per_epoch
    losses: list[float] = []
    validation: list[dict[str, float]] = []
    for epoch in range(max_epochs):
        model.train()
        train_loader.sampler.set_epoch(epoch)
        for chunk in train_loader:
            for batch in chunk:
                for group in optimizer.param_groups:
                    group["lr"] = model.lr_at(len(losses), total_steps)
                loss, _ = model.loss(batch)
                optimizer.zero_grad()
                loss.backward()
                parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
                nn.utils.clip_grad_norm_(parameters, model.hparams["gradient_clip"] or math.inf)
                optimizer.step()
                losses.append(loss.item())
        if datamodule.val_size == 0:
            continue
        model.eval()
        with torch.inference_mode():
            for samples in datamodule.evaluation_loader("val"):
                loss, outputs = model.loss(samples)
                model.measure("val", loss[None], outputs[None], samples[1][None])
        validation.append({name: float(mean.compute()) for name, mean in model.means.pop("val").items()})
    return losses, validation
