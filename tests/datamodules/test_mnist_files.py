"""The files of MNIST and its variants, and their download from a local server that fails in every way."""

import gzip
import hashlib
import multiprocessing
import socket
import struct
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Literal

import pytest

from datamodules import MNIST, files, mnist
from datamodules.mnist import VARIANTS

every_variant = pytest.mark.parametrize("variant", VARIANTS)
plain_and_compressed = pytest.mark.parametrize("is_compressed", [False, True], ids=["plain", "gz"])
Variant = Literal["mnist", "fashion", "kmnist"]


def idx(shape: tuple[int, ...], values: bytes) -> bytes:
    """A file in the format of the originals."""
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + values


MINIATURE = {  # 100 training and 20 test images
    "train-images-idx3-ubyte": idx((100, 28, 28), bytes(100 * 784)),
    "train-labels-idx1-ubyte": idx((100,), bytes(range(10)) * 10),
    "t10k-images-idx3-ubyte": idx((20, 28, 28), bytes(20 * 784)),
    "t10k-labels-idx1-ubyte": idx((20,), bytes(range(10)) * 2),
}
FILES = list(MINIATURE)
ARCHIVES = sorted(f"{name}.gz" for name in FILES)


class Server(ThreadingHTTPServer):
    """Serves the miniature under `/good/`. Under other names, the download fails in some way."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []
        self.released = threading.Event()  # ends the requests that hang

    def url(self, fault: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{fault}/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        _, fault, *_, name = self.path.split("/")
        body = gzip.compress(MINIATURE[name.removesuffix(".gz")], mtime=0)
        is_last = name.startswith(FILES[-1])
        if fault in ("403", "404"):
            self.send_error(int(fault))
            return
        if fault == "hang":
            self.server.released.wait(60)
            return
        if fault == "lie":
            body = b"<html>Please log in</html>"
        if fault == "flip" and is_last:
            body = body[:40] + bytes([body[40] ^ 1]) + body[41:]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == "die" and is_last:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            # resets the connection instead of closing it
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        if fault == "slow":
            time.sleep(0.2)  # a second process starts meanwhile
        self.wfile.write(body[: len(body) // 2] if fault == "truncate" and is_last else body)

    def log_message(self, *_: object) -> None:
        pass


def use_miniature(monkeypatch: pytest.MonkeyPatch, variant: str, *mirrors: str) -> None:
    """Replaces the checksums, sizes and mirrors of a variant by those of the miniature."""
    bodies = {f"{name}.gz": gzip.compress(body, mtime=0) for name, body in MINIATURE.items()}
    archives = [(name, hashlib.md5(body).hexdigest()) for name, body in bodies.items()]
    monkeypatch.setattr(VARIANTS[variant].original, "resources", archives)
    monkeypatch.setitem(VARIANTS, variant, VARIANTS[variant]._replace(mirrors=list(mirrors)))
    monkeypatch.setattr(mnist, "FILES", {name: len(body) for name, body in MINIATURE.items()})
    monkeypatch.delenv("DATA_MIRROR", raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


def load(datamodule: MNIST) -> MNIST:
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def write_miniature(raw: Path, is_compressed: bool = False) -> None:
    raw.mkdir(parents=True)
    for name, body in MINIATURE.items():
        if is_compressed:  # level 1 gives other bytes than the published archive
            (raw / f"{name}.gz").write_bytes(gzip.compress(body, compresslevel=1))
        else:
            (raw / name).write_bytes(body)


@every_variant
@plain_and_compressed
def test_files_in_data_dir_are_read_without_a_download(
    variant: Variant, is_compressed: bool, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_miniature(monkeypatch, variant, server.url("good"))
    datamodule = MNIST(variant, str(tmp_path), val_size=10)
    write_miniature(datamodule.raw, is_compressed)
    load(datamodule)
    assert datamodule.splits["train"][0].shape == (90, 1, 28, 28)
    assert datamodule.splits["test"][1].tolist() == [*range(10)] * 2
    assert not server.requests
    assert len(files_in(tmp_path)) == 4


@every_variant
def test_missing_files_are_downloaded_once_to_the_folder_of_their_variant(
    variant: Variant, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_miniature(monkeypatch, variant, server.url("404"), server.url("good"))
    title = {"mnist": "MNIST", "fashion": "FashionMNIST", "kmnist": "KMNIST"}[variant]
    for _ in range(2):
        datamodule = load(MNIST(variant, str(tmp_path), source="full", val_size=10))
        assert files_in(tmp_path / title / "raw") == ARCHIVES
    assert len(server.requests) == 2 * 4
    assert datamodule.title == title
    black = (0 - VARIANTS[variant].mean) / VARIANTS[variant].std
    assert datamodule.splits["test"][0].unique().tolist() == [pytest.approx(black)]


@pytest.mark.parametrize("fault", ["403", "404", "hang", "lie", "flip", "truncate", "die"])
def test_subset_is_used_after_a_failed_download(
    fault: str,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    use_miniature(monkeypatch, "mnist", server.url(fault))
    if fault == "hang":
        monkeypatch.setattr(files, "TIMEOUT", 0.3)  # the others wait as long as a busy machine needs
    datamodule = load(MNIST(data_dir=str(tmp_path)))
    assert files_in(tmp_path) in ([], sorted(f"{name}.gz" for name in FILES[:-1])), "nothing but whole files"
    assert datamodule.title == "MNIST-5k"
    reason, warning = caplog.messages
    assert server.url(fault) in reason
    assert "its 5,000-digit subset MNIST-5k is used" in warning


def test_failed_download_of_the_full_data_names_the_fault_of_each_mirror(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_miniature(monkeypatch, "mnist", server.url("404"), server.url("lie"))
    with pytest.raises(ValueError, match=r"/404/.*404.*/lie/.*wrong content") as error:
        MNIST(data_dir=str(tmp_path), source="full").prepare_data()
    for expected in (*FILES, str(tmp_path / "MNIST" / "raw" / FILES[0]), "or use source=subset"):
        assert expected in str(error.value)


def test_variant_without_a_subset_refuses_it(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_miniature(monkeypatch, "fashion", server.url("403"))
    with pytest.raises(ValueError, match=r"FashionMNIST.* could not be downloaded: .*403.* It needs train-images"):
        MNIST("fashion", str(tmp_path)).prepare_data()
    with pytest.raises(ValueError, match="source=subset needs variant=mnist, not variant=kmnist; use source=full"):
        MNIST("kmnist", str(tmp_path), source="subset")


def test_mirror_of_the_environment_is_tried_first(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_miniature(monkeypatch, "kmnist", server.url("404"))
    monkeypatch.setenv("DATA_MIRROR", server.url("good").rstrip("/"))
    MNIST("kmnist", str(tmp_path)).prepare_data()
    assert server.requests == [f"/good/KMNIST/{name}.gz" for name in FILES]
    monkeypatch.setenv("DATA_MIRROR", "no address")
    with pytest.raises(ValueError, match=r"no address/KMNIST/.*; http://127.0.0.1:\d+/404/.*404"):
        MNIST("kmnist", str(tmp_path / "other")).prepare_data()


@pytest.mark.parametrize("source", ["auto", "full"])
def test_file_with_wrong_content_is_named_and_not_changed(
    source: Literal["auto", "full"], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_miniature(monkeypatch, "mnist", server.url("good"))
    raw = tmp_path / "MNIST" / "raw"
    write_miniature(raw)
    (raw / FILES[0]).write_bytes(b"mine")
    (raw / FILES[1]).unlink()
    with pytest.raises(ValueError, match=f"{raw / FILES[0]} is damaged; remove it or"):
        load(MNIST(data_dir=str(tmp_path), source=source))
    assert (raw / FILES[0]).read_bytes() == b"mine"
    assert files_in(tmp_path) == sorted({*FILES, f"{FILES[1]}.gz"} - {FILES[1]})


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b"other"), b"text", gzip.compress(MINIATURE[FILES[0]])[:-1]],
    ids=["other content", "text", "cut off"],
)
def test_damaged_gz_file_is_named(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_miniature(monkeypatch, "mnist")
    datamodule = MNIST(data_dir=str(tmp_path))
    write_miniature(datamodule.raw, is_compressed=True)
    (datamodule.raw / f"{FILES[0]}.gz").write_bytes(content)
    with pytest.raises(ValueError, match=rf"{FILES[0]}\.gz is damaged; remove it or"):
        load(datamodule)


def test_file_in_data_dir_is_checked_by_size_and_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_miniature(monkeypatch, "kmnist")
    datamodule = MNIST("kmnist", str(tmp_path), val_size=10)
    write_miniature(datamodule.raw)
    images, labels = (datamodule.raw / name for name in FILES[:2])
    labels.write_bytes(MINIATURE[FILES[1]][:-1] + bytes([10]))
    with pytest.raises(ValueError, match="gave the label 10 in sample 99 of the train split; it must be 0 to 9"):
        load(datamodule)
    images.write_bytes(MINIATURE[FILES[0]][:-1])
    with pytest.raises(ValueError, match=f"{images.name} is damaged; remove it or"):
        load(datamodule)


def test_setup_without_prepare_data_asks_for_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"has no {FILES[0]}; call prepare_data first"):
        MNIST(data_dir=str(tmp_path), source="full").setup()


def prepare_together(mirror: str, folder: Path, together: Barrier) -> None:
    """Runs in a process of its own and starts when the other process is ready too."""
    use_miniature(pytest.MonkeyPatch(), "mnist", mirror)
    datamodule = MNIST(data_dir=str(folder), source="full", val_size=10)
    together.wait()
    load(datamodule)


def test_two_processes_download_the_files_once(server: Server, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(2, timeout=120)  # so that a process does not wait forever if the other one dies
    arguments = (server.url("slow"), tmp_path, together)
    processes = [context.Process(target=prepare_together, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(server.requests) == len(FILES)
    assert files_in(tmp_path) == ARCHIVES


@every_variant
def test_first_mirror_uses_https(variant: str) -> None:
    assert VARIANTS[variant].mirrors[0].startswith("https://")
    assert all(url.endswith("/") for url in VARIANTS[variant].mirrors)
