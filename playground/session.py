"""One visitor of the playground: the settings, the data, one or two networks, and what was recorded of them."""

import dataclasses
import math
import time
from typing import Any

import torch

from datamodules.plane import FEATURES
from engine.paths import RUNS
from playground import frame
from playground.network import Network
from playground.panels import explain_neuron, loss_surface
from playground.settings import LIVE, MAX_EPOCHS, Settings
from playground.take_away import take_away, write_curves

Message = dict[str, Any]

MAX_RECORDED = 400  # epochs; when there are more, every second one is forgotten
NEURON_INTERVAL = 0.5  # seconds between two pictures of the inside of a neuron while training


class Handler:
    """Answers messages of the page."""

    def handle(self, message: Message) -> list[Message]:
        """Calls the method `do_<type>` with the other fields of a message. Returns messages for the page.

        Raises:
            ValueError: If there is no such method, or a field is outside its limits. The message is one line.
        """
        fields = dict(message)
        kind = fields.pop("type")
        method = getattr(self, f"do_{kind}", None)
        if method is None:
            raise ValueError(f"type={kind!r} is not a message of the page")
        return method(**fields) or []


class Session(Handler):
    """What one visitor sees. `handle` answers a message of the page, `train` trains, `frame` draws."""

    def __init__(self, settings: Settings) -> None:
        self.speed: float | None = None  # epochs per second; None: as fast as possible
        self.due = 0.0  # when the next step may begin
        self.neuron_time = 0.0  # when the page last got the inside of a neuron
        self.is_seen = True  # whether the page has drawn the last frame
        self.start(settings)

    # settings

    def start(self, settings: Settings) -> list[Message]:
        """Makes new data and new networks. Returns the message that describes the data."""
        data = settings.make_data()
        networks = [Network(settings, kind, layers, data) for kind, layers in settings.networks()]
        self.settings, self.data, self.networks = settings, data, networks
        self.recorded = [self.snapshot()]
        self.stride = 1  # epochs between two recorded ones
        self.shown: int | None = None
        self.pictures = [frame.default_pictures(len(network.layers)) for network in networks]
        self.neuron: tuple[int, dict[str, int]] | None = None
        self.changes: list[str] = []  # what was changed by hand while the networks trained
        self.is_playing = False
        self.num_sent = 0  # epochs of the curves that the page has
        self.has_changed = True
        return [self.data_message()]

    def do_reset(self) -> list[Message]:
        return self.start(self.settings)

    def do_settings(self, settings: dict[str, Any]) -> list[Message]:
        new, old, first = Settings(**settings), self.settings, self.networks[0]
        if dataclasses.replace(old, **{name: getattr(new, name) for name in LIVE}) != new:
            return self.start(new)
        if new.lr != old.lr and (first.epoch or first.batch):
            self.changes.append(f"the learning rate was {old.lr:g} until epoch {first.epoch}")
        self.settings = new
        for network in self.networks:
            network.settings = new
            for group in network.optimizer.param_groups:
                group["lr"] = new.lr
        return []

    def reconnect(self, settings: dict[str, Any]) -> list[Message]:
        """Continues with another connection. Its first frame contains the curves from the start."""
        self.num_sent = 0
        self.is_seen = self.has_changed = True
        return self.do_settings(settings) or [self.data_message()]

    def snapshot(self) -> tuple[int, list[torch.Tensor]]:
        return self.networks[0].epoch, [network.weights() for network in self.networks]

    # training

    def step(self) -> list[Message]:
        """Trains all networks on the next batch. Returns a message if training has to stop."""
        self.has_changed = True
        self.shown = None
        for network in self.networks:
            network.step()
        epoch, batch = self.networks[0].epoch, self.networks[0].batch  # the same for all networks
        if batch:
            return []
        if epoch % self.stride == 0:
            self.recorded.append(self.snapshot())
        if len(self.recorded) > MAX_RECORDED:
            self.recorded, self.stride = self.recorded[::2], 2 * self.stride
        reason = self.reason_to_stop(epoch)
        return [{"type": "info", "message": reason}] if reason else []

    def reason_to_stop(self, epoch: int) -> str | None:
        losses = [network.history[-1][0][0] for network in self.networks]
        wanted = self.settings.stop_loss
        if not all(map(math.isfinite, losses)):
            return f"The loss is not a finite number after epoch {epoch}. Use a lower learning rate."
        if wanted is not None and min(losses) < wanted:
            return f"Stopped after epoch {epoch}: the training loss {min(losses):.4f} is below {wanted:g}."
        if epoch == self.settings.stop_epoch:
            return f"Stopped after epoch {epoch}."
        return f"Stopped: the playground trains at most {MAX_EPOCHS:,} epochs." if epoch >= MAX_EPOCHS else None

    def train(self, seconds: float) -> list[Message]:
        """Trains for so long, but no faster than the chosen speed. Returns messages for the page."""
        end = time.perf_counter() + seconds
        interval = 1 / (self.speed * self.networks[0].num_batches) if self.speed else 0.0
        while self.is_playing and self.due <= time.perf_counter() < end:
            self.due += interval
            if stop := self.step():
                self.is_playing = False
                return stop + self.neuron_messages()
        wants_neuron = self.is_playing and time.perf_counter() - self.neuron_time > NEURON_INTERVAL
        return self.neuron_messages() if wants_neuron else []

    # messages of the page

    def do_play(self) -> None:
        self.is_playing, self.shown = True, None
        self.due = time.perf_counter()

    def do_pause(self) -> list[Message]:
        self.is_playing = False
        self.has_changed = True
        return self.neuron_messages()

    def do_step(self, unit: str) -> list[Message]:
        self.is_playing = False
        stop = self.step()
        while unit == "epoch" and self.networks[0].batch:
            stop = self.step()
        return stop + self.neuron_messages()

    def do_speed(self, value: float | None) -> None:
        if value is not None and not 0.1 <= value <= 1000:
            raise ValueError(f"speed={value} must be 0.1 to 1000 epochs per second, or none for no limit")
        self.speed, self.due = value, time.perf_counter()

    def do_seen(self) -> None:
        self.is_seen = True

    def do_show(self, index: int | None) -> None:
        self.is_playing = False
        self.shown = None if index is None else max(0, min(index, len(self.recorded) - 1))
        self.has_changed = True

    def do_unfold(self, network: int, layers: list[int]) -> None:
        self.pictures[network] = [layer for layer in layers if layer < len(self.networks[network].layers)]
        self.has_changed = True

    def do_edit(self, network: int, layer: int, unit: int, input: int | None, value: float) -> list[Message]:
        edited = self.networks[network]
        edited.edit(layer, unit, input, value)
        if self.recorded[-1][0] == edited.epoch:
            self.recorded[-1][1][network] = edited.weights()
        self.num_sent = min(self.num_sent, edited.epoch)  # so that the page gets the new loss
        self.shown, self.has_changed = None, True
        self.changes.append(f"a weight or bias of network {network + 1} was edited after epoch {edited.epoch}")
        return self.neuron_messages()

    def do_neuron(self, network: int | None, **place: int) -> list[Message]:
        """Opens the inside of a neuron, with the arguments of `explain_neuron`. Closes it if `network` is None."""
        self.neuron = None if network is None else (network, place)
        return self.neuron_messages()

    def neuron_messages(self) -> list[Message]:
        """The inside of the neuron that is open, if one is."""
        self.neuron_time = time.perf_counter()
        if self.neuron is None:
            return []
        network, place = self.neuron
        return [{"type": "neuron", "network": network, **place, **explain_neuron(self.networks[network], **place)}]

    def do_surface(self, network: int) -> list[Message]:
        path = [snapshots[network] for _, snapshots in self.recorded]
        return [{"type": "surface", "network": network, **loss_surface(self.networks[network], path)}]

    def do_config(self, network: int) -> list[Message]:
        return [{"type": "config", **take_away(self.networks[network], self.changes)}]

    def do_tensorboard(self) -> list[Message]:
        folders = " and ".join(write_curves(network) for network in self.networks)
        return [{"type": "info", "message": f"Written to {folders}. To see it: tensorboard --logdir {RUNS}/playground"}]

    # messages for the page

    def data_message(self) -> Message:
        """The points, and the pictures of all features."""
        points = {
            split: torch.cat([self.data.points[split], self.data.splits[split][1].reshape(-1, 1)], dim=1).tolist()
            for split in ("train", "test")
        }
        grid = frame.plane_grid(frame.GRID).T.reshape(2, frame.GRID, frame.GRID)
        features = [feature(*grid) for feature in FEATURES.values()]
        return {
            "type": "data",
            "task": self.data.task,
            "num_classes": self.data.num_outputs,
            "limit": frame.value_limit(self.data),
            **points,
            "feature_maps": [frame.to_bytes(values, float(values.abs().max())) for values in features],
        }

    def wants_frame(self) -> bool:
        """Whether the page has drawn the last frame, and there is something new to show."""
        return self.is_seen and self.has_changed

    def frame(self) -> Message:
        """What the page draws."""
        self.is_seen = self.has_changed = False
        epoch, snapshots = (self.networks[0].epoch, None) if self.shown is None else self.recorded[self.shown]
        described = [
            {
                "metrics": metrics_row(network, epoch),
                "curve": [metrics_row(network, each) for each in range(self.num_sent, len(network.history))],
                **frame.describe(network, network.at(snapshots[number] if snapshots else None), self.pictures[number]),
            }
            for number, network in enumerate(self.networks)
        ]
        self.num_sent = len(self.networks[0].history)
        return {
            "type": "frame",
            "epoch": epoch,
            "batch": self.networks[0].batch if self.shown is None else 0,
            "playing": self.is_playing,
            "recorded": [number for number, _ in self.recorded],
            "index": self.shown,
            "networks": described,
        }


def metrics_row(network: Network, epoch: int) -> list[float | None]:
    """Epoch, training loss, test loss, training accuracy, test accuracy."""
    (train_loss, train_accuracy), (test_loss, test_accuracy) = network.history[epoch]
    return [epoch, frame.finite(train_loss), frame.finite(test_loss), train_accuracy, test_accuracy]
