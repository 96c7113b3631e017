"""How much faster do two processes train than one? Samples a second on the CPU.

python -m benchmarks.processes

The ways to train take turns, so that what else the machine does meets all of them.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import markdown
from engine import results
from engine.paths import PROJECT
from engine.results import Row

CONFIGS = ("mnist/shallow_mlp", "mnist/resnet", "sequence/lstm")
BATCH_SIZE = 512
WAYS = {"one": (1, 1), "two_threads": (1, 2), "two_processes": (2, 1)}  # processes, threads of each
STEPS = 50  # an epoch, of which a run has three
ROUNDS = 5


def speed(config: str, way: str) -> float:
    """Samples a second of a short run that is thrown away: of the median of its epochs, which do not validate."""
    num_processes, num_threads = WAYS[way]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "train.py", "fit", "-c", f"configs/{config}.yaml", "--test_checkpoint=none"]
        command += [f"--data.batch_size={BATCH_SIZE}", "--data.val_size=0", "--trainer.max_epochs=3"]
        command += [f"--trainer.limit_train_batches={STEPS}", f"--trainer.logger.init_args.save_dir={folder}"]
        command += ["--trainer.accelerator=cpu", f"--trainer.devices={num_processes}"]
        environment = {**os.environ, "OMP_NUM_THREADS": str(num_threads)}
        subprocess.run(command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, check=True)
        (file,) = Path(folder).rglob(results.FILE)
        return STEPS * BATCH_SIZE / float(json.loads(file.read_text())["seconds_per_epoch"])


def measure(rounds: int = ROUNDS) -> Row:
    speeds: Row = {}
    for config in CONFIGS:
        turns = [{way: speed(config, way) for way in WAYS} for _ in range(rounds)]
        speeds[config] = {way: [turn[way] for turn in turns] for way in WAYS}
        print(table({"speeds": {config: speeds[config]}}).splitlines()[-1], flush=True)
    return {"speeds": speeds}


def table(found: Row) -> str:
    """Samples a second, and behind those of two cores the share of twice the speed of one."""
    rows = []
    for config, turns in found["speeds"].items():
        one = statistics.median(turns["one"])
        cells = [config, f"{one:,.0f}"]
        for way in ("two_threads", "two_processes"):
            shares = [two / (2 * alone) for two, alone in zip(turns[way], turns["one"], strict=True)]
            share = f"{statistics.median(shares):.0%} ({min(shares):.0%} to {max(shares):.0%})"
            cells.append(f"{statistics.median(turns[way]):,.0f}: {share}")
        rows.append(cells)
    return markdown(["config", "1 process, 1 thread", "1 process, 2 threads", "2 processes, 1 thread each"], rows)


if __name__ == "__main__":
    measure()
