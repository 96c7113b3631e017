"""Where the network puts the samples just before it decides."""

from __future__ import annotations

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from callbacks.insight import Insight, class_names, data_of, is_ink
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
        if data_of(trainer).task == "classification":
            names = class_names(trainer)
            labels = [names[label] if label >= 0 else "" for label in targets.tolist()]
        else:
            labels = [", ".join(f"{value:g}" for value in target) for target in targets.view(len(targets), -1).tolist()]
        self.writer(trainer).add_embedding(
            entered[0].flatten(1).float(),
            metadata=labels,
            label_img=sprites(inputs, is_ink(trainer)) if is_picture(inputs) else None,
            global_step=self.epoch,
            tag="penultimate",
        )


def sprites(inputs: Tensor, is_ink: bool) -> Tensor:
    """Pictures from 0 to 1, `(N, 1, H, H)` or in colour `(N, 3, H, H)`. The projector takes squares only."""
    shown = torch.from_numpy(pictures(inputs))
    shown = shown.permute(0, 3, 1, 2) if shown.ndim == 4 else shown[:, None]
    low, high = shown.amin((0, 2, 3), keepdim=True), shown.amax((0, 2, 3), keepdim=True)
    shown = (shown - low) / (high - low).clamp_min(torch.finfo(shown.dtype).tiny)
    missing = shown.shape[2] - shown.shape[3]
    shown = F.pad(shown, (0, max(missing, 0), 0, max(-missing, 0)))
    return 1 - shown if is_ink else shown
