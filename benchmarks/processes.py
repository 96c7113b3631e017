"""How much faster do two processes train than one? Samples a second, into benchmarks/results/processes.json.

python -m benchmarks.processes

The ways to train take turns, so that what else the machine does meets all of them.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import results
from arguments import PROJECT

CONFIGS = ("mnist/shallow_mlp", "mnist/deep_mlp", "mnist/resnet", "sequence/lstm")
BATCH_SIZES = (128, 512)
WAYS = {"one": (1, 1), "two_threads": (1, 2), "two_processes": (2, 1)}  # processes, threads of each
FILE = PROJECT / "benchmarks" / "results" / "processes.json"
PAGE = PROJECT / "docs" / "scaling.md"
HEADER = """\
| config | batch size | 1 process, 1 thread | 1 process, 2 threads | 2 processes, 1 thread each |
| --- | ---: | ---: | ---: | ---: |
"""


def measure(config: str, batch_size: int, way: str, steps: int) -> float:
    """Samples a second of a short run that is thrown away: of the median of its epochs, which do not validate."""
    num_processes, num_threads = WAYS[way]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "train.py", "fit", "-c", f"configs/{config}.yaml", "--test_checkpoint=none"]
        command += [f"--data.batch_size={batch_size}", "--data.val_size=0", "--trainer.max_epochs=3"]
        command += [f"--trainer.limit_train_batches={steps}", f"--trainer.logger.init_args.save_dir={folder}"]
        command += ["--trainer.accelerator=cpu", f"--trainer.devices={num_processes}"]
        environment = {**os.environ, "OMP_NUM_THREADS": str(num_threads)}
        subprocess.run(command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, check=True)
        (file,) = Path(folder).rglob(results.FILE)
        return steps * batch_size / float(json.loads(file.read_text())["seconds_per_epoch"])


def measure_all(rounds: int, steps: int) -> list[results.Row]:
    """A row for each config and batch size: the median samples a second of each way, and of how many rounds."""
    rows = []
    for config in CONFIGS:
        for batch_size in BATCH_SIZES:
            turns = [{way: measure(config, batch_size, way, steps) for way in WAYS} for _ in range(rounds)]
            speeds = {way: round(statistics.median(turn[way] for turn in turns)) for way in WAYS}
            rows.append({"config": config, "batch_size": batch_size, "rounds": rounds, "steps": steps, **speeds})
            print(rows[-1], flush=True)
    return rows


def table(rows: list[results.Row]) -> str:
    """Samples a second, and behind those of two cores the share of twice the speed of one."""
    lines = []
    for row in rows:
        two = [f"{row[way]:,} ({row[way] / (2 * row['one']):.0%})" for way in ("two_threads", "two_processes")]
        lines.append(f"| {row['config']} | {row['batch_size']} | {row['one']:,} | {' | '.join(two)} |\n")
    return HEADER + "".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100, help="optimizer steps an epoch, of which a run has three")
    options = parser.parse_args()
    rows = measure_all(options.rounds, options.steps)
    FILE.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    marked = re.compile(r"(?<=<!-- results: processes -->\n).*?(?=<!-- end of results -->)", re.DOTALL)
    text = marked.sub(lambda _: table(rows), PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
