"""The page in a real browser: headless Chromium presses the buttons and reads what the page shows."""

import contextlib
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import engine.cli
from engine.paths import PROJECT
from playground.settings import LIVE
from tests.test_train import curves

api = pytest.importorskip("playwright.sync_api", reason="playwright is missing: pip install -e '.[browser]'")
if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser

TIMEOUT = 120_000  # milliseconds that a condition may take on a busy machine
SMALL = "num_samples=40&batch_size=5&speed=none"  # an epoch of 4 batches
POINTS = "x,y,class\n1,1,0\n2,2,1\n-1,-1,0\n-2,-2,1\n"
SIZES = [(1280, 800), (390, 844)]

FRAME = """() => {
  const { frames, state, last } = window.playground;
  const read = (values) => Array.from(values);
  return {
    frames, state, epoch: last.epoch, batch: last.batch, playing: last.playing, index: last.index,
    networks: last.networks.map((network) => ({
      loss: network.metrics.slice(1, 3), layers: network.layers,
      weights: network.weights.map(read), biases: network.biases.map(read),
    })),
  };
}"""
VISIBLE_CONTROLS = """() => [...document.querySelectorAll("select, input, button")]
  .filter((node) => node.id && !node.disabled && node.checkVisibility())
  .map((node) => ({
    id: node.id, tag: node.tagName, type: node.type, isSetting: "setting" in node.dataset,
    isChosen: (node.type === "radio" && node.checked) || node.ariaSelected === "true",
  }))"""
EFFECTS = """() => [
  window.playground.frames, location.hash, document.querySelectorAll(".message").length,
  document.getElementById("chart").ariaLabel,
  [...document.querySelectorAll("dialog, aside, form, #points-tools")].filter((node) => node.checkVisibility()).length,
]"""
CLOSE_ALL = """() => [...document.querySelectorAll("[id$=-close], .message button")]
  .filter((node) => node.checkVisibility()).forEach((node) => node.click())"""
NUM_COLOURS = """(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
}"""


