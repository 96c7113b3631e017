"""A trained network reads a drawn digit: class probabilities, the outputs of its stages, and its input gradient.

The shipped checkpoint is a LeNet trained on the 55,000 training digits of MNIST. It is the `best.ckpt` of
`python train.py fit -c configs/mnist/lenet.yaml`, without `optimizer_states`, `lr_schedulers`, `loops` and `callbacks`.
"""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

import datamodules
import models
from callbacks.parts import by_unit, evenly_spaced, recorded, stages
from datamodules.images import SIDE, fit
from engine.checkpoints import read_checkpoint
from playground.frame import to_bytes

SHIPPED = Path(__file__).parent / "lenet.ckpt"
DRAWING_SIDE = 280  # pixels
MOST_CHECKPOINTS = 20  # newest checkpoints that are offered
MOST_STAGES = 12  # shown per network
MOST_CHANNELS = 64  # images shown per stage


class DigitReader:
    """A network trained on MNIST, ready to read drawings. It runs on the CPU, in evaluation mode.

    Raises:
        ValueError: If the file is not a checkpoint of a model of this package on the data `MNIST` or `SequenceMNIST`.
    """

    def __init__(self, path: Path) -> None:
        try:
            checkpoint = read_checkpoint(path)
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}; pass the path of a checkpoint") from error
        config = config_of(checkpoint)
        data = digits_of(config)
        if data is None:
            raise ValueError(f"{path} was not trained on MNIST digits by train.py; pass a checkpoint that was")
        kind = config["model"]["class_path"].rpartition(".")[2]
        if kind not in models.__all__:
            raise ValueError(f"{path} holds a {kind}; pass a checkpoint with a model of this package")
        # Lightning's own command line, which made the shipped checkpoint, adds names that begin with an underscore
        options = {name: value for name, value in checkpoint["hyper_parameters"].items() if not name.startswith("_")}
        self.data = data  # normalises images, and gives them the shape that the network takes
        self.model: nn.Module = getattr(models, kind)(**options)
        try:
            self.model.load_state_dict(checkpoint["state_dict"])
        except RuntimeError as error:
            raise ValueError(f"{path} does not fit this version of {kind}; train the network again") from error
        self.model.eval().requires_grad_(False)

    def read(self, pixels: bytes) -> dict[str, Any]:
        """Reads a drawing of 280 rows of 280 bytes, from 0 (paper) to 255 (ink). It is centred and scaled as in MNIST.

        The answer holds the `probabilities` of the ten classes, the `image` that the network receives, the input
        `gradients` of the predicted class's logit, scaled by the largest, and the `stages` with their outputs. Without
        a drawing, probabilities and image are 0 and there are no stages.
        """
        drawing = np.frombuffer(pixels, dtype=np.uint8).reshape(DRAWING_SIDE, DRAWING_SIDE) / 255
        probabilities, gradient, described = torch.zeros(self.data.num_outputs), torch.zeros(SIDE, SIDE), []
        image = fit(drawing, self.data.variant.box)
        if image is None:
            image = np.zeros((SIDE, SIDE), dtype=np.uint8)
        else:
            logits, gradient, outputs = self.respond(torch.from_numpy(image).float())
            probabilities, layers = logits.softmax(-1), stages(self.model)
            shown = evenly_spaced(outputs, MOST_STAGES)
            described = [describe(name, layers[name], outputs[name], self.model) for name in shown]
        return {
            "type": "digit",
            "probabilities": probabilities.tolist(),
            "image": image,
            "gradients": to_bytes(gradient, largest(gradient)),
            "stages": described,
        }

    def respond(self, image: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The logits `(10,)` for an image, the gradient of the largest, and the outputs of the stages by name.

        The image has pixels `(28, 28)` from 0 to 255. The gradient has its shape, also if the network reads sequences.
        """
        with torch.enable_grad(), recorded(stages(self.model)) as outputs:
            image = image.clone().requires_grad_()
            logits = self.model(self.data.to_inputs(image))[0]
            (gradient,) = torch.autograd.grad(logits.max(), image)
        return logits.detach(), gradient, outputs


def config_of(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The config of the run that made a checkpoint. Empty if `train.py` did not make it."""
    return yaml.safe_load(checkpoint.get("config", "")) or {}


def digits_of(config: dict[str, Any]) -> datamodules.MNIST | None:
    """The data module of a config if its data are the digits of MNIST. No data is loaded."""
    data = config.get("data", {})
    kind, options = data.get("class_path", "").rpartition(".")[2], data.get("init_args", {})
    if kind not in ("MNIST", "SequenceMNIST") or options.get("variant", "mnist") != "mnist":
        return None
    return datamodules.SequenceMNIST(options.get("order", "rows")) if kind == "SequenceMNIST" else datamodules.MNIST()


def describe(name: str, stage: nn.Module, output: Tensor, model: nn.Module) -> dict[str, Any]:
    """The output of a stage for the page, with the names of its layers.

    Images keep their shape `[C, H, W]`. Sequences become one picture `[1, U, T]`: a row per unit, a column per time
    step. Vectors become `[U, 1, 1]`.
    """
    if output.ndim == 4:
        maps = output[0, :MOST_CHANNELS]
    else:
        maps = by_unit(output, stage, model)[0]  # (U, T)
        maps = maps[None] if output.ndim == 3 else maps[..., None]
    return {
        "name": name,
        "layers": [type(layer).__name__ for layer in (stage if isinstance(stage, nn.Sequential) else [stage])],
        "channels": output.shape[1] if output.ndim == 4 else len(maps),
        "maps": to_bytes(maps, largest(maps)),
        "range": largest(maps),
        "is_signed": bool(maps.min() < 0),
    }


def largest(values: Tensor) -> float:
    """The largest size of a value; 1 if all are 0."""
    return float(values.detach().abs().max()) or 1.0


def find_checkpoints(runs: Path) -> dict[str, Path]:
    """By name: the shipped checkpoint, and the newest 20 `best.ckpt` below `runs` without those of other data."""
    found = {"LeNet, shipped with the playground": SHIPPED}
    files = sorted(runs.rglob("best.ckpt"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[:MOST_CHECKPOINTS]:
        with contextlib.suppress(OSError, ValueError):  # a run may be writing it
            if digits_of(config_of(read_checkpoint(file))):
                found[file.relative_to(runs).parent.as_posix().removesuffix("/checkpoints")] = file
    return found
