"""What all callbacks that look into a network share: when they look, on what, and that training notices nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
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

    A subclass writes `look`; `why_not` if it does not apply to every run, and `finish` for what comes once. Training
    computes the same bits with and without it: it looks in evaluation mode, without gradients, and with generators of
    its own.

    Args:
        every_n_epochs: epochs from one look to the next; by default `num_intervals` looks a run. TensorBoard's slider
            keeps 10 pictures, unless it is started with --samples_per_plugin images=100.

    Attributes:
        seconds: it has looked for so long.

    Raises:
        ValueError: an interval below 1.
    """

    num_intervals: ClassVar[int] = 5  # of a run, by default; with 0 it looks only at the end

    def __init__(self, every_n_epochs: int | None = None) -> None:
        if every_n_epochs is not None and every_n_epochs < 1:
            raise ValueError(f"{type(self).__name__}: every_n_epochs={every_n_epochs} is too small; type 1 or more")
        self.every_n_epochs = every_n_epochs
        self.is_on = False

    # What a subclass writes.

    def why_not(self, trainer: L.Trainer, model: L.LightningModule) -> str | None:
        """Why it does not apply to this run; none if it does."""
        return None

    def look(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Looks at the model as it is after `self.epoch` epochs."""
        raise NotImplementedError(f"{type(self).__name__} must say what it looks at")

    def finish(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """What is left to do after the last look."""

    # When it looks.

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.seconds = 0.0
        self.last_look: int | None = None
        self.places: dict[str, list[Bbox]] = {}  # of the axes in the figures of a tag
        self.first_epoch = self.epoch = trainer.current_epoch  # finished ones
        total: Any = pl_module.total_steps  # 1 if the run has no end
        self.num_epochs = math.ceil(total / data_of(trainer).steps_per_epoch)
        reason = self.why_not(trainer, pl_module)
        if reason is None and board_of(trainer) is None:
            reason = "there is no TensorBoard logger to draw for"
        if reason is None and first_of(type(self), trainer) is not self:
            reason = "it was named twice"
        self.is_on = trainer.is_global_zero and reason is None
        if trainer.is_global_zero and reason is not None:
            print(f"{type(self).__name__} is off: {reason}.", flush=True)
        if self.is_on and self.epoch == 0 and self.is_due(0):
            self.look_aside(trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.epoch = trainer.current_epoch + 1
        if self.is_on and self.is_due(self.epoch):
            self.look_aside(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.is_on and self.last_look != self.epoch:
            self.look_aside(trainer, pl_module)
        if self.is_on:
            start = time.perf_counter()
            self.finish(trainer, pl_module)
            self.seconds += time.perf_counter() - start

    def is_due(self, epoch: int) -> bool:
        """Whether it looks when this many epochs are finished; it looks after the last one anyway."""
        if self.every_n_epochs is None and self.num_intervals == 0:
            return False
        return epoch % (self.every_n_epochs or math.ceil(self.num_epochs / self.num_intervals)) == 0

    def look_aside(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        start = time.perf_counter()
        with aside(model):
            self.look(trainer, model)
        self.last_look = self.epoch
        self.seconds += time.perf_counter() - start

    # What it looks at, and where it draws.

    def samples(self, trainer: L.Trainer, most: int, split: str = "val") -> tuple[Tensor, Tensor]:
        """Samples of a split, evenly spaced over all; training samples where none validate."""
        splits = data_of(trainer).splits
        inputs, targets = splits[split if len(splits[split][1]) else "train"]
        chosen = torch.linspace(0, len(targets) - 1, min(most, len(targets))).long().to(targets.device)
        return trainer.precision_plugin.convert_input(inputs[chosen]), targets[chosen]

    def writer(self, trainer: L.Trainer) -> SummaryWriter:
        logger: Any = board_of(trainer)
        return logger.experiment

    def draw(self, trainer: L.Trainer, tag: str, figure: Figure, is_alike: bool = True) -> np.ndarray:
        """Puts a figure under TensorBoard's IMAGES, at x = finished epochs; returns its pixels `(H, W, 3)`.

        Args:
            trainer: of the run.
            tag: `<what it shows>/<of which part>`.
            figure: to be drawn.
            is_alike: its labels need as much room as those of the last one with this tag, which then is kept.
        """
        canvas = FigureCanvasAgg(figure)
        if is_alike and tag in self.places:  # arranging takes as long as drawing
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
        logger: Any = board_of(trainer)
        folder = Path(logger.log_dir, FOLDER)
        folder.mkdir(exist_ok=True)
        return folder

    def keep(self, trainer: L.Trainer, **arrays: np.ndarray) -> None:
        """Keeps the numbers behind the last picture in `insight/<callback>.npz` of the run."""
        np.savez_compressed(self.folder(trainer) / f"{type(self).__name__}.npz", allow_pickle=False, **arrays)


def data_of(trainer: Any) -> Any:
    return trainer.datamodule


def board_of(trainer: L.Trainer) -> TensorBoardLogger | None:
    """The first TensorBoard logger."""
    return next((logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)), None)


def first_of(kind: type[L.Callback], trainer: Any) -> L.Callback:
    return next(one for one in trainer.callbacks if type(one) is kind)


@contextmanager
def aside(model: L.LightningModule) -> Iterator[None]:
    """Inside, the model can be looked at in a way that training does not notice."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        # PyTorch's generators alone: a model draws from them, if from any, even in evaluation mode
        with torch.random.fork_rng([model.device] if model.device.type == "cuda" else []), torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def stages(module: nn.Module, prefix: str = "") -> dict[str, nn.Module]:
    """The parts of a network by name: its children.

    A container of parts that have parts themselves is opened: `blocks.0`, `stages.1.0`; so is a list, which is never
    called itself. Dropout is left out: it does nothing in evaluation.
    """
    found: dict[str, nn.Module] = {}
    for name, child in module.named_children():
        is_list = isinstance(child, nn.ModuleList | nn.ModuleDict)
        is_nested = isinstance(child, nn.Sequential) and all(list(part.children()) for part in child)
        if is_list or is_nested:
            found |= stages(child, f"{prefix}{name}.")
        elif not isinstance(child, nn.Dropout):
            found[prefix + name] = child
    return found


def some(names: Iterable[str], most: int) -> list[str]:
    """Every so many of the names, the first and the last always."""
    listed = list(names)
    chosen = np.linspace(0, len(listed) - 1, min(most, len(listed))).round().astype(int)
    return [listed[number] for number in chosen]


def weights(model: nn.Module, inputs: Tensor) -> dict[str, nn.Parameter]:
    """The weight tensors by the name of their layer, in the order in which samples pass them.

    Biases and norm scales are left out; what is used without a call of its own, as inside attention, comes last.
    """
    owners = {
        name: module
        for name, module in model.named_modules()
        if any(parameter.ndim >= 2 for parameter in module.parameters(recurse=False))
    }
    called: list[str] = []
    with hooked((module, partial(lambda name, *_: called.append(name), name)) for name, module in owners.items()):
        model(inputs)
    found = {}
    for owner in dict.fromkeys([*called, *owners]):
        for name, parameter in owners[owner].named_parameters(recurse=False):
            if parameter.ndim >= 2:
                found[f"{owner}.{name}".strip(".").removesuffix(".weight")] = parameter
    return found


def lacks_weights(model: nn.Module) -> str | None:
    """The reason not to look at weights where there are none."""
    return None if any(one.ndim >= 2 for one in model.parameters()) else "the network has no weights"


@contextmanager
def hooked(hooks: Iterable[tuple[nn.Module, Callable[..., None]]]) -> Iterator[None]:
    """While it is open, each function is called with (module, inputs, output) after its module was."""
    handles = [module.register_forward_hook(hook) for module, hook in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def recorded(modules: dict[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """While it is open, what each module has given last, in the order of their first calls.

    Of several tensors, as of a recurrent layer, it is the first; what gives none is left out.
    """
    given: dict[str, Tensor] = {}

    def record(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        if isinstance(first, Tensor):
            given[name] = first

    with hooked((module, partial(record, name)) for name, module in modules.items()):
        yield given


def by_unit(given: Tensor, model: nn.Module) -> Tensor:
    """What a part gave as `(B, U, P)`: units, or channels, and the P positions at which each responds.

    Channels come second, as in `(B, C, H, W)` and, in a network with convolutions over time, `(B, C, T)`; else units
    come last, as in `(B, T, U)`.
    """
    if given.ndim == 3 and not any(isinstance(module, nn.Conv1d) for module in model.modules()):
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
