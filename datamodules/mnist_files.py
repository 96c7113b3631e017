"""Finds, checks and downloads the four files of MNIST and of its drop-in replacements."""

import gzip
import hashlib
import os
import zlib
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

from torchvision.datasets import mnist as torchvision_mnist

from datamodules.files import fetch

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
        md5: md5 of each uncompressed file. Empty if they are not published.
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
        """The names of the classes. torchvision calls the digits `0 - zero` and so on."""
        return [name.partition(" - ")[0] for name in self.original.classes]

    @property
    def archive_md5(self) -> dict[str, str]:
        """The md5 of each published `.gz` file."""
        return dict(self.original.resources)


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
    "fashion": Variant(
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
    "kmnist": Variant(
        torchvision_mnist.KMNIST,
        ["https://codh.rois.ac.jp/kmnist/dataset/kmnist/", *torchvision_mnist.KMNIST.mirrors],
        mean=0.1918,
        std=0.3483,
        box=28,
        md5={},
    ),
}


def identify(content: bytes) -> str | None:
    """Names the file with this content, such as "MNIST's train-images-idx3-ubyte". None if its md5 is not known."""
    md5 = hashlib.md5(content).hexdigest()
    for variant in VARIANTS.values():
        for name in FILES:
            if md5 in (variant.archive_md5[f"{name}.gz"], variant.md5.get(name)):
                return f"{variant.name}'s {name}"
    return None


def find_file(folder: Path, name: str) -> Path | None:
    """The path of a file, uncompressed or as `.gz`. None if the folder has neither."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def missing_files(folder: Path) -> list[str]:
    """The names of the files that the folder does not have."""
    return [name for name in FILES if find_file(folder, name) is None]


def read_file(folder: Path, variant: Variant, name: str) -> bytes:
    """Returns the uncompressed content of a file after a check of its md5.

    Raises:
        ValueError: If the file is missing, is damaged, or is another file.
    """
    path = find_file(folder, name)
    if path is None:
        raise ValueError(f"{folder} has no {name}; call prepare_data first")
    content = path.read_bytes()
    found, expected = identify(content), f"{variant.name}'s {name}"
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):  # damaged
            content = b""
        found = found or identify(content)  # an archive that was compressed again has another md5
    is_plausible = found is None and not variant.md5 and len(content) == SIZES[name]
    if found != expected and not is_plausible:
        fault = f"is {found}, not {expected}" if found else f"is damaged or is not {expected}"
        raise ValueError(f"{path} {fault}; remove it or move it elsewhere, and the right file will be downloaded")
    return content


def download(folder: Path, variant: Variant, names: list[str]) -> list[str]:
    """Downloads files as `.gz` from the first mirror that has them all. DATA_MIRROR of the environment is tried first.

    All files are checked before the first one is saved. torchvision's download is not used: it has no timeout, and it
    leaves partial files after an error.

    Returns:
        Why each mirror failed. Empty after a success.
    """
    own = os.environ.get("DATA_MIRROR")
    mirrors = [f"{own.rstrip('/')}/{variant.name}/"] if own else []
    reasons = []
    for mirror in [*mirrors, *variant.mirrors]:
        try:
            md5 = variant.archive_md5
            archives = {f"{name}.gz": fetch_archive(f"{mirror}{name}.gz", md5[f"{name}.gz"]) for name in names}
        except (OSError, HTTPException, ValueError) as error:  # network; closed early; wrong content or not a URL
            reasons.append(f"{mirror}: {error}")
            continue
        for file_name, content in archives.items():
            partial = folder / f"{file_name}.part"
            partial.write_bytes(content)
            partial.replace(folder / file_name)
        return []
    return reasons


def fetch_archive(url: str, md5: str) -> bytes:
    """Downloads a file and checks its md5."""
    content = fetch(url)
    if hashlib.md5(content).hexdigest() != md5:
        raise ValueError(f"{url} has the wrong content")
    return content
