"""Speed of the playground in headless Chromium, and the animation in the README.

python -m benchmarks.playground               # needs Linux, and make test-browser has installed the browser
python -m benchmarks.playground --write       # also saves the result and rewrites the table in benchmarks/README.md
python -m benchmarks.playground --animation   # only draws docs/playground/spiral.gif
"""

from __future__ import annotations

import io
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from PIL import Image

from benchmarks.committed import Found, speed_program
from engine.paths import PROJECT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DEFAULT = "shape=spiral&layers=4,2&speed=none"  # 250 training points, batches of 10
GOALS = {
    "seconds to the first picture": "at most 2",
    "frames per second": "at least 15",
    "epochs per second": "at least 25",
    "frames per second, each of 4 visitors": "",
    "epochs per second, each of 4 visitors": "",
    "CPU of an idle page, %": "below 2",
    "seconds until a closed page stops training": "at most 5",
}
SECONDS = 5.0  # of each measurement
ANIMATION = PROJECT / "docs" / "playground" / "spiral.gif"
EPOCHS = 3  # of training between two frames of the animation
FRAMES, MILLISECONDS, WIDTH = 34, 150, 720
RATES = """seconds => new Promise(resolve => {
  const shown = window.playground, start = performance.now(), frames = shown.frames, epoch = shown.last.epoch;
  setTimeout(() => {
    const passed = (performance.now() - start) / 1000;
    resolve([(shown.frames - frames) / passed, (shown.last.epoch - epoch) / passed]);
  }, 1000 * seconds);
})"""


@contextmanager
def playground() -> Iterator[tuple[Browser, str, int]]:
    """A browser, the address of a new server, and the server's process."""
    from playwright.sync_api import sync_playwright

    command = [sys.executable, "-m", "playground", "--no-browser", "--port", "0"]
    with (
        subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as server,
        sync_playwright() as tools,
    ):
        assert server.stdout is not None
        address = server.stdout.readline().split()[4]
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = tools.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser, address, server.pid
        finally:
            browser.close()
            server.terminate()


def visit(browser: Browser, address: str, state: str = DEFAULT) -> Page:
    """A page that shows its first picture."""
    # Playwright evaluates strings, which the page forbids
    page = browser.new_page(viewport={"width": 1280, "height": 800}, bypass_csp=True)
    page.goto(f"{address}/#{state}")
    page.wait_for_function("window.playground?.frames > 0")
    return page


def cpu_seconds(process: int) -> float:
    """Seconds of computing of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def one_round(*_: Any) -> dict[str, float]:
    with playground() as (browser, address, process):
        start = time.perf_counter()
        page = visit(browser, address)
        found = {"seconds to the first picture": time.perf_counter() - start}
        page.click("#play")
        page.wait_for_function("window.playground.last.epoch > 0")
        found["frames per second"], found["epochs per second"] = page.evaluate(RATES, SECONDS)
        page.click("#play")
        page.wait_for_function("!window.playground.last.playing")
        before = cpu_seconds(process)
        time.sleep(SECONDS)
        found["CPU of an idle page, %"] = 100 * (cpu_seconds(process) - before) / SECONDS
        page.click("#play")
        page.wait_for_function("window.playground.last.playing")
        page.close()
        found["seconds until a closed page stops training"] = seconds_until_idle(process)
        pages = [visit(browser, address) for _ in range(4)]
        for page in pages:
            page.click("#play")
            page.wait_for_function("window.playground.last.epoch > 0")
        starts = [page.evaluate("[window.playground.frames, window.playground.last.epoch]") for page in pages]
        time.sleep(SECONDS)
        ends = [page.evaluate("[window.playground.frames, window.playground.last.epoch]") for page in pages]
        for index, name in enumerate(("frames", "epochs")):
            rates = [(end[index] - start[index]) / SECONDS for start, end in zip(starts, ends, strict=True)]
            found[f"{name} per second, each of 4 visitors"] = min(rates)
    return found


def seconds_until_idle(process: int) -> float:
    """Seconds until the server computes nothing for 0.2 seconds."""
    start = time.perf_counter()
    while True:
        began, before = time.perf_counter(), cpu_seconds(process)
        time.sleep(0.2)
        if cpu_seconds(process) - before < 0.02:
            return began - start


def table(found: Found) -> pd.DataFrame:
    lines = []
    for name, goal in GOALS.items():
        values = [round(value, 2) for value in found["page"][name]]
        lines.append([name, f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})", goal])
    return pd.DataFrame(lines, columns=["", "median (range)", "goal"])


def draw_animation() -> None:
    """Draws the page while the two networks of its first story learn the spiral."""
    pictures: list[Image.Image] = []
    with playground() as (browser, address, _):
        page = visit(browser, address, "")
        page.set_viewport_size({"width": 1280, "height": 1000})  # so that both networks fit
        area = page.locator("#networks").bounding_box()
        assert area is not None
        for _ in range(FRAMES):
            page.evaluate(f"for (let i = 0; i < {EPOCHS}; i += 1) document.querySelector('#step').click()")
            page.wait_for_function(f"window.playground.last.epoch === {EPOCHS * (len(pictures) + 1)}")
            pictures.append(Image.open(io.BytesIO(page.screenshot(clip=area))).convert("RGB"))
    height = round(pictures[0].height * WIDTH / pictures[0].width)
    small = [picture.resize((WIDTH, height), Image.Resampling.LANCZOS) for picture in pictures]
    colours = small[-1].quantize(48, method=Image.Quantize.MEDIANCUT)
    frames = [picture.quantize(palette=colours, dither=Image.Dither.NONE) for picture in small]
    durations = [*[MILLISECONDS] * (FRAMES - 1), 20 * MILLISECONDS]
    ANIMATION.parent.mkdir(exist_ok=True)
    frames[0].save(ANIMATION, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True)
    print(f"{ANIMATION.relative_to(PROJECT)}: {ANIMATION.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    if sys.argv[1:] == ["--animation"]:
        draw_animation()
    else:
        speed_program("playground", ["page"], one_round, table)
