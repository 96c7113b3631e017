"""One visitor of the playground: the settings, the data, one or two networks, and what was recorded of them."""

from __future__ import annotations

import base64
import dataclasses
import math
import time
from typing import Any

import torch

from datamodules.plane import FEATURES
from engine.paths import RUNS
from playground.frame import GRID, Arrays, default_pictures, describe, finite, plane_grid, to_bytes, value_limit
from playground.network import Network, make_network
from playground.neuron import explain_neuron
from playground.settings import LIVE, MAX_EPOCHS, Settings
from playground.surface import loss_surface
from playground.take_away import take_away, write_curves

Message = dict[str, Any]

MAX_RECORDED = 400  # epochs; when there are more, every second one is forgotten
NEURON_INTERVAL = 0.5  # seconds between two pictures of the inside of a neuron while training


class Session:
    """What one visitor sees. `handle` answers a message of the page, `train` trains, `frame` draws.

    Args:
        settings: The settings to start with.
    """

    def __init__(self, settings: Settings) -> None:
        self.speed: float | None = None  # epochs per second; None: as fast as possible
        self.neuron_time = 0.0  # when the page last got the inside of a neuron
        self.is_seen = True  # whether the page has drawn the last frame
        self.start(settings)

    # settings

    def start(self, settings: Settings) -> None:
        """Makes new data and new networks."""
        data = settings.make_data()
        networks = [make_network(settings, kind, layers, data) for kind, layers in settings.networks()]
        self.settings, self.data, self.networks = settings, data, networks
        self.recorded = [self.snapshot()]
        self.stride = 1  # epochs between two recorded ones
        self.shown: int | None = None
        self.pictures = [default_pictures(len(network.layers)) for network in networks]
        self.neuron: Message | None = None
        self.changes: list[str] = []  # what was changed by hand while the networks trained
        self.is_playing = False
        self.num_sent = 0  # epochs of the curves that the page has
        self.has_changed = True

    def forget_frames(self) -> None:
        """Another page has connected: its first frame contains the curves from the start."""
        self.num_sent = 0
        self.is_seen = self.has_changed = True

    def snapshot(self) -> tuple[int, list[torch.Tensor]]:
        return self.networks[0].epoch, [network.snapshot for network in self.networks]

    # training

    def step(self) -> str | None:
        """Trains all networks on the next batch. Returns the reason if training has to stop."""
        self.has_changed = True
        self.shown = None
        ends_epoch = [network.step() for network in self.networks]  # all of them have the same number of batches
        if not all(ends_epoch):
            return None
        epoch = self.networks[0].epoch
        if epoch % self.stride == 0:
            self.recorded.append(self.snapshot())
        if len(self.recorded) > MAX_RECORDED:
            self.recorded, self.stride = self.recorded[::2], 2 * self.stride
        return self.reason_to_stop(epoch)

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
        while self.is_playing and time.perf_counter() < end and self.seconds_until_due() <= 0:
            self.num_steps += 1
            if reason := self.step():
                self.is_playing = False
                return [{"type": "info", "message": reason}, *self.neuron_messages()]
        is_due = self.is_playing and time.perf_counter() - self.neuron_time > NEURON_INTERVAL
        return self.neuron_messages() if is_due else []

    def seconds_until_due(self) -> float:
        """Seconds until the next step, at the chosen speed."""
        if self.speed is None:
            return 0.0
        steps_per_epoch = self.data.num_train // self.settings.batch_size
        return self.play_time + self.num_steps / (self.speed * steps_per_epoch) - time.perf_counter()

    # messages of the page

    def handle(self, message: Message) -> list[Message]:
        """Does what the page asks. Returns messages for it.

        Raises:
            ValueError: If the page asks for something outside the limits. The message is one line.
        """
        answer = getattr(self, f"do_{message['type']}", None)
        if answer is None:
            raise ValueError(f"type={message['type']!r} is not a message of the page")
        return answer(message) or []

    def do_settings(self, message: Message) -> list[Message]:
        new = Settings(**message["settings"])
        live = {name: getattr(new, name) for name in LIVE}
        if dataclasses.replace(self.settings, **live) == new:
            self.set_live(new)
            return []
        self.start(new)
        return [self.data_message()]

    def set_live(self, new: Settings) -> None:
        """Changes what does not reset the networks."""
        old, first = self.settings, self.networks[0]
        if new.lr != old.lr and (first.epoch or first.batch):
            self.changes.append(f"the learning rate was {old.lr:g} until epoch {first.epoch}")
        self.settings = new
        for network in self.networks:
            network.settings = new
            network.set_lr(new.lr)

    def do_play(self, message: Message) -> None:
        self.is_playing, self.shown = True, None
        self.start_clock()

    def start_clock(self) -> None:
        """The speed counts from now."""
        self.play_time, self.num_steps = time.perf_counter(), 0

    def do_pause(self, message: Message) -> list[Message]:
        self.is_playing = False
        self.has_changed = True
        return self.neuron_messages()

    def do_reset(self, message: Message) -> list[Message]:
        self.start(self.settings)
        return [self.data_message()]

    def do_step(self, message: Message) -> list[Message]:
        self.is_playing = False
        reason = self.step()
        while message["unit"] == "epoch" and self.networks[0].batch:
            reason = self.step()
        return [*([{"type": "info", "message": reason}] if reason else []), *self.neuron_messages()]

    def do_speed(self, message: Message) -> None:
        speed = message["value"]
        if speed is not None and not 0.1 <= speed <= 1000:
            raise ValueError(f"speed={speed} must be 0.1 to 1000 epochs per second, or none for no limit")
        self.speed = speed
        self.start_clock()

    def do_seen(self, message: Message) -> None:
        self.is_seen = True

    def do_show(self, message: Message) -> None:
        index = message["index"]
        self.is_playing = False
        self.shown = None if index is None else max(0, min(index, len(self.recorded) - 1))
        self.has_changed = True

    def do_unfold(self, message: Message) -> None:
        network = self.networks[message["network"]]
        self.pictures[message["network"]] = [number for number in message["layers"] if number < len(network.layers)]
        self.has_changed = True

    def do_edit(self, message: Message) -> list[Message]:
        number = message["network"]
        network = self.networks[number]
        network.edit(message["layer"], message["unit"], message["input"], message["value"])
        if self.recorded[-1][0] == network.epoch:
            self.recorded[-1] = self.snapshot()
        self.num_sent = min(self.num_sent, network.epoch)  # so that the page gets the new loss
        self.shown, self.has_changed = None, True
        self.changes.append(f"a weight or bias of network {number + 1} was edited after epoch {network.epoch}")
        return self.neuron_messages()

    def do_neuron(self, message: Message) -> list[Message]:
        self.neuron = message if message["network"] is not None else None
        return self.neuron_messages()

    def neuron_messages(self) -> list[Message]:
        """The inside of the neuron that is open, if one is."""
        self.neuron_time = time.perf_counter()
        if self.neuron is None:
            return []
        layer, unit, sample = (self.neuron[name] for name in ("layer", "unit", "sample"))
        return [{**self.neuron, **explain_neuron(self.networks[self.neuron["network"]], layer, unit, sample)}]

    def do_surface(self, message: Message) -> list[Message]:
        number = message["network"]
        path = [snapshots[number] for _, snapshots in self.recorded]
        return [{"type": "surface", "network": number, **loss_surface(self.networks[number], path)}]

    def do_config(self, message: Message) -> list[Message]:
        return [{"type": "config", **take_away(self.networks[message["network"]], self.changes)}]

    def do_tensorboard(self, message: Message) -> list[Message]:
        folders = " and ".join(write_curves(network) for network in self.networks)
        return [{"type": "info", "message": f"Written to {folders}. To see it: tensorboard --logdir {RUNS}/playground"}]

    # messages for the page

    def data_message(self) -> Message:
        """The points, and the pictures of all features."""
        points = {
            split: torch.cat([self.data.points[split], targets.reshape(-1, 1)], dim=1).tolist()
            for split, (_, targets) in self.data.splits.items()
            if split != "val"  # which is empty
        }
        grid = plane_grid(GRID)
        features = [feature(*grid.T) for feature in FEATURES.values()]
        maps = [to_bytes(values, float(values.abs().max())).tobytes() for values in features]
        return {
            "type": "data",
            "task": self.data.task,
            "num_classes": self.data.num_outputs,
            "limit": value_limit(self.data),
            **points,
            "feature_maps": [base64.b64encode(content).decode() for content in maps],
            "grid": GRID,
        }

    def wants_frame(self) -> bool:
        """Whether the page has drawn the last frame, and there is something new to show."""
        return self.is_seen and self.has_changed

    def frame(self) -> bytes:
        """What the page draws: see `playground.frame`."""
        self.is_seen = self.has_changed = False
        arrays = Arrays()
        epoch, snapshots = (self.networks[0].epoch, None) if self.shown is None else self.recorded[self.shown]
        described = []
        for number, (network, pictures) in enumerate(zip(self.networks, self.pictures, strict=True)):
            _, train_loss, test_loss, *accuracy = curve_row(network, epoch)
            described.append(
                {
                    "loss": [train_loss, test_loss],
                    "accuracy": accuracy if self.data.task == "classification" else None,
                    "curve_from": self.num_sent,
                    "curve": [curve_row(network, each) for each in range(self.num_sent, len(network.history))],
                    **describe(network, network.at(snapshots[number] if snapshots else None), pictures, arrays),
                }
            )
        self.num_sent = len(self.networks[0].history)
        header = {
            "type": "frame",
            "epoch": epoch,
            "batch": self.networks[0].batch if self.shown is None else 0,
            "playing": self.is_playing,
            "recorded": [number for number, _ in self.recorded],
            "index": self.shown,
            "networks": described,
        }
        return arrays.message(header)


def curve_row(network: Network, epoch: int) -> list[float | None]:
    """Epoch, training loss, test loss, training accuracy, test accuracy."""
    (train_loss, train_accuracy), (test_loss, test_accuracy) = network.history[epoch]
    return [epoch, finite(train_loss), finite(test_loss), train_accuracy, test_accuracy]
