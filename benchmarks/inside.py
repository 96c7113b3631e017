"""The tables and pictures of docs/inside.md, from the comparisons that the page walks through."""

from __future__ import annotations

import shutil
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmarks import committed
from engine.paths import PROJECT

PAGE = PROJECT / "docs" / "inside.md"
PICTURES = {  # picture of the page: set, run, and the tag whose last image it is
    "gradient_by_depth": ("vanishing", "comparison", "inside/gradient_by_depth"),
    "activations_by_depth": ("vanishing", "comparison", "inside/activations_by_depth"),
    "loss_surfaces": ("vanishing", "comparison", "inside/loss_surfaces"),
    "filters_shallow": ("digits", "shallow_mlp/seed_0", "filters/hidden"),
    "filters_resnet": ("digits", "resnet/seed_0", "filters/stem.0"),
    "maps_resnet": ("digits", "resnet/seed_0", "feature_maps/layers"),
    "maps_gru": ("digits", "gru/seed_0", "feature_maps/layers"),
    "features_hidden": ("digits", "shallow_mlp/seed_0", "features/hidden"),
    "features_stage": ("digits", "resnet/seed_0", "features/stages.0.0"),
    "features_head": ("digits", "resnet/seed_0", "features/head"),
    "confusion": ("digits", "shallow_mlp/seed_0", "mistakes/confusion"),
    "most_confident": ("digits", "shallow_mlp/seed_0", "mistakes/most_confident"),
    "gates_gru": ("text", "gru/seed_0", "gates/layers"),
    "attention_transformer": ("text", "transformer/seed_0", "attention/blocks.3.attention"),
    "boundaries": ("spiral", "comparison", "inside/decision_boundaries"),
}


def tables() -> dict[str, str]:
    """The table of each set, from its committed summary."""
    summaries = (committed.RESULTS / "inside").glob("*/summary.md")
    return {path.parent.name: path.read_text(encoding="utf-8").partition("\n\n")[0] for path in summaries}


def copy_pictures(name: str, folder: Path) -> None:
    """Copies the pictures of a set from the folder of its runs. Only sets such as inside/digits have pictures."""
    for picture, (own, run, tag) in PICTURES.items():
        if name == f"inside/{own}":
            events = EventAccumulator(str(folder / run), size_guidance={"images": 0}).Reload()
            (PAGE.with_suffix("") / f"{picture}.png").write_bytes(events.Images(tag)[-1].encoded_image_string)
    if name == "inside/spiral":
        shutil.copy(folder / "num_layers=3" / "seed_0" / "insight" / "decision_boundary.gif", PAGE.with_suffix(""))
