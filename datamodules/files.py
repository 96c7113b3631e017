"""Finds the folder of the data, and downloads files into it."""

import hashlib
import os
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from filelock import FileLock

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
    """Downloads a file if it is missing, and checks its content. DATA_MIRROR of the environment is tried first.

    Raises:
        ValueError: If the file cannot be downloaded. The message says what to put where.
    """
    mirror = os.environ.get("DATA_MIRROR")
    urls = [f"{mirror.rstrip('/')}/{path.parent.name}/{path.name}", url] if mirror else [url]
    reasons = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.parent / ".lock"):  # a second process waits here and then finds the file of the first
            while not path.is_file() and urls:
                source = urls.pop(0)
                try:
                    content = fetch(source)
                except (OSError, HTTPException, ValueError) as error:  # network; closed early; not a URL
                    reasons.append(f"{source}: {error}")
                    continue
                if hashlib.sha256(content).hexdigest() != sha256:
                    reasons.append(f"{source} has the wrong content")
                    continue
                partial = path.with_name(f"{path.name}.part")
                partial.write_bytes(content)
                partial.replace(path)
    except OSError as error:  # the folder is read-only, or the disk is full
        reasons.append(f"{path.parent}: {error.strerror}")
    if not path.is_file():
        raise ValueError(f"{path} is missing and could not be downloaded: {'; '.join(reasons)}. Put {url} there")
