"""The download of a folder from a local server, which is complete or does not happen."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from datamodules.files import download

FILES = {"a.wav": b"first", "b.wav": b"second"}
SHA256 = hashlib.sha256(b"a.wavfirstb.wavsecond").hexdigest()


def archive(files: dict[str, bytes]) -> bytes:
    """A zip archive as of GitHub: a folder of the release, with other files next to `recordings`."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        opened.writestr("data-1.0/", "")
        opened.writestr("data-1.0/README.md", "words")
        opened.writestr("data-1.0/recordings/", "")
        for name, value in files.items():
            opened.writestr(f"data-1.0/recordings/{name}", value)
    return content.getvalue()


BODIES = {
    "good": archive(dict(reversed(FILES.items()))),
    "other": archive({**FILES, "b.wav": b"changed"}),
    "less": archive({"a.wav": b"first"}),
    "renamed": archive({"a.wav": b"first", "c.wav": b"second"}),
    "text": b"<html>Please log in</html>",
    "cut": archive(FILES)[:-30],
    "damaged": archive(FILES).replace(b"first", b"f\xffrst"),
}


class Server(HTTPServer):
    """Serves the archives as `/<name>/v1.zip`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        body = BODIES.get(self.path.split("/")[1])
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_folder_of_an_archive_is_downloaded_once(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "data" / "recordings"
    partial = tmp_path / "data" / "recordings.part"
    partial.mkdir(parents=True)
    (partial / "left.wav").write_bytes(b"by a process that was interrupted")
    for _ in range(2):
        download(path, "data", [server.url("good/v1.zip")], SHA256)
    assert contents(path) == FILES
    assert {one.name for one in path.parent.iterdir()} <= {"recordings", ".lock"}
    assert server.requests == ["/good/v1.zip"]


@pytest.mark.parametrize("fault", ["other", "less", "renamed", "text", "cut", "damaged", "missing"])
def test_wrong_archive_leaves_no_folder(fault: str, server: Server, tmp_path: Path) -> None:
    path, url = tmp_path / "data" / "recordings", server.url(f"{fault}/v1.zip")
    reasons = {"missing": "HTTP Error 404", "text": "not a zip file", "cut": "not a zip file", "damaged": "Bad CRC-32"}
    reason = reasons.get(fault, "wrong content")
    with pytest.raises(
        ValueError, match=f"{path} is missing and .*{reason}.* Put the folder recordings of {url} there"
    ):
        download(path, "data", [url], SHA256)
    assert {one.name for one in path.parent.iterdir()} <= {".lock"}


def test_folder_of_the_user_is_not_changed(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "recordings"
    path.mkdir()
    (path / "mine.wav").write_bytes(b"mine")
    download(path, "data", [server.url("good/v1.zip")], SHA256)
    assert contents(path) == {"mine.wav": b"mine"}
    assert not server.requests


def test_mirror_of_the_environment_is_tried_first(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_MIRROR", server.url("mirror/"))
    path = tmp_path / "data" / "recordings"
    download(path, "data", [server.url("good/v1.zip")], SHA256)
    assert server.requests == ["/mirror/data/v1.zip", "/good/v1.zip"]
    assert contents(path) == FILES
