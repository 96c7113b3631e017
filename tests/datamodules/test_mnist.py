"""Files and downloads of MNIST and its variants. A local server plays the mirrors, with every kind of failure."""

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
from unittest.mock import Mock

import pytest
import torch

import datamodules.mnist
from comparison.processes import Task, in_children
from datamodules import MNIST
from datamodules.mnist import FILES as NAMES
from datamodules.mnist import VARIANTS
from engine.results import Row

RAW = MNIST().raw  # where MNIST is, if this machine has it
HAS_MNIST = any((RAW / f"{NAMES[0]}{suffix}").is_file() for suffix in ("", ".gz"))


def idx(shape: tuple[int, ...], values: bytes) -> bytes:
    """A file in the format of the originals."""
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + values


MINIATURE = {
    "train-images-idx3-ubyte": idx((100, 28, 28), bytes(100 * 784)),
    "train-labels-idx1-ubyte": idx((100,), bytes(range(10)) * 10),
    "t10k-images-idx3-ubyte": idx((20, 28, 28), bytes(20 * 784)),
    "t10k-labels-idx1-ubyte": idx((20,), bytes(range(10)) * 2),
}
SIZES = {"train": 100, "t10k": 20}


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
        is_last = name.startswith(NAMES[-1])
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
    original = VARIANTS[variant].original
    archives = {name: gzip.compress(body, mtime=0) for name, body in MINIATURE.items()}
    monkeypatch.setattr(original, "resources", [(f"{name}.gz", md5_of(body)) for name, body in archives.items()])
    md5 = {name: md5_of(body) for name, body in MINIATURE.items()} if VARIANTS[variant].md5 else {}
    monkeypatch.setitem(VARIANTS, variant, VARIANTS[variant]._replace(md5=md5, mirrors=list(mirrors)))
    monkeypatch.setattr(MNIST, "sizes", SIZES)
    monkeypatch.delenv("DATA_MIRROR", raising=False)


