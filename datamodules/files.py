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

TIMEOUT = 15  # seconds without an answer after which the next mirror is tried


def data_folder(data_dir: str | None) -> Path:
    """The folder of the data: by default the environment's DATA_DIR, or else `data` in the working directory."""
    return Path(data_dir or os.environ.get("DATA_DIR") or "data").expanduser().absolute()


def fetch(url: str) -> bytes:
    """The content of a file on a server."""
    print(f"Downloading {url}", flush=True)
    with urlopen(url, timeout=TIMEOUT) as response:
        content: bytes = response.read()
    return content


def download(path: Path, url: str, sha256: str) -> None:
    """Downloads a file or a folder if it is missing, and checks it. DATA_MIRROR of the environment is tried first.

    It appears complete or not at all. A path that exists is not changed.

    Args:
        path: Where the file or folder belongs.
        url: Its address. If it ends with `.zip`, the path is a folder of this archive.
        sha256: Of the file, or of the names and contents of all files in the folder, sorted by name.

    Raises:
        ValueError: If it cannot be downloaded. The message says what to put where.
    """
    if path.exists():
        return
    is_folder = url.endswith(".zip")
    mirror = os.environ.get("DATA_MIRROR")
    urls = [f"{mirror.rstrip('/')}/{path.parent.name}/{url.rpartition('/')[2]}", url] if mirror else [url]
    reasons = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.parent / ".lock"):  # a second process waits here and then finds the file of the first
            while not path.exists() and urls:
                source = urls.pop(0)
                try:
                    content = fetch(source)
                    files = unzip(content, path.name) if is_folder else {"": content}
                except (OSError, HTTPException, ValueError) as error:  # network; closed early; not a URL
                    reasons.append(f"{source}: {error}")
                    continue
                if (
                    hashlib.sha256(b"".join(name.encode() + files[name] for name in sorted(files))).hexdigest()
                    != sha256
                ):
                    reasons.append(f"{source} has the wrong content")
                    continue
                write(path, files)
    except OSError as error:  # the folder is read-only, or the disk is full
        reasons.append(f"{path.parent}: {error.strerror}")
    if not path.exists():
        what = f"the folder {path.name} of {url}" if is_folder else url
        raise ValueError(f"{path} is missing and could not be downloaded: {'; '.join(reasons)}. Put {what} there")


def unzip(content: bytes, folder: str) -> dict[str, bytes]:
    """The files in a folder of a zip archive, by name. Empty if the content is not such an archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            paths = [Path(name) for name in archive.namelist() if not name.endswith("/")]
            return {path.name: archive.read(path.as_posix()) for path in paths if path.parent.name == folder}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):  # damaged
        return {}


def write(path: Path, files: dict[str, bytes]) -> None:
    """Writes a folder of files, or one file without a name, in one step."""
    partial = path.with_name(f"{path.name}.part")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was interrupted
    for name, content in files.items():
        file = partial / name if name else partial
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
    partial.replace(path)


def read_each(path: Path, read: Callable[[Path], Content], argument: str) -> tuple[list[Content], list[str]]:
    """Reads a file of the user, or each file of a folder in the order of their names. Also returns their names.

    Files that cannot be used are left out, and a printed line names them.

    Args:
        path: A file or a folder.
        read: Reads a file. Raises a ValueError with the fault of a file that cannot be used.
        argument: Name of the path in error messages.

    Raises:
        ValueError: If there is no file that can be used.
    """
    path = path.expanduser()
    paths = sorted(path.iterdir()) if path.is_dir() else [path]
    files = [file for file in paths if not file.is_dir()]
    contents, names, left_out = [], [], []
    for file in files:
        try:
            contents.append(read(file))
            names.append(file.name)
        except OSError as error:
            left_out.append(f"{file.name} cannot be read: {error.strerror or error}")
        except ValueError as error:
            left_out.append(f"{file.name} {error}")
    if not contents:
        has_folders = len(files) < len(paths)
        fault = ", ".join(left_out) or ("the folder holds only folders" if has_folders else "the folder is empty")
        hint = "pass one of its folders, or a file" if has_folders else "pass another path"
        raise ValueError(f"{argument}={path}: {fault}; {hint}")
    if left_out:
        print(f"Left out: {', '.join(left_out)}", flush=True)
    return contents, names
