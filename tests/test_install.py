"""Installing: what `make setup` fetches and from where, and what an installed package needs."""

import io
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from engine.paths import PROJECT


def wheel(name: str, version: str) -> bytes:
    """An empty package, as an index would serve it."""
    info = f"{name}-{version}.dist-info"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return content.getvalue()


WHEELS = {  # of another build than the usual one, as their version says
    "torch": ("torch-2.99.0+small-py3-none-any.whl", wheel("torch", "2.99.0+small")),
    "torchvision": ("torchvision-0.99.0+small-py3-none-any.whl", wheel("torchvision", "0.99.0+small")),
}


class Index(ThreadingHTTPServer):
    """Serves torch and torchvision under `/small/`, and nothing under any other name; notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}/"


class Handler(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        _, place, package, *file = self.path.split("/")
        if place != "small" or package not in WHEELS:
            self.send_error(404)
            return
        name, content = WHEELS[package]
        page = f'<a href="/small/{package}/{name.replace("+", "%2B")}">{name}</a>'.encode()
        body = content if file and file[0] else page
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream" if body is content else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index() -> Iterator[Index]:
    server = Index()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What pip and make read of the project."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in ("pyproject.toml", "Makefile", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, folder)
    for path in PROJECT.glob("*.py"):
        shutil.copy(path, folder)
    for name in ("models", "datamodules", "callbacks", "comparison", "engine", "configs"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def make_setup(clone: Path, *arguments: str, path: Path | None = None, **environment: str) -> tuple[int, str]:
    """The exit code and the output of `make setup`; pip is told of no index but those of `environment`."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("PIP_") and name != "TORCH_INDEX"}
    known |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1", "PIP_RETRIES": "0", **environment}
    if path is not None:
        known["PATH"] = f"{path}{os.pathsep}/usr/bin{os.pathsep}/bin"
    command = ["make", "setup", f"PYTHON={sys.executable}", *arguments]
    done = subprocess.run(command, cwd=clone, env=known, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_torch_comes_from_the_index_that_was_named_and_the_rest_from_the_usual_one(index: Index, clone: Path) -> None:
    code, output = make_setup(clone, TORCH_INDEX=index.url("small"), PIP_INDEX_URL=index.url("usual"))
    assert f"PyTorch comes from {index.url('small')}" in output
    fetched = [request for request in index.requests if request.startswith("/small/")]
    assert [request.split("/")[2] for request in fetched if request.endswith(".whl")] == ["torch", "torchvision"]
    rest = index.requests[len(fetched) :]
    assert index.requests[: len(fetched)] == fetched, "PyTorch is first, so that nothing else brings its own"
    assert rest
    assert {request.split("/")[1] for request in rest} == {"usual"}
    assert code != 0, "the usual index has nothing here"
    assert not (clone / ".venv" / "installed").exists(), "and so the next `make setup` tries again"
    version = "import importlib.metadata as m; print(m.version('torch'), m.version('torchvision'))"
    python = clone / ".venv" / "bin" / "python"
    shown = subprocess.run([python, "-c", version], capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["2.99.0+small", "0.99.0+small"]


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux does PyTorch bring CUDA libraries")
@pytest.mark.parametrize("has_driver", [True, False])
def test_what_is_fetched_is_said_before_and_the_small_build_is_named_without_a_driver(
    has_driver: bool, clone: Path, tmp_path: Path
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    if has_driver:
        (tools / "nvidia-smi").write_text("#!/bin/sh\n")
        (tools / "nvidia-smi").chmod(0o755)
    elif Path("/usr/bin/nvidia-smi").exists():
        pytest.skip("this machine has an NVIDIA driver")
    code, output = make_setup(clone, "PYTHON=false", path=tools)
    assert code != 0
    assert "fetches about 3.2 GB" in output
    assert ("make setup TORCH_INDEX=" in output) is not has_driver


def test_an_installed_package_works_from_any_folder(clone: Path, tmp_path: Path) -> None:
    """As `pip install git+ADDRESS` leaves it: not editable, in a folder where nothing may be written."""
    place = tmp_path / "site"
    build = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", f"--target={place}", str(clone)]
    subprocess.run([sys.executable, "-m", "pip", *build], check=True, capture_output=True)
    code = f"""
import sys
sys.path.insert(0, {str(place)!r})
import callbacks, compare, datamodules, models, train
assert all(module.__file__.startswith({str(place)!r}) for module in (callbacks, compare, datamodules, models, train))
flags = ["-c", "configs/mnist/shallow_mlp.yaml", "-c", "configs/extras/smoke.yaml", "--data.source=subset"]
cli = train.main(["fit", *flags])
print(cli.datamodule.raw)
"""
    folder = tmp_path / "mine"
    folder.mkdir()
    before = {path for path in place.rglob("*") if "__pycache__" not in path.parts}
    environment = {name: value for name, value in os.environ.items() if name != "DATA_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "runs" / "shallow_mlp" / "version_0" / "checkpoints" / "best.ckpt").is_file()
    assert done.stdout.splitlines()[-1] == str(folder / "data" / "MNIST" / "raw")
    assert {path for path in place.rglob("*") if "__pycache__" not in path.parts} == before