def md5_of(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


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


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def write_miniature(raw: Path, is_compressed: bool = False) -> None:
    raw.mkdir(parents=True)
    for name, body in MINIATURE.items():
        if is_compressed:  # level 1 gives other bytes than the distributed archive
            (raw / f"{name}.gz").write_bytes(gzip.compress(body, compresslevel=1))
        else:
            (raw / name).write_bytes(body)


ARCHIVES = sorted(f"{name}.gz" for name in NAMES)


def test_files_are_downloaded_once(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_miniature(monkeypatch, "mnist", server.url("404"), server.url("good"))
    for _ in range(2):
        datamodule = MNIST(data_dir=str(tmp_path), source="full", val_size=10)
        datamodule.prepare_data()
        datamodule.setup()
        assert files_in(tmp_path) == ARCHIVES
    assert len(server.requests) == 1 + 4
    assert datamodule.splits["train"][0].shape == (90, 1, 28, 28)
    assert datamodule.title == "MNIST"


def test_gz_files_are_checked_by_their_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_miniature(monkeypatch, "mnist")
    raw = tmp_path / "MNIST" / "raw"
    write_miniature(raw, is_compressed=True)
    datamodule = MNIST(data_dir=str(tmp_path), source="full", val_size=10)
    datamodule.prepare_data()
    datamodule.setup()
    assert datamodule.splits["test"][1].tolist() == [*range(10)] * 2
    assert files_in(tmp_path) == ARCHIVES
    for damaged in (gzip.compress(b"other"), b"no archive", gzip.compress(MINIATURE[NAMES[0]])[:-1]):
        (raw / f"{NAMES[0]}.gz").write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"{NAMES[0]}\.gz is damaged or is not MNIST's {NAMES[0]}; remove it or"):
            MNIST(data_dir=str(tmp_path)).prepare_data()


def test_each_file_is_checked_once_per_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_miniature(monkeypatch, "mnist")
    write_miniature(tmp_path / "MNIST" / "raw")
    identify = Mock(wraps=datamodules.mnist.identify)
    monkeypatch.setattr(datamodules.mnist, "identify", identify)
    datamodule = MNIST(data_dir=str(tmp_path), val_size=10)
    for _ in ("fit", "test"):
        datamodule.prepare_data()
        datamodule.setup()
    assert identify.call_count == 4
    assert datamodule.contents == {}, "loaded files are not kept twice"


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
        monkeypatch.setattr(datamodules.mnist, "TIMEOUT", 0.3)  # the others wait as long as a busy machine needs
    datamodule = MNIST(data_dir=str(tmp_path))
    datamodule.prepare_data()
    datamodule.setup()
    assert files_in(tmp_path) == []
    assert datamodule.title == "MNIST-5k"
    (warning,) = caplog.messages
    assert server.url(fault) in warning
    assert "its 5,000-digit subset MNIST-5k is used" in warning


def test_full_raises_with_the_reason_of_each_mirror(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_miniature(monkeypatch, "mnist", server.url("404"), server.url("lie"))
    with pytest.raises(ValueError, match="could not be downloaded") as error:
        MNIST(data_dir=str(tmp_path), source="full").prepare_data()
    for expected in (
        server.url("404"),
        "404",
        server.url("lie"),
        "wrong content",
        *NAMES,
        str(tmp_path / "MNIST" / "raw"),
        "or use source=subset",
    ):
        assert expected in str(error.value)


@pytest.mark.parametrize("source", ["auto", "full"])
def test_file_with_wrong_content_is_named_and_left_as_it_is(
    source: Literal["auto", "full"], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_miniature(monkeypatch, "mnist", server.url("good"))
    raw = tmp_path / "MNIST" / "raw"
    write_miniature(raw)
    (raw / NAMES[0]).write_bytes(b"mine")
    (raw / NAMES[1]).unlink()
    for step in ("prepare_data", "setup"):  # without `prepare_data`, as in the other processes of a run
        with pytest.raises(ValueError, match=f"{raw / NAMES[0]} is damaged or is not MNIST's {NAMES[0]}; remove it or"):
            getattr(MNIST(data_dir=str(tmp_path), source=source), step)()
    assert (raw / NAMES[0]).read_bytes() == b"mine"
    assert files_in(tmp_path) == sorted(set(NAMES) - {NAMES[1]})
    assert not server.requests


@pytest.mark.parametrize("is_compressed", [False, True])
@pytest.mark.parametrize("variant", ["fashion", "kmnist"])
def test_files_of_another_variant_are_named(
    variant: Literal["fashion", "kmnist"], is_compressed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_miniature(monkeypatch, "mnist")
    datamodule = MNIST(variant, str(tmp_path))
    write_miniature(datamodule.raw, is_compressed)
    with pytest.raises(ValueError, match=f" is MNIST's {NAMES[0]}, not {datamodule.title}'s {NAMES[0]}; remove it or"):
        datamodule.prepare_data()


def test_labels_have_the_names_of_their_pages() -> None:
    """Source: the tables of labels on the data sets' own pages."""
    garments = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag"]
    assert VARIANTS["mnist"].classes == list("0123456789")
    assert VARIANTS["fashion"].classes == [*garments, "Ankle boot"]
    assert VARIANTS["kmnist"].classes == ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]


@pytest.mark.parametrize("name", VARIANTS)
def test_https_mirrors_come_first(name: str) -> None:
    assert VARIANTS[name].mirrors[0].startswith("https://")
    assert all(url.endswith("/") for url in VARIANTS[name].mirrors)


@pytest.mark.parametrize("name", ["fashion", "kmnist"])
def test_variant_is_downloaded_to_its_own_folder(
    name: Literal["fashion", "kmnist"], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_miniature(monkeypatch, name, server.url("good"))
    datamodule = MNIST(name, str(tmp_path), val_size=10)
    datamodule.prepare_data()
    datamodule.setup()
    title = {"fashion": "FashionMNIST", "kmnist": "KMNIST"}[name]
    assert datamodule.title == title
    assert files_in(tmp_path / title / "raw") == ARCHIVES
    black = (0 - VARIANTS[name].mean) / VARIANTS[name].std
    assert datamodule.splits["test"][0].unique().tolist() == [pytest.approx(black)]


def test_variants_have_no_subset(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_miniature(monkeypatch, "fashion", server.url("403"))
    with pytest.raises(
        ValueError, match=r"FashionMNIST is not in .* could not be downloaded: .*403.* Put the four files"
    ):
        MNIST("fashion", str(tmp_path)).prepare_data()
    with pytest.raises(ValueError, match="source=subset needs variant=mnist, not variant=kmnist; use source=full"):
        MNIST("kmnist", str(tmp_path), source="subset")


@pytest.mark.parametrize("fault", ["size", "header", "label"])
def test_files_without_a_known_md5_are_checked_by_their_form(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_miniature(monkeypatch, "kmnist")
    datamodule = MNIST("kmnist", str(tmp_path))
    write_miniature(datamodule.raw)
    images, labels = (datamodule.raw / name for name in NAMES[:2])
    if fault == "size":
        images.write_bytes(images.read_bytes()[:-1])
    elif fault == "header":
        images.write_bytes(labels.read_bytes())
    else:
        labels.write_bytes(labels.read_bytes()[:-1] + bytes([10]))
    name = labels.name if fault == "label" else images.name
    with pytest.raises(ValueError, match=f"{name} is .*not KMNIST's {name}; remove it or"):
        datamodule.prepare_data()


@pytest.mark.parametrize("is_compressed", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_files_of_the_user_are_read(
    variant: Literal["mnist", "fashion", "kmnist"],
    is_compressed: bool,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_miniature(monkeypatch, variant, server.url("good"))
    datamodule = MNIST(variant, str(tmp_path), val_size=10)
    write_miniature(datamodule.raw, is_compressed)
    datamodule.prepare_data()
    datamodule.setup()
    assert not server.requests
    assert len(files_in(tmp_path)) == 4


def test_mirror_of_the_environment_is_tried_first(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_miniature(monkeypatch, "kmnist", server.url("404"))
    monkeypatch.setenv("DATA_MIRROR", server.url("good").rstrip("/"))
    MNIST("kmnist", str(tmp_path)).prepare_data()
    assert server.requests == [f"/good/KMNIST/{name}.gz" for name in NAMES]
    monkeypatch.setenv("DATA_MIRROR", "no address")
    with pytest.raises(ValueError, match=r"no address/KMNIST/: .*; http://127.0.0.1:\d+/404/: .*404"):
        MNIST("kmnist", str(tmp_path / "other")).prepare_data()


def prepare_data(mirror: str, folder: Path, together: Barrier) -> Row:
    """Runs in a process of its own and starts when the other process is ready too."""
    use_miniature(pytest.MonkeyPatch(), "mnist", mirror)
    datamodule = MNIST(data_dir=str(folder), source="full", val_size=10)
    together.wait()
    datamodule.prepare_data()
    datamodule.setup()
    return {}


def test_two_processes_download_the_files_once(server: Server, tmp_path: Path) -> None:
    # with a timeout, so that a process does not wait forever if the other one dies
    together = multiprocessing.get_context("spawn").Barrier(2, timeout=120)
    task = Task(prepare_data, (server.url("slow"), tmp_path, together))
    assert [row for _, row in in_children([task, task], jobs=2)] == [{}, {}]
    assert len(server.requests) == len(NAMES)
    assert files_in(tmp_path) == ARCHIVES


def test_subset_is_split_by_class_without_overlap() -> None:
    datamodule = MNIST(source="subset")
    datamodule.setup()
    sizes = {name: targets.bincount().tolist() for name, (_, targets) in datamodule.splits.items()}
    assert sizes == {"train": [400] * 10, "val": [50] * 10, "test": [50] * 10}
    images = torch.cat([inputs.flatten(1) for inputs, _ in datamodule.splits.values()])
    assert len(images.unique(dim=0)) == 5000


@pytest.mark.skipif(not HAS_MNIST, reason=f"no MNIST files in {RAW}")
def test_full_data_is_split_by_class_and_normalised() -> None:
    datamodule = MNIST()
    datamodule.prepare_data()
    datamodule.setup()
    assert {name: len(targets) for name, (_, targets) in datamodule.splits.items()} == {
        "train": 55_000,
        "val": 5_000,
        "test": 10_000,
    }
    inputs, targets = datamodule.splits["train"]
    share = targets.bincount() / 55_000 - datamodule.splits["val"][1].bincount() / 5_000
    assert share.abs().max() < 0.0005
    assert inputs.mean().item() == pytest.approx(0.0, abs=0.01)
    assert inputs.std().item() == pytest.approx(1.0, abs=0.01)


def test_folder_is_data_dir_then_the_environment_then_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", "/from/environment")
    assert MNIST(data_dir="/named").raw == Path("/named/MNIST/raw")
    assert MNIST().raw == Path("/from/environment/MNIST/raw")
    monkeypatch.delenv("DATA_DIR")
    monkeypatch.chdir(tmp_path)
    assert MNIST().raw == tmp_path / "data" / "MNIST" / "raw"


def test_tilde_in_data_dir_is_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DATA_DIR", "~/environment")
    assert MNIST(data_dir="~/datasets").raw == tmp_path / "datasets" / "MNIST" / "raw"
    assert MNIST().raw == tmp_path / "environment" / "MNIST" / "raw"


def test_data_dir_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    file.touch()
    with pytest.raises(ValueError, match=f"data_dir={file} is a file; use the folder that contains MNIST/raw"):
        MNIST(data_dir=str(file))


def test_checkpoint_of_the_full_data_is_refused_with_the_subset() -> None:
    subset = MNIST(source="subset")
    subset.load_state_dict(subset.state_dict())
    with pytest.raises(ValueError, match=r"made on .*'MNIST'.*, the data here is .*'MNIST-5k'.*; use source=full"):
        subset.load_state_dict({"title": "MNIST"})
