"""What all callbacks that look into a network share: when they look, on what, and that training notices nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import lightning as L
import numpy as np
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

NONLINEARITIES = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh)  # value by value
FOLDER = "insight"  # of a run: numbers behind the pictures, for figures of several runs


class Insight(L.Callback):
    """Looks into a network before training, at intervals, and when it ends; draws for TensorBoard what it sees.

    A subclass writes `look`, and `why_not` if it does not apply to every run. Training computes the same bits with and
    without it: it looks in evaluation mode, without gradients, and with generators of its own.

    Args:
        every_n_epochs: epochs from one look to the next; by default a fifth of the run. TensorBoard's slider keeps
            10 pictures, unless it is started with --samples_per_plugin images=100.

    Raises:
        ValueError: an interval below 1.
    """

    num_intervals: ClassVar[int] = 5  # of a run, by default; with 0 it looks only at the end

    def __init__(self, every_n_epochs: int | None = None) -> None:
        if every_n_epochs is not None and every_n_epochs < 1:
            raise ValueError(f"{type(self).__name__}: every_n_epochs={every_n_epochs} is too small; type 1 or more")
        self.every_n_epochs = every_n_epochs
        self.is_on = False
        self.epoch = 0  # finished ones
        self.last_look: int | None = None
        self.places: dict[str, list[Bbox]] = {}  # of the axes in the figures of a tag

    # What a subclass writes.

    def why_not(self, trainer: L.Trainer, model: L.LightningModule) -> str | None:
        """Why it does not apply to this run; none if it does."""
        return None

    def look(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Looks at the model as it is after `self.epoch` epochs."""
        raise NotImplementedError(f"{type(self).__name__} must say what it looks at")

    # When it looks.

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        reason = self.why_not(trainer, pl_module)
        if not isinstance(trainer.logger, TensorBoardLogger):
            reason = "there is no TensorBoard logger to draw for"
        self.is_on = trainer.is_global_zero and reason is None
        if trainer.is_global_zero and reason is not None:
            print(f"{type(self).__name__} is off: {reason}.", flush=True)
        total: Any = pl_module.total_steps  # 1 if the run has no end
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
        self.num_epochs = math.ceil(total / datamodule.steps_per_epoch)
        self.epoch = trainer.current_epoch
        if self.is_on and self.epoch == 0 and self.is_due(0):
            self.look_aside(trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.epoch = trainer.current_epoch + 1
        if self.is_on and self.is_due(self.epoch):
            self.look_aside(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.is_on and self.last_look != self.epoch:
            self.look_aside(trainer, pl_module)

    def is_due(self, epoch: int) -> bool:
        """Whether it looks when this many epochs are finished; it looks after the last one anyway."""
        if self.every_n_epochs is None and self.num_intervals == 0:
            return False
        return epoch % (self.every_n_epochs or math.ceil(self.num_epochs / self.num_intervals)) == 0

    def look_aside(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Looks in a way that training does not notice."""
        modes = {module: module.training for module in model.modules()}
        devices = [model.device] if model.device.type == "cuda" else []
        model.eval()
        # a model may draw numbers in `forward` even in evaluation mode
        with torch.random.fork_rng(devices), torch.no_grad():
            self.look(trainer, model)
        for module, mode in modes.items():
            module.training = mode
        self.last_look = self.epoch

    # What it looks at, and where it draws.

    def samples(self, trainer: L.Trainer, most: int, split: str = "val") -> tuple[Tensor, Tensor]:
        """Samples of a split, evenly spaced over all; training samples where none validate."""
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
        inputs, targets = datamodule.splits[split if len(datamodule.splits[split][1]) else "train"]
        chosen = torch.linspace(0, len(targets) - 1, min(most, len(targets))).long().to(targets.device)
        return trainer.precision_plugin.convert_input(inputs[chosen]), targets[chosen]

    def writer(self, trainer: L.Trainer) -> SummaryWriter:
        logger: Any = trainer.logger
        return logger.experiment

    def draw(self, trainer: L.Trainer, tag: str, figure: Figure) -> np.ndarray:
        """Puts a figure under TensorBoard's IMAGES, at x = finished epochs; returns its pixels `(H, W, 3)`."""
        canvas = FigureCanvasAgg(figure)
        if tag in self.places:  # arranging takes as long as drawing
            figure.set_layout_engine("none")
            for axes, place in zip(figure.axes, self.places[tag], strict=True):
                axes.set_position(place)
        canvas.draw()
        self.places[tag] = [axes.get_position(original=True) for axes in figure.axes]
        pixels = np.asarray(canvas.buffer_rgba())[..., :3].copy()
        self.writer(trainer).add_image(tag, pixels, self.epoch, dataformats="HWC")
        return pixels

    def write_curves(self, trainer: L.Trainer, curves: dict[str, float], step: int) -> None:
        for logger in trainer.loggers:
            logger.log_metrics(curves, step=step)

    def folder(self, trainer: L.Trainer) -> Path:
        """Of the run: for what is kept in files."""
        logger: Any = trainer.logger
        folder = Path(logger.log_dir, FOLDER)
        folder.mkdir(exist_ok=True)
        return folder

    def keep(self, trainer: L.Trainer, **arrays: np.ndarray) -> None:
        """Keeps the numbers behind the last picture in `insight/<callback>.npz` of the run."""
        np.savez_compressed(self.folder(trainer) / f"{type(self).__name__}.npz", allow_pickle=False, **arrays)


def stages(module: nn.Module, prefix: str = "") -> dict[str, nn.Module]:
    """The parts that a network's input passes one after another, by name: its children.

    A container of parts that have parts themselves is opened: `blocks.0`, `stages.1.0`. Dropout is left out: it does
    nothing in evaluation.
    """
    found: dict[str, nn.Module] = {}
    for name, child in module.named_children():
        parts = list(child.children())
        if isinstance(child, nn.Sequential | nn.ModuleList) and all(list(part.children()) for part in parts):
            found |= stages(child, f"{prefix}{name}.")
        elif not isinstance(child, nn.Dropout):
            found[prefix + name] = child
    return found


def some(parts: dict[str, nn.Module], most: int) -> dict[str, nn.Module]:
    """Every so many of the parts, the first and the last always."""
    names = list(parts)
    chosen = np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int)
    return {names[number]: parts[names[number]] for number in chosen}


def weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weight tensors from input to head, biases and norm scales left out, by the name of their layer."""
    return {
        name.removesuffix(".weight"): parameter
        for name, parameter in model.named_parameters()
        if parameter.ndim >= 2 and parameter.requires_grad
    }


@contextmanager
def recorded(modules: dict[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """While it is open, what each module has given last; of several tensors, as of a recurrent layer, the first."""
    given: dict[str, Tensor] = {}

    def record(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            given[name] = output[0] if isinstance(output, tuple) else output

        return hook

    handles = [module.register_forward_hook(record(name)) for name, module in modules.items()]
    try:
        yield given
    finally:
        for handle in handles:
            handle.remove()


def by_unit(given: Tensor, part: nn.Module) -> Tensor:
    """What a part gave as `(B, U, P)`: units, or channels, and the P positions at which each responds.

    Channels come second, as in `(B, C, H, W)` and in convolutions over time; else units come last, as in `(B, T, U)`.
    """
    if given.ndim == 3 and not any(isinstance(module, nn.Conv1d) for module in part.modules()):
        given = given.transpose(1, 2)
    return given.flatten(2) if given.ndim > 2 else given[..., None]


def array(tensor: Tensor) -> np.ndarray:
    """As numpy, for drawing."""
    return tensor.detach().float().cpu().numpy()


def is_picture(inputs: Tensor) -> bool:
    """Whether a sample is `(C, H, W)`, or `(T, D)` with more than one number a step."""
    return inputs.ndim > 2 and min(inputs.shape[-2:]) > 1


def pictures(inputs: Tensor) -> np.ndarray:
    """Inputs as pictures `(N, H, W)`: the mean over their channels, steps as rows; what is no picture as stripes."""
    if not is_picture(inputs):
        stripes = array(inputs.flatten(1))[:, None]
        return stripes.repeat(min(stripes.shape[2], 28), axis=1)
    return array(inputs.mean(1) if inputs.ndim == 4 else inputs)
