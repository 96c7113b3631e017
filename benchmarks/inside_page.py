"""The pictures and tables of docs/inside.md, from the comparisons that the page walks through.

python -m benchmarks.inside_page    # make inside: 10 minutes on 2 cores
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmarks import committed
from engine.paths import PROJECT

PAGE = PROJECT / "docs" / "inside.md"
PICTURES = PAGE.with_suffix("")
RESULTS = committed.RESULTS / "inside"
COMPARISONS = {  # the commands on the page, by the name of the comparison
    "vanishing": "configs/depth/mnist_relu.yaml configs/depth/mnist_sigmoid.yaml configs/depth/mnist_residual.yaml "
    "--vary model.num_layers=1,50 --insight",
    "digits": "configs/mnist/shallow_mlp.yaml configs/mnist/resnet.yaml configs/sequence/gru.yaml --insight",
    "text": "configs/text/gru.yaml configs/text/transformer.yaml --insight -- --trainer.max_epochs=1",
    "spiral": "configs/depth/spiral_relu.yaml --vary model.num_layers=1,3 --insight -- --model.hidden_size=64",
}
SHOWN = {  # picture of the page: comparison, run, and the tag whose last image it is
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
ANIMATION = Path("num_layers=3", "seed_0", "insight", "decision_boundary.gif")  # of the spiral


def tables() -> dict[str, str]:
    """The table of each comparison, from its committed summary."""
    summaries = {name: (RESULTS / name / "summary.md").read_text(encoding="utf-8") for name in COMPARISONS}
    return {name: text.partition("\n\n")[0] for name, text in summaries.items()}


def main() -> None:
    comparisons = {name: arguments.split() for name, arguments in COMPARISONS.items()}
    folders = committed.run_and_copy("inside", comparisons, RESULTS)
    for name, (comparison, run, tag) in SHOWN.items():
        events = EventAccumulator(str(folders[comparison] / run), size_guidance={"images": 0}).Reload()
        (PICTURES / f"{name}.png").write_bytes(events.Images(tag)[-1].encoded_image_string)
    shutil.copy(folders["spiral"] / ANIMATION, PICTURES / "decision_boundary.gif")
    committed.write_tables(PAGE, tables())


if __name__ == "__main__":
    main()
