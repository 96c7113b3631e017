"""Where the network puts the samples just before it decides."""

from __future__ import annotations

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from callbacks.insight import Insight
from callbacks.parts import is_picture, pictures

MOST_SAMPLES = 1000


class Embedding(Insight):
    """Puts 1,000 validation samples into TensorBoard's PROJECTOR, when training ends.

    A point is what enters the network's `head` for a sample, with its label and, where samples are pictures, its
    picture.
    """

    num_intervals = 0

    def why_not(self, trainer: L.Trainer, model: L.LightningModule) -> str | None:
        if not isinstance(getattr(model, "head", None), nn.Module):
            return f"{type(model).__name__} has no part called head"
        if model.hparams["task"] == "tagging":
            return "tagging has a class a time step, not one a sample"
        return None

    def look(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        inputs, targets = self.samples(trainer, MOST_SAMPLES)
        entered: list[Tensor] = []
        handle = model.get_submodule("head").register_forward_pre_hook(
            lambda _, given, named: entered.append([*given, *named.values()][0]), with_kwargs=True
        )
        try:
            model(inputs)
        finally:
            handle.remove()
        if not entered:
            print("Nothing is embedded: the network does not call its head.", flush=True)
            return
        labels = [", ".join(f"{value:g}" for value in target) for target in targets.view(len(targets), -1).tolist()]
        self.writer(trainer).add_embedding(
            entered[0].flatten(1).float(),
            metadata=labels,
            label_img=sprites(inputs) if is_picture(inputs) else None,
            global_step=self.epoch,
            tag="penultimate",
        )


def sprites(inputs: Tensor) -> Tensor:
    """Pictures of ink on white, `(N, 1, H, H)`, from 0 to 1; the projector takes squares only."""
    ink = torch.from_numpy(pictures(inputs))[:, None]
    ink = (ink - ink.min()) / (ink.max() - ink.min()).clamp_min(torch.finfo(ink.dtype).tiny)
    missing = ink.shape[2] - ink.shape[3]
    return 1 - F.pad(ink, (0, max(missing, 0), 0, max(-missing, 0)))