# ---------------------------------------------------------------------------------------------------- what tests share


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server in a folder of its own. At the end, its terminal must not have a traceback."""
    folder = tmp_path_factory.mktemp("playground")
    log = folder / "log.txt"
    command = [sys.executable, "-m", "playground", "--no-browser", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as server,
    ):
        assert server.stdout is not None
        line = server.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, f"the server wrote {line!r} and {log.read_text()}"
        yield found[0]
        status = server.poll()
        server.terminate()
    assert status is None, f"the server ended with {status}"
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    with api.sync_playwright() as playwright:
        path = path or playwright.chromium.executable_path
        if not Path(path).exists():
            pytest.skip(f"no browser: install {names[0]}, or run playwright install chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visitor:
    """A page in a browser profile of its own. It keeps the requests and errors of the page."""

    def __init__(self, browser: "Browser", url: str, size: tuple[int, int] = SIZES[0]) -> None:
        width, height = size
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, permissions=["clipboard-read", "clipboard-write"]
        )
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(TIMEOUT)
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("websocket", lambda connection: self.requests.append(connection.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        self.page.goto(url)
        self.wait("() => window.playground?.last || document.body.classList.contains('drawing')")

    def wait(self, condition: str, argument: Any = None) -> None:
        """Waits until a function of the page returns true."""
        self.page.wait_for_function(condition, arg=argument, timeout=TIMEOUT)

    def frame(self) -> Any:
        """What the page shows, with all weights."""
        return self.page.evaluate(FRAME)

    def element(self, name: str) -> "Locator":
        return self.page.locator(f"[id='{name}']")

    def click(self, name: str) -> None:
        self.element(name).click()

    def wait_for_epoch(self, epoch: int) -> Any:
        """Waits until the page shows this epoch. Returns the frame."""
        self.wait("(epoch) => window.playground.last.epoch === epoch && !window.playground.last.batch", epoch)
        return self.frame()

    def step(self) -> Any:
        """Trains for one epoch. Returns the frame."""
        epoch = self.frame()["epoch"] + 1
        self.click("step")
        return self.wait_for_epoch(epoch)

    def play_until(self, condition: str) -> Any:
        """Plays, and pauses when a condition on the newest frame `last` is true. Returns the last frame."""
        self.click("play")
        self.wait(f"() => {{ const {{ last }} = window.playground; return {condition}; }}")
        if self.frame()["playing"]:
            self.click("play")
        self.wait("() => !window.playground.last.playing")
        return self.frame()

    def change(self, name: str, value: str) -> None:
        """Gives a select or an input of numbers another value, and waits until the server has answered."""
        frames = self.frame()["frames"]
        field = self.element(name)
        if field.evaluate("(node) => node.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
            field.press("Enter")
        if name not in LIVE:
            self.wait("(frames) => window.playground.frames > frames", frames)

    def upload(self, points: str) -> None:
        """Chooses a CSV file."""
        self.element("csv").set_input_files({"name": "mine.csv", "mimeType": "text/csv", "buffer": points.encode()})


@pytest.fixture
def visit(browser: "Browser", address: str) -> Iterator[Callable[..., Visitor]]:
    """Opens pages. At the end, none may have an error in its console, or a request to another host."""
    visitors: list[Visitor] = []

    def open_page(state: str = "", size: tuple[int, int] = SIZES[0], at: str = address) -> Visitor:
        visitor = Visitor(browser, f"{at}/#{state}" if state else f"{at}/", size)
        visitors.append(visitor)
        return visitor

    yield open_page
    for visitor in visitors:
        visitor.context.close()
        hosts = {url.split("/")[2] for url in visitor.requests if not url.startswith(("data:", "blob:"))}
        assert all(host.startswith("127.0.0.1:") for host in hosts), hosts
        assert not visitor.errors


Visit = Callable[..., Visitor]


# ---------------------------------------------------------------------------------------------------- training


def test_deep_network_of_the_first_page_learns_the_spiral_and_the_shallow_one_does_not(visit: Visit) -> None:
    visitor = visit()
    state = visitor.frame()["state"]
    assert (state["shape"], state["layers"], state["second_layers"]) == ("spiral", [8], [8, 8, 8])
    visitor.element("speed").select_option("none")
    visitor.click("play")
    visitor.wait("""() => {
      const [shallow, deep] = window.playground.last.networks.map(({ metrics }) => metrics[2]);
      return deep < 0.05 && shallow > 0.3;
    }""")


def test_link_opens_a_page_that_trains_to_the_same_losses_and_weights(visit: Visit) -> None:
    first = visit(SMALL)
    first.page.locator("label.thumb:has(#shape-xor)").click()
    first.change("activation", "relu")
    first.change("optimizer", "momentum")
    first.change("dropout", "0.1")
    first.change("seed", "3")
    first.click("feature-xy")
    first.click("add-layer-0")
    first.click("add-neuron-0-0")
    first.click("add-network")
    first.wait("() => window.playground.last.networks.length === 2")
    first.click("regenerate")
    first.step()
    first.step()
    first.change("stop_epoch", "6")
    shown = first.play_until("!last.playing && last.epoch === 6")
    second = visit(first.page.url.partition("#")[2])
    again = second.play_until("!last.playing && last.epoch === 6")
    assert shown["state"] == again["state"]
    assert shown["state"]["layers"] == [5, 2, 2]
    assert shown["networks"] == again["networks"]


def test_config_trains_on_the_command_line_to_the_losses_of_the_page(
    visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = visit(f"{SMALL}&shape=gauss&layers=4&optimizer=adamw&seed=5")
    losses = [visitor.step()["networks"][0]["loss"][0] for _ in range(3)]
    visitor.click("take-away")
    with visitor.page.expect_download() as download:
        visitor.click("config-download")
    config = tmp_path / download.value.suggested_filename
    download.value.save_as(config)
    visitor.click("config-copy")
    visitor.page.get_by_text("Config copied.").wait_for()
    assert visitor.page.evaluate("() => navigator.clipboard.readText()") == config.read_text()
    command = visitor.element("config-command").inner_text().split()
    assert command[:3] == ["python", "train.py", "fit"]
    monkeypatch.chdir(tmp_path)
    engine.cli.main([*command[2:], "--trainer.accelerator=cpu"])
    assert [value for _, value in curves(Path("runs"))["train/loss"]] == losses


def test_two_visitors_have_separate_networks(visit: Visit) -> None:
    first, second = visit(f"{SMALL}&layers=3"), visit(f"{SMALL}&layers=2,2")
    before = second.frame()["networks"]
    first.step()
    first.step()
    assert second.frame()["networks"] == before
    after = second.step()
    assert after["epoch"] == 1
    assert [len(weights) for weights in after["networks"][0]["weights"]] == [4, 4, 4]
    assert first.frame()["epoch"] == 2


class Proxy:
    """Passes connections on to the server, until they are cut."""

    def __init__(self, address: str) -> None:
        self.server = int(address.rsplit(":", 1)[1])
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.is_up, self.is_open = True, True
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        peers: dict[socket.socket, socket.socket] = {}
        while self.is_open:
            if not self.is_up:
                for end in peers:
                    end.close()
                peers.clear()
            ready, _, _ = select.select([self.listener, *peers], [], [], 0.05)
            for end in ready:
                if end is self.listener:
                    page = self.listener.accept()[0]
                    if not self.is_up:
                        page.close()
                        continue
                    server = socket.create_connection(("127.0.0.1", self.server))
                    peers |= {page: server, server: page}
                elif end in peers:
                    content = b""
                    with contextlib.suppress(ConnectionError):
                        content = end.recv(2**16)
                        peers[end].sendall(content)
                    if not content:
                        for closed in (peers.pop(end), end):
                            peers.pop(closed, None)
                            closed.close()
        for end in (self.listener, *peers):
            end.close()

    def close(self) -> None:
        self.is_open = False
        self.thread.join()


def test_training_continues_after_the_connection_was_lost(visit: Visit, address: str) -> None:
    with contextlib.closing(Proxy(address)) as proxy:
        visitor = visit("num_samples=40&batch_size=5&speed=5", at=proxy.address)
        visitor.play_until("last.epoch >= 3 && last.playing")
        paused = visitor.frame()
        proxy.is_up = False
        visitor.element("lost").wait_for(state="visible")
        proxy.is_up = True
        visitor.element("lost").wait_for(state="hidden")
        visitor.wait("(frames) => window.playground.frames > frames", paused["frames"])
        assert visitor.frame()["networks"] == paused["networks"]
        proxy.is_up = False
        visitor.element("lost").wait_for(state="visible")
        proxy.is_up = True
        visitor.element("lost").wait_for(state="hidden")
        shown = visitor.play_until(f"last.epoch >= {paused['epoch'] + 2} && last.playing")
        assert shown["epoch"] >= paused["epoch"] + 2
        # the browser itself reports the connections that failed
        visitor.errors = [error for error in visitor.errors if "WebSocket connection to" not in error]


# ---------------------------------------------------------------------------------------------------- controls


def use(visitor: Visitor, control: dict[str, Any]) -> None:
    """Changes a control as a visitor does."""
    field = visitor.element(control["id"])
    if control["tag"] == "SELECT":
        chosen = field.evaluate("(node) => node.value")
        options = field.evaluate("(node) => [...node.options].filter((o) => !o.disabled).map((o) => o.value)")
        field.select_option(next(option for option in options if option != chosen))
    elif control["type"] == "range":
        is_high = field.evaluate("(node) => Number(node.value) >= Number(node.max)")
        field.press("ArrowLeft" if is_high else "ArrowRight")
    elif control["type"] == "number":
        field.fill(str(int(field.input_value() or 0) + 10))
        field.press("Enter")
    elif control["type"] == "file":
        visitor.upload(POINTS)
    else:
        field.dispatch_event("click")  # wherever it is: a picture covers the radio buttons of the data sets


def reset(visitor: Visitor, address: str) -> None:
    """Goes back to an address. When the page shows one batch after it, the server has nothing left to answer."""
    visitor.page.evaluate(CLOSE_ALL)
    if visitor.page.url == address:
        return
    visitor.page.evaluate("(address) => { location.hash = new URL(address).hash; }", address)
    visitor.element("reset").dispatch_event("click")
    visitor.wait("() => window.playground.last.epoch === 0 && window.playground.last.batch === 0")
    visitor.element("step-batch").dispatch_event("click")
    visitor.wait("() => window.playground.last.batch === 1")


def test_every_control_has_an_effect_and_settings_reach_the_server_and_the_address(visit: Visit) -> None:
    visitor = visit(f"{SMALL}&shape=gauss&layers=2&second_layers=1&regularization=l2&regularization_rate=0.01")
    start = visitor.page.url
    controls = visitor.page.evaluate(VISIBLE_CONTROLS)
    assert len(controls) > 60
    without_frame = {*LIVE, "show_test", "discretize", "speed", "shape-points"}
    of_networks = re.compile("(add|remove)-(layer|neuron|network)|(second_)?kind-|feature-|regenerate")
    for control in controls:
        name = control["id"]
        if control["isChosen"]:
            continue  # choosing it again does nothing
        reset(visitor, start)
        if name.startswith("loss-surface"):
            for _ in range(3):  # it needs a path of training
                visitor.step()
        before = visitor.page.evaluate(EFFECTS)
        use(visitor, control)
        expected = "after.some((value, i) => value !== before[i])"
        if control["isSetting"] or of_networks.match(name):
            expected = "after[1] !== before[1]"
            if name not in without_frame:
                expected += " && after[0] > before[0]"
        if name == "play":
            expected = "window.playground.last.playing"
        try:
            visitor.wait(f"(before) => {{ const after = ({EFFECTS})(); return {expected}; }}", before)
        except api.TimeoutError:
            pytest.fail(f"{name} changed {before} to {visitor.page.evaluate(EFFECTS)}")
        assert visitor.page.locator(".message.error").all_inner_texts() == [], name
        if name == "play":
            visitor.click("play")
            visitor.wait("() => !window.playground.last.playing")


def test_keyboard_trains_and_opens_a_neuron_whose_next_weights_come_true(visit: Visit) -> None:
    visitor = visit(f"{SMALL}&layers=3&speed=25")
    page = visitor.page
    page.keyboard.press("Space")
    visitor.wait("() => window.playground.last.playing")
    page.keyboard.press("Space")
    visitor.wait("() => !window.playground.last.playing")
    page.keyboard.press("r")
    visitor.wait_for_epoch(0)
    page.keyboard.press("s")
    visitor.wait_for_epoch(1)

    passed: list[str] = []
    while not passed or not passed[-1].startswith("neuron-0-"):
        assert len(passed) < 200, passed
        page.keyboard.press("Tab")
        passed.append(page.evaluate("() => document.activeElement.id"))
    assert "play" in passed
    page.keyboard.press("Enter")
    panel = visitor.element("neuron-panel")
    panel.wait_for(state="visible")
    _, _, layer, unit = passed[-1].split("-")
    table = panel.locator("table").last
    before = [
        [cell.replace("\N{MINUS SIGN}", "-") for cell in row.split("\t")] for row in table.inner_text().split("\n")
    ]
    following = [float(row[3]) for row in before[1:]]
    panel.get_by_role("button", name="Step one batch").click()
    visitor.wait("() => window.playground.last.batch === 1")
    network = visitor.frame()["networks"][0]
    weights = network["weights"][int(layer)][2 * int(unit) : 2 * int(unit) + 2]
    assert [*weights, network["biases"][int(layer)][int(unit)]] == pytest.approx(following, abs=6e-4)
    page.keyboard.press("Escape")
    panel.wait_for(state="hidden")


def test_weights_can_be_edited(visit: Visit) -> None:
    visitor = visit(f"{SMALL}&layers=1")
    visitor.click("bias-0-0-0")
    visitor.element("edit-input").select_option("0")
    visitor.element("edit-value").fill("1.25")
    visitor.element("edit-value").press("Enter")
    is_weight = """([index, value]) => {
      const { last } = window.playground;
      return last.networks[0].weights[0][index] === value;
    }"""
    visitor.wait(is_weight, [0, 1.25])
    visitor.click("edit-close")
    feature, neuron = (visitor.element(name).bounding_box() for name in ("feature-y", "neuron-0-0-0"))
    assert feature
    assert neuron
    middle = [
        (one + other) / 2
        for one, other in (
            (feature["x"] + feature["width"], neuron["x"]),
            (feature["y"] + feature["height"] / 2, neuron["y"] + neuron["height"] / 2),
        )
    ]
    visitor.page.mouse.click(*middle)  # on the line between them
    visitor.element("edit-value").fill("-2")
    visitor.element("edit-value").press("Enter")
    visitor.wait(is_weight, [1, -2])


def test_rewind_shows_an_early_epoch_and_comes_back(visit: Visit) -> None:
    visitor = visit(f"{SMALL}&layers=3")
    shown = [visitor.frame(), *(visitor.step() for _ in range(4))]
    visitor.element("rewind").press("Home")
    early = visitor.wait_for_epoch(0)
    assert early["networks"] == shown[0]["networks"]
    visitor.element("rewind").press("ArrowRight")
    assert visitor.wait_for_epoch(1)["networks"] == shown[1]["networks"]
    visitor.click("newest")
    assert visitor.wait_for_epoch(4)["networks"] == shown[4]["networks"]
    assert visitor.step()["epoch"] == 5


def test_own_points_are_drawn_and_uploaded(visit: Visit) -> None:
    visitor = visit(SMALL)
    visitor.page.locator("label.thumb:has(#shape-points)").click()
    picture = visitor.page.locator("#network-0 canvas.points")
    assert "with 0 training points" in (picture.get_attribute("aria-label") or "")
    assert not picture.page.locator("#network-0 canvas.map").is_visible()
    assert visitor.element("step").is_disabled()
    box = picture.bounding_box()
    assert box
    for label, x in (("0", 0.25), ("1", 0.75)):
        visitor.element("point-class").select_option(label)
        for y in (0.2, 0.5, 0.8):
            picture.click(position={"x": x * box["width"], "y": y * box["height"]})
    visitor.wait("() => document.querySelector('#network-0 canvas.points').ariaLabel.includes('3 training points')")
    points = visitor.frame()["state"]["points"]
    assert [target for _, _, target in points] == [0, 0, 0, 1, 1, 1]
    assert all((x < 0) == (target == 0) for x, _, target in points)
    assert "points=" in visitor.page.url
    visitor.wait("() => window.playground.last.epoch === 0")
    visitor.step()
    visitor.upload("x,y,class\n" + 100_000 * "1,1,0\n")
    visitor.page.locator(".message.error", has_text="too large").wait_for()
    visitor.upload("x,y,class\n1,1,0\n1,two,1\n")
    visitor.page.locator(".message.error", has_text="row 2, column y").wait_for()
    assert visitor.frame()["state"]["points"] == points
    visitor.upload("x,y,value\n" + "".join(f"{x},{-x},{x / 4}\n" for x in range(-4, 4)))
    visitor.wait("() => window.playground.state.points.length === 8 && window.playground.last.networks[0].metrics")
    assert visitor.frame()["state"]["points_task"] == "regression"


def test_page_without_points_says_what_to_draw_and_takes_a_file(visit: Visit) -> None:
    visitor = visit("shape=points")
    assert visitor.element("play").is_disabled()
    assert "4 points or more" in visitor.element("points-hint").inner_text()
    visitor.upload("x,y\n1,1\n")
    visitor.page.locator(".message.error", has_text="header").wait_for()
    visitor.upload(POINTS)
    visitor.wait("() => window.playground.last")
    assert visitor.page.locator(".message").count() == 0
    assert "4 points or more" not in visitor.element("points-hint").inner_text()
    assert visitor.step()["epoch"] == 1


BROKEN_LINKS = {
    "unknown names and values": (
        "shape=zzz&layers=99&features=zzz&speed=0&tab=nope&story=nope.9&foo=1&seed=x&points=1:2&show_test=maybe&%",
        ["shape=zzz", "layers=99", "features=zzz", "speed=0", "tab=nope", "story=nope.9", "foo=1", "seed=x", "%"],
    ),
    "value outside the limits": ("shape=spiral&dropout=2", ["dropout=2", "shows its defaults"]),
    "value outside the limits with own points": (
        "shape=points&noise=2&points=1:1:0;2:2:1;3:3:0;4:4:1",
        ["noise=2", "shows its defaults"],
    ),
}


@pytest.mark.parametrize("name", BROKEN_LINKS)
def test_broken_link_ends_in_a_usable_page_with_one_message(visit: Visit, name: str) -> None:
    link, faults = BROKEN_LINKS[name]
    visitor = visit(link)
    message = visitor.page.locator(".message.error", has_text=faults[0])
    message.wait_for()
    assert visitor.page.locator(".message").count() == 1
    assert [fault for fault in faults if fault not in message.inner_text()] == []
    visitor.wait("() => window.playground.last")
    assert visitor.page.url.endswith("#shape=circle&seed=0")
    assert visitor.step()["epoch"] == 1
    assert visitor.page.locator(".message").count() == 0


def test_step_of_a_story_starts_at_epoch_0(visit: Visit) -> None:
    visitor = visit()
    visitor.element("story-select").select_option("learning-rate")
    visitor.wait("() => window.playground.last.networks.length === 1")
    first = visitor.frame()
    visitor.step()
    visitor.click("story-next")  # only the learning rate is another
    assert visitor.wait_for_epoch(0)["networks"] == first["networks"]
    assert visitor.frame()["state"]["lr"] != first["state"]["lr"]


# ---------------------------------------------------------------------------------------------------- digits


def test_digit_drawn_with_the_mouse_is_read_and_every_stage_is_drawn(visit: Visit) -> None:
    visitor = visit("tab=digits")
    page = visitor.page
    box = page.locator(".digit-canvas").bounding_box()
    assert box
    x, top, bottom = box["x"] + box["width"] / 2, box["y"] + 0.2 * box["height"], box["y"] + 0.8 * box["height"]
    page.mouse.move(x, top)
    page.mouse.down()
    page.mouse.move(x, bottom, steps=12)
    page.mouse.up()
    page.locator(".digit-prediction", has_text="This is a 1").wait_for()
    stages = page.locator(".digit-stage")
    assert stages.count() >= 4
    for stage in [*stages.all(), *page.locator(".digit-figures figure").all()]:
        colours = [canvas.evaluate(NUM_COLOURS) for canvas in stage.locator("canvas").all()]
        assert max(colours) > 2, stage.inner_text()


# ---------------------------------------------------------------------------------------------------- the page itself


def test_page_loads_nothing_from_other_hosts(visit: Visit, address: str) -> None:
    visitor = visit()
    visitor.click("tab-digits")
    visitor.page.get_by_role("button", name="Example").click()
    visitor.page.locator(".digit-prediction", has_text="This is a 2").wait_for()
    visitor.click("tab-plane")
    assert len(visitor.requests) > 10
    addresses = (f"{address}/", f"{address.replace('http', 'ws')}/ws", "data:,")
    assert [url for url in visitor.requests if not url.startswith(addresses)] == []


STATES = {
    "story": "",
    "all controls": "shape=spiral&num_classes=6&features=x,y,x2,y2,xy,sin_x,sin_y&layers=16,16,16,16,16,16",
    "50 layers": f"kind=residual&layers={','.join(['4'] * 50)}&second_layers={','.join(['4'] * 50)}",
    "digits": "tab=digits",
}


@pytest.mark.parametrize("size", SIZES, ids=["computer", "phone"])
@pytest.mark.parametrize("name", STATES)
def test_page_does_not_scroll_sideways(visit: Visit, name: str, size: tuple[int, int]) -> None:
    visitor = visit(STATES[name], size)
    if name == "digits":
        visitor.page.get_by_role("button", name="Example").click()
        visitor.page.locator(".digit-stage").first.wait_for()
    assert visitor.page.evaluate("() => document.documentElement.scrollWidth") <= size[0]
