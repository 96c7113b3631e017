"""What `Trainer.fit` costs over the loop that one would write by hand.

python -m benchmarks.overhead

Both take the same steps on the same tensors with the same optimizer and schedule. As shipped: TensorBoard, metrics,
progress line, checkpoints, and the config's own `steps_per_execution`. Validation, where a config has it, is left out.
"""

from __future__ import annotations

import functools
import statistics
import time

from torch import nn
from torch.nn import functional as F

from benchmarks.measure import interleaved, markdown, quietly, ratio, shown, wait
from cli import CLI
from results import Row

EPOCHS = {"mnist/shallow_mlp": 5, "mnist/deep_mlp": 1, "mnist/fast_cnn": 1, "mnist/resnet": 1, "sequence/lstm": 1}
BATCH_SIZES = (64, 128, 512)
GOAL, CUDA_GOAL = 1.05, 1.10  # at batches of 128 and more
ROUNDS = 5


def by_hand(cli: CLI) -> float:
    """Milliseconds a step of a plain loop over what was built."""
    model, data, epochs = cli.model, cli.datamodule, int(cli.trainer.max_epochs or 0)
    data.trainer = cli.trainer
    data.prepare_data()
    data.setup("fit")
    inputs, targets = data.splits["train"]
    sampler = data.train_dataloader().sampler
    model.to(inputs.device).train()
    optimizer = model.make_optimizer()
    smoothing, clip = model.hparams["label_smoothing"], model.hparams["gradient_clip"]
    step, total_steps = 0, epochs * data.steps_per_epoch
    wait()
    start = time.perf_counter()
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        batches = sampler.order()[: data.steps_per_epoch * data.batch_size].view(-1, data.batch_size)
        for indices in batches.to(inputs.device):
            for group in optimizer.param_groups:
                group["lr"] = model.lr_at(step, total_steps)
            optimizer.zero_grad()
            batch, labels = inputs.index_select(0, indices), targets.index_select(0, indices)
            F.cross_entropy(model(batch), labels, label_smoothing=smoothing).backward()
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            step += 1
    wait()
    return (time.perf_counter() - start) / step * 1000


def as_shipped(arguments: list[str]) -> float:
    """Milliseconds a step of `train.py fit`, from the first step to the end of training."""
    cli = quietly([*arguments, "--test_checkpoint=none"])
    return (cli.history.seconds - cli.history.validation_seconds) / int(cli.trainer.global_step) * 1000


def measure(rounds: int = ROUNDS, batch_sizes: tuple[int, ...] = BATCH_SIZES) -> Row:
    cells = []
    for config, epochs in EPOCHS.items():
        for batch_size in batch_sizes:
            arguments = ["-c", f"configs/{config}.yaml", f"--data.batch_size={batch_size}"]
            arguments += [f"--trainer.max_epochs={epochs}"]
            found = interleaved(
                rounds,
                {
                    "by_hand": lambda arguments=arguments: by_hand(quietly(arguments, run=False)),  # type: ignore[misc]
                    "as_shipped": functools.partial(as_shipped, arguments),
                },
            )
            cells.append({"config": config, "batch_size": batch_size, **found})
            print(table({"cells": cells[-1:]}).splitlines()[-1], flush=True)
    return {"cells": cells}


def table(found: Row) -> str:
    rows = [
        [
            cell["config"],
            str(cell["batch_size"]),
            f"{statistics.median(cell['by_hand']):.3g}",
            shown(ratio(cell["as_shipped"], cell["by_hand"])),
        ]
        for cell in found["cells"]
    ]
    return markdown(["config", "batch", "by hand, ms a step", "`Trainer.fit` ÷ by hand"], rows)


if __name__ == "__main__":
    measure()
