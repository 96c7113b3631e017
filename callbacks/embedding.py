"""The inputs of the output layer, as points in TensorBoard's PROJECTOR."""

import math

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from callbacks.insight import Insight
from callbacks.parts import is_picture, to_pictures

MOST_SAMPLES = 1000
MOST_PIXELS = 8192  # per side of the picture of all samples; TensorBoard shows no larger one


class Embedding(Insight):
    """Writes 1,000 validation samples to TensorBoard's PROJECTOR page after training, under the tag `penultimate`.

    The coordinates of a sample are the input of the network's `head`. Each point has its label, or for regression its
    first target. If samples are pictures, it has its picture.
    """

    num_intervals = 0

    def reason_to_skip(self, trainer: L.Trainer, model: L.LightningModule) -> str | None:
        if not isinstance(getattr(model, "head", None), nn.Module):
            return f"{type(model).__name__} has no layer named head"
        if model.hparams["task"] == "tagging":
            return "in tagging, a sample has a class per time step"
        return None

    def inspect(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        inputs, targets, *lengths = self.samples(trainer, MOST_SAMPLES)
        head_inputs: list[Tensor] = []
        with model.get_submodule("head").register_forward_pre_hook(
            lambda _, args, kwargs: head_inputs.append([*args, *kwargs.values()][0]), with_kwargs=True
        ):
            model(inputs, *lengths)
        if self.data.task == "classification":
            names = self.class_names()
            labels = [names[label] if label >= 0 else "" for label in targets.tolist()]
        else:
            labels = [f"{value:g}" for value in targets[:, 0].tolist()]
        side = math.ceil(len(inputs) ** 0.5) * max(inputs.shape[-2:])  # of the picture of all samples
        self.board.experiment.add_embedding(
            head_inputs[0].flatten(1).float(),
            metadata=labels,
            label_img=sprites(inputs, self.data.is_ink) if is_picture(inputs) and side <= MOST_PIXELS else None,
            global_step=self.epoch,
            tag="penultimate",
        )


def sprites(inputs: Tensor, is_ink: bool) -> Tensor:
    """Square pictures with values from 0 to 1 for the projector: `(N, 1, H, H)`, or `(N, 3, H, H)` in colour."""
    pictures = torch.from_numpy(to_pictures(inputs))
    pictures = pictures.permute(0, 3, 1, 2) if pictures.ndim == 4 else pictures[:, None]
    low, high = pictures.amin((0, 2, 3), keepdim=True), pictures.amax((0, 2, 3), keepdim=True)
    pictures = (pictures - low) / (high - low).clamp_min(torch.finfo(pictures.dtype).tiny)
    missing = pictures.shape[2] - pictures.shape[3]
    pictures = F.pad(pictures, (0, max(missing, 0), 0, max(-missing, 0)))
    return 1 - pictures if is_ink else pictures
