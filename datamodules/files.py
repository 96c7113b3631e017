"""Finds the folder of the data, downloads files into it, and reads files of the user."""

import hashlib
import io
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import TypeVar
from urllib.request import urlopen

from filelock import FileLock

Content = TypeVar("Content")

TIMEOUT = 15  # seconds without an answer after which the next address is tried
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)  # raised for an archive


def data_folder(data_dir: str | None) -> Path:
    """The folder of the data: by default the environment's DATA_DIR, or else `data` in the working directory."""
    return Path(data_dir or os.environ.get("DATA_DIR") or "data").expanduser().absolute()


def fetch(url: str) -> bytes:
    """The content of a file on a server."""
    print(f"Downloading {url}", flush=True)
    with urlopen(url, timeout=TIMEOUT) as response:
        content: bytes = response.read()
    return content


def download(path: Path, dataset: str, urls: list[str], checksum: str) -> None:
    """Downloads a file or a folder if it is missing, and checks it. DATA_MIRROR of the environment is tried first.

    It appears complete or not at all. A path that exists is not changed. torchvision's download is not used: it has no
    timeout, and it leaves partial files after an error.

    Args:
        path: Where the file or folder belongs.
        dataset: Name of its folder in DATA_MIRROR.
        urls: Its addresses, tried in this order. If they end with `.zip`, the path is a folder of this archive.
        checksum: md5 or SHA-256, of the file, or of the names and contents of all files in the folder, sorted by name.

    Raises:
        ValueError: If it cannot be downloaded. The message says what to put where.
    """
    name, mirror, reasons = urls[0].rpartition("/")[2], os.environ.get("DATA_MIRROR"), []
    for url in [f"{mirror.rstrip('/')}/{dataset}/{name}", *urls] if mirror else urls:
        if path.exists():
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.parent / ".lock"):  # a second process waits here and then finds the file of the first
                if not path.exists():
                    content = fetch(url)
                    write(path, unzip(content, path.name) if name.endswith(".zip") else {"": content}, checksum)
                return
        except (OSError, HTTPException, ValueError, *DAMAGED) as error:  # also of the disk, or for what is not a URL
            reasons.append(f"{url}: {error}")
    what = f"the folder {path.name} of {urls[0]}" if name.endswith(".zip") else urls[0]
    raise ValueError(f"{path} is missing and could not be downloaded: {'; '.join(reasons)}. Put {what} there")


def unzip(content: bytes, folder: str) -> dict[str, bytes]:
    """The files in a folder of a zip archive, by name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        paths = [Path(name) for name in archive.namelist() if not name.endswith("/")]
        return {path.name: archive.read(path.as_posix()) for path in paths if path.parent.name == folder}


def write(path: Path, files: dict[str, bytes], checksum: str) -> None:
    """Checks and writes a folder of files, or one file without a name, in one step."""
    content = b"".join(name.encode() + files[name] for name in sorted(files))
    if hashlib.new("md5" if len(checksum) == 32 else "sha256", content).hexdigest() != checksum:
        raise ValueError("wrong content")
    partial = path.with_name(f"{path.name}.part")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was interrupted
    for name, body in files.items():
        file = partial / name if name else partial
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(body)
    partial.replace(path)


def read_each(path: Path, read: Callable[[Path], Content], argument: str) -> tuple[list[Content], list[str]]:
    """Reads a file of the user, or each file of a folder in the order of their names. Also returns their names.

    Files for which `read` raises a ValueError are left out, and a printed line names them.

    Raises:
        ValueError: If there is no file that can be used. The message calls the path by the name of its argument.
    """
    path = path.expanduser()
    contents, names, left_out = [], [], []
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        if file.is_dir():
            continue
        try:
            contents.append(read(file))
            names.append(file.name)
        except OSError as error:
            left_out.append(f"{file.name} cannot be read: {error.strerror or error}")
        except ValueError as error:
            left_out.append(f"{file.name} {error}")
    if not contents:
        fault = ", ".join(left_out) or "the folder has no files"
        raise ValueError(f"{argument}={path}: {fault}; pass another file, or a folder of files")
    if left_out:
        print(f"Left out: {', '.join(left_out)}", flush=True)
    return contents, names
