"""The pictures and tables of docs/inside.md: the comparisons that it walks through, and what looking inside costs.

python -m benchmarks.inside_page    # about 20 minutes on 2 cores
"""

from __future__ import annotations

import csv
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import compare
from benchmarks import insight_cost
from benchmarks.committed import quoting
from benchmarks.report import clean_commit
from engine.paths import PROJECT, RUNS

PAGE = PROJECT / "docs" / "inside.md"
PICTURES = PAGE.with_suffix("")
RESULTS = PROJECT / "benchmarks" / "results" / "inside"
COSTS = RESULTS / "cost.csv"
FILES = ("results.csv", "environment.json", "summary.md")
COMPARISONS = {  # the arguments of compare.py, by name
    "vanishing": [
        *(f"configs/depth/mnist_{network}.yaml" for network in ("relu", "sigmoid", "residual")),
        *("--vary", "model.num_layers=1,50"),
    ],
    "digits": ["configs/mnist/shallow_mlp.yaml", "configs/mnist/resnet.yaml", "configs/sequence/gru.yaml"],
    "spiral": ["configs/depth/spiral_relu.yaml", "--vary", "model.num_layers=1,3", "--", "--model.hidden_size=64"],
}


class Picture(NamedTuple):
    """Where a picture of the page comes from: the last one of a tag, in a run of a comparison."""

    comparison: str
    run: str
    tag: str


SHOWN = {
    "gradient_by_depth": Picture("vanishing", "comparison", "inside/gradient_by_depth"),
    "activations_by_depth": Picture("vanishing", "comparison", "inside/activations_by_depth"),
    "loss_surfaces": Picture("vanishing", "comparison", "inside/loss_surfaces"),
    "filters_shallow": Picture("digits", "shallow_mlp/seed_0", "filters/hidden"),
    "filters_resnet": Picture("digits", "resnet/seed_0", "filters/stem.0"),
    "maps_resnet": Picture("digits", "resnet/seed_0", "feature_maps/layers"),
    "maps_gru": Picture("digits", "gru/seed_0", "feature_maps/layers"),
    "features_hidden": Picture("digits", "shallow_mlp/seed_0", "features/hidden"),
    "features_stage": Picture("digits", "resnet/seed_0", "features/stages.0.0"),
    "features_head": Picture("digits", "resnet/seed_0", "features/head"),
    "confusion": Picture("digits", "shallow_mlp/seed_0", "mistakes/confusion"),
    "most_confident": Picture("digits", "shallow_mlp/seed_0", "mistakes/most_confident"),
    "boundaries": Picture("spiral", "comparison", "inside/decision_boundaries"),
}
ANIMATION = Path("num_layers=3", "seed_0", "insight", "decision_boundary.gif")  # of the spiral


def measure() -> None:
    """Runs the comparisons, and takes their pictures and tables.

    Raises:
        ValueError: there is something uncommitted, which the results could not name, or a run failed.
    """
    commit = clean_commit()
    folders = {name: RUNS / f"inside_{name}_{commit}" for name in COMPARISONS}
    for name, arguments in COMPARISONS.items():
        if compare.main(["--insight", "--name", folders[name].name, "--runs_dir", str(RUNS), *arguments]):
            raise ValueError(f"{name} did not finish")
    costs = insight_cost.measure()
    PICTURES.mkdir(exist_ok=True)  # only now: what is written here would be uncommitted
    for name, folder in folders.items():
        (RESULTS / name).mkdir(parents=True, exist_ok=True)
        for file in FILES:
            shutil.copy(folder / file, RESULTS / name / file)
    for name, picture in SHOWN.items():
        events = EventAccumulator(str(folders[picture.comparison] / picture.run), size_guidance={"images": 0}).Reload()
        (PICTURES / f"{name}.png").write_bytes(events.Images(picture.tag)[-1].encoded_image_string)
    shutil.copy(folders["spiral"] / ANIMATION, PICTURES / "decision_boundary.gif")
    with COSTS.open("w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, costs[0])
        writer.writeheader()
        writer.writerows(costs)


def page(text: str) -> str:
    """The text of docs/inside.md with the committed tables in their places."""
    for name in COMPARISONS:
        table, _, _ = (RESULTS / name / "summary.md").read_text(encoding="utf-8").partition("\n\n")
        text = quoting(text, name, table)
    return quoting(text, "cost", cost_table())


def cost_table() -> str:
    """What each callback costs in each run, in per cent of training."""
    with COSTS.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    callbacks = list(dict.fromkeys(row["callback"] for row in rows))
    lines = ["| run | training | " + " | ".join(callbacks) + " |", "| --- " * (len(callbacks) + 2) + "|"]
    for config in dict.fromkeys(row["config"] for row in rows):
        own = {row["callback"]: row for row in rows if row["config"] == config}
        seconds = next(iter(own.values()))["training_seconds"]
        shares = [f"{float(own[name]['share']):.1%}" if name in own else "" for name in callbacks]
        lines.append(f"| {config} | {seconds} s | " + " | ".join(shares) + " |")
    return "\n".join(lines)


def main() -> int:
    try:
        measure()
    except ValueError as error:
        print(f"benchmarks.inside_page: {error}", file=sys.stderr)
        return 2
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
