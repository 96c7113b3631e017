"""Draws docs/playground/spiral.gif, the animation of the README: python -m benchmarks.playground

It needs `make test-browser` once, which installs the browser.
"""

import io
import shutil
import subprocess
import sys

from PIL import Image
from playwright.sync_api import sync_playwright

from engine.paths import PROJECT

ANIMATION = PROJECT / "docs" / "playground" / "spiral.gif"
EPOCHS = 3  # of training between two frames
FRAMES, MILLISECONDS, WIDTH = 34, 150, 720


def screenshots() -> list[Image.Image]:
    """Pictures of the page while the two networks of its first story learn the spiral."""
    command = [sys.executable, "-m", "playground", "--no-browser", "--port", "0"]
    with (
        subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as server,
        sync_playwright() as tools,
    ):
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[4]
            path = shutil.which("chromium") or shutil.which("google-chrome")
            browser = tools.chromium.launch(executable_path=path, args=["--no-sandbox"])
            # tall enough for both networks; Playwright evaluates strings, which the page forbids
            page = browser.new_page(viewport={"width": 1280, "height": 1000}, bypass_csp=True)
            page.goto(address)
            page.wait_for_function("window.playground?.frames > 0")
            area = page.locator("#networks").bounding_box()
            assert area is not None
            pictures = []
            for number in range(1, FRAMES + 1):
                page.evaluate(f"for (let i = 0; i < {EPOCHS}; i += 1) document.querySelector('#step').click()")
                page.wait_for_function(f"window.playground.last.epoch === {EPOCHS * number}")
                pictures.append(Image.open(io.BytesIO(page.screenshot(clip=area))).convert("RGB"))
        finally:
            server.terminate()
    return pictures


if __name__ == "__main__":
    pictures = screenshots()
    height = round(pictures[0].height * WIDTH / pictures[0].width)
    small = [picture.resize((WIDTH, height), Image.Resampling.LANCZOS) for picture in pictures]
    colours = small[-1].quantize(48, method=Image.Quantize.MEDIANCUT)
    frames = [picture.quantize(palette=colours, dither=Image.Dither.NONE) for picture in small]
    durations = [*[MILLISECONDS] * (FRAMES - 1), 20 * MILLISECONDS]
    frames[0].save(ANIMATION, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True)
