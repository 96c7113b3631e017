"""The four files of MNIST and of its drop-in replacements."""

import gzip
from pathlib import Path
from typing import NamedTuple

from torchvision.datasets import mnist as originals

from datamodules.files import DAMAGED

SIZES = {  # bytes of each uncompressed file: a header of 16 or 8 bytes, then one byte per pixel or label
    "train-images-idx3-ubyte": 16 + 60_000 * 28 * 28,
    "train-labels-idx1-ubyte": 8 + 60_000,
    "t10k-images-idx3-ubyte": 16 + 10_000 * 28 * 28,
    "t10k-labels-idx1-ubyte": 8 + 10_000,
}
FILES = tuple(SIZES)


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


def find_file(folder: Path, name: str) -> Path | None:
    """The path of a file, uncompressed or as `.gz`. None if the folder has neither."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def missing_files(folder: Path) -> list[str]:
    """The names of the files that the folder does not have."""
    return [name for name in FILES if find_file(folder, name) is None]


def read_file(folder: Path, name: str) -> bytes:
    """Returns the uncompressed content of a file.

    Raises:
        ValueError: If the file is missing, is damaged, or has the wrong size.
    """
    path = find_file(folder, name)
    if path is None:
        raise ValueError(f"{folder} has no {name}; call prepare_data first")
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (gzip.BadGzipFile, *DAMAGED):
        content = b""
    if len(content) != SIZES[name]:
        raise ValueError(f"{path} is damaged; remove it or move it elsewhere, and it will be downloaded again")
    return content
