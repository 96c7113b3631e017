"""The digits arrive whole or not at all; every way in which a download can go wrong is tried on a local server."""

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
import torch

import datamodules.mnist
from comparison.processes import Task, in_children
from datamodules import MNIST
from datamodules.mnist import FILES as NAMES
from datamodules.mnist import RECORD, VARIANTS
from results import Row

DATA = MNIST()  # where this machine has the digits, if it has


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
    """Serves the miniature under `/good/`, and under other names what goes wrong with it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []
        self.released = threading.Event()  # lets go what hangs

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
            # no farewell: the other side finds the connection reset
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        if fault == "slow":
            time.sleep(0.2)  # long enough for a second process to come upon a download that is under way
        self.wfile.write(body[: len(body) // 2] if fault == "truncate" and is_last else body)

    def log_message(self, *_: object) -> None:
        pass


def pretend_miniature(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the miniature the right content of every variant."""
    archives = [
        (f"{name}.gz", hashlib.md5(gzip.compress(body, mtime=0)).hexdigest()) for name, body in MINIATURE.items()
    ]
    for variant in VARIANTS.values():
        monkeypatch.setattr(variant.original, "resources", archives)
    md5 = {name: hashlib.md5(body).hexdigest() for name, body in MINIATURE.items()}
    monkeypatch.setitem(VARIANTS, "mnist", VARIANTS["mnist"]._replace(md5=md5))
    monkeypatch.setattr(MNIST, "sizes", SIZES)
    monkeypatch.delenv("DATA_MIRROR", raising=False)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A local address of miniature digits, whose checksums stand for those of MNIST."""
    pretend_miniature(monkeypatch)
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


def use_mirrors(monkeypatch: pytest.MonkeyPatch, variant: str, *urls: str) -> None:
    monkeypatch.setitem(VARIANTS, variant, VARIANTS[variant]._replace(mirrors=list(urls)))


def test_a_download_arrives_once(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_mirrors(monkeypatch, "mnist", server.url("404"), server.url("good"))
    for _ in range(2):
        datamodule = MNIST(data_dir=str(tmp_path), source="full", val_size=10)
        datamodule.prepare_data()
        datamodule.setup()
        assert files_in(tmp_path) == sorted([*NAMES, RECORD])
    assert len(server.requests) == 1 + 4
    assert datamodule.splits["train"][0].shape == (90, 1, 28, 28)
    assert datamodule.title == "MNIST"


def test_gzip_files_are_read_and_checked_by_their_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_miniature(monkeypatch)
    use_mirrors(monkeypatch, "mnist")  # none: a file that is refused cannot be replaced
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, body in MINIATURE.items():
        (raw / f"{name}.gz").write_bytes(gzip.compress(body, compresslevel=1))  # not the bytes of the distributed file
    datamodule = MNIST(data_dir=str(tmp_path), source="full", val_size=10)
    datamodule.prepare_data()
    datamodule.setup()
    assert datamodule.splits["test"][1].tolist() == [*range(10)] * 2
    assert files_in(tmp_path) == sorted(f"{name}.gz" for name in NAMES)
    for damaged in (gzip.compress(b"other"), b"no archive"):
        (raw / f"{NAMES[0]}.gz").write_bytes(damaged)
        assert not MNIST(data_dir=str(tmp_path)).is_whole(NAMES[0])


@pytest.mark.parametrize("fault", ["403", "404", "hang", "lie", "flip", "truncate", "die"])
def test_a_broken_download_leaves_nothing_and_the_subset_stands_in(
    fault: str,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    use_mirrors(monkeypatch, "mnist", server.url(fault))
    if fault == "hang":
        monkeypatch.setattr(datamodules.mnist, "TIMEOUT", 0.3)  # the others wait as long as a busy machine needs
    datamodule = MNIST(data_dir=str(tmp_path))
    datamodule.prepare_data()
    datamodule.setup()
    assert files_in(tmp_path) == []
    assert datamodule.title == "MNIST-5k"
    (told,) = caplog.messages
    assert server.url(fault) in told
    assert "MNIST-5k, 5,000 of its 70,000 digits, stands in" in told


def test_full_raises_with_every_address_reason_and_place(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_mirrors(monkeypatch, "mnist", server.url("404"), server.url("lie"))
    with pytest.raises(ValueError, match="could not be fetched") as error:
        MNIST(data_dir=str(tmp_path), source="full").prepare_data()
    for expected in (
        server.url("404"),
        "404",
        server.url("lie"),
        "wrong content",
        *NAMES,
        str(tmp_path / "MNIST" / "raw"),
    ):
        assert expected in str(error.value)


def test_a_damaged_file_is_put_aside_and_fetched_anew(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use_mirrors(monkeypatch, "mnist", server.url("good"))
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, body in MINIATURE.items():
        (raw / name).write_bytes(body[:-1] if name == NAMES[0] else body)
    MNIST(data_dir=str(tmp_path)).prepare_data()
    assert f"{raw / NAMES[0]} is damaged: it was renamed to {NAMES[0]}.damaged" in caplog.text
    assert files_in(tmp_path) == sorted([*NAMES, RECORD, f"{NAMES[0]}.damaged"])
    assert (raw / NAMES[0]).read_bytes() == MINIATURE[NAMES[0]]
    assert len(server.requests) == 1, "whole files are not fetched again"


def test_a_damaged_file_is_not_used_even_if_nobody_looked_before(server: Server, tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, body in MINIATURE.items():
        (raw / name).write_bytes(body[:-1] if name == NAMES[0] else body)
    datamodule = MNIST(data_dir=str(tmp_path))
    datamodule.setup()
    assert datamodule.title == "MNIST-5k"


@pytest.mark.parametrize("name", VARIANTS)
def test_encrypted_addresses_come_first(name: str) -> None:
    assert VARIANTS[name].mirrors[0].startswith("https://")
    assert all(url.endswith("/") for url in VARIANTS[name].mirrors)


@pytest.mark.parametrize("name", ["fashion", "kmnist"])
def test_another_variant_arrives_in_a_folder_of_its_own(
    name: Literal["fashion", "kmnist"], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_mirrors(monkeypatch, name, server.url("good"))
    datamodule = MNIST(name, str(tmp_path), val_size=10)
    datamodule.prepare_data()
    datamodule.setup()
    title = {"fashion": "FashionMNIST", "kmnist": "KMNIST"}[name]
    assert datamodule.title == title
    assert files_in(tmp_path / title / "raw") == sorted([*NAMES, RECORD])
    black = (0 - VARIANTS[name].mean) / VARIANTS[name].std
    assert datamodule.splits["test"][0].unique().tolist() == [pytest.approx(black)]


def test_another_variant_has_no_subset(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_mirrors(monkeypatch, "fashion", server.url("403"))
    with pytest.raises(ValueError, match=r"FashionMNIST is not in .* could not be fetched: .*403.* Put the four files"):
        MNIST("fashion", str(tmp_path)).prepare_data()
    with pytest.raises(ValueError, match=r"type --data\.source full"):
        MNIST("kmnist", str(tmp_path), source="subset")


@pytest.mark.parametrize("harm", ["size", "header", "label", "content"])
def test_files_whose_md5_nobody_knows_are_checked_too(
    harm: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use_mirrors(monkeypatch, "fashion", server.url("good"))
    datamodule = MNIST("fashion", str(tmp_path))
    datamodule.prepare_data()
    images, labels = (datamodule.raw / name for name in NAMES[:2])
    if harm == "size":
        images.write_bytes(images.read_bytes()[:-1])
    elif harm == "header":
        images.write_bytes(labels.read_bytes())
    elif harm == "label":
        (datamodule.raw / RECORD).unlink()  # as if a person had put the files there
        labels.write_bytes(labels.read_bytes()[:-1] + bytes([10]))
    else:  # well formed, but not what was fetched
        images.write_bytes(images.read_bytes()[:-1] + bytes([1]))
    MNIST("fashion", str(tmp_path)).prepare_data()
    (told,) = caplog.messages
    assert " is damaged: it was renamed" in told
    for name in NAMES:
        assert (datamodule.raw / name).read_bytes() == MINIATURE[name]


def test_files_that_a_person_put_there_are_taken(server: Server, tmp_path: Path) -> None:
    datamodule = MNIST("fashion", str(tmp_path), val_size=10)
    datamodule.raw.mkdir(parents=True)
    for name, body in MINIATURE.items():
        (datamodule.raw / name).write_bytes(body)
    datamodule.prepare_data()
    datamodule.setup()
    assert not server.requests
    assert files_in(tmp_path) == sorted(NAMES)


def test_the_environment_names_a_mirror_that_is_tried_first(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_mirrors(monkeypatch, "kmnist", server.url("404"))
    monkeypatch.setenv("DATA_MIRROR", server.url("good").rstrip("/"))
    MNIST("kmnist", str(tmp_path)).prepare_data()
    assert server.requests == [f"/good/KMNIST/{name}.gz" for name in NAMES]
    monkeypatch.setenv("DATA_MIRROR", "no address")
    with pytest.raises(ValueError, match=r"no address/KMNIST/: .*; http://127.0.0.1:\d+/404/: .*404"):
        MNIST("kmnist", str(tmp_path / "other")).prepare_data()


def fetch(mirror: str, folder: Path, together: Barrier) -> Row:
    """What is done in a process of its own; it waits until the other one has loaded what it needs too."""
    patch = pytest.MonkeyPatch()
    pretend_miniature(patch)
    use_mirrors(patch, "mnist", mirror)
    datamodule = MNIST(data_dir=str(folder), source="full", val_size=10)
    together.wait()
    datamodule.prepare_data()
    datamodule.setup()
    return {}


def test_two_processes_that_start_at_once_fetch_the_files_once(server: Server, tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / NAMES[0]).write_bytes(b"damaged")
    # of "spawn": it is handed to processes that do not inherit it; if one dies, the other does not wait for ever
    together = multiprocessing.get_context("spawn").Barrier(2, timeout=120)
    task = Task(fetch, (server.url("slow"), tmp_path, together))
    assert [row for _, row in in_children([task, task], jobs=2)] == [{}, {}]
    assert len(server.requests) == len(NAMES)
    for name in NAMES:
        assert (raw / name).read_bytes() == MINIATURE[name]


def test_the_subset_is_split_by_class_and_without_overlap() -> None:
    datamodule = MNIST(source="subset")
    datamodule.setup()
    sizes = {name: targets.bincount().tolist() for name, (_, targets) in datamodule.splits.items()}
    assert sizes == {"train": [400] * 10, "val": [50] * 10, "test": [50] * 10}
    images = torch.cat([inputs.flatten(1) for inputs, _ in datamodule.splits.values()])
    assert len(images.unique(dim=0)) == 5000


@pytest.mark.skipif(not all(DATA.is_whole(name) for name in NAMES), reason=f"no MNIST files in {DATA.raw}")
def test_the_whole_is_split_by_class_and_normalised() -> None:
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


def test_the_folder_is_the_named_one_then_the_environments_then_the_projects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", "/from/environment")
    assert MNIST(data_dir="/named").raw == Path("/named/MNIST/raw")
    assert MNIST().raw == Path("/from/environment/MNIST/raw")
    monkeypatch.delenv("DATA_DIR")
    assert MNIST().raw == Path(datamodules.__file__).parents[1] / "data" / "MNIST" / "raw"


def test_a_checkpoint_of_the_whole_is_not_tested_on_the_subset() -> None:
    subset = MNIST(source="subset")
    subset.load_state_dict(subset.state_dict())
    with pytest.raises(
        ValueError, match=r"made on .*'MNIST'.*, the data here is .*'MNIST-5k'.*; type --data.source full"
    ):
        subset.load_state_dict({"title": "MNIST"})
