"""The graph of the network on TensorBoard's GRAPHS page."""

import warnings
from typing import Any

import lightning as L
from torch.jit import TracerWarning  # type: ignore[attr-defined]  # documented, but not in its __all__
from torchmetrics import Metric

from callbacks.insight import evaluation_mode, tensorboard_logger

MOST_MODULES = 200  # a larger graph is unreadable, and tracing 1,000 layers takes seconds


class ModelGraph(L.Callback):
    """Writes the graph of the model to TensorBoard once, when training starts.

    `TensorBoardLogger(log_graph=True)` prints warnings about tracing for every model, and fails for the Transformer.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        example: Any = pl_module.example_input_array
        logger = tensorboard_logger(trainer)
        if logger is None or not trainer.is_global_zero or example is None:
            return
        if getattr(pl_module, "_compiled_call_impl", None) is not None:
            print("No model graph: PyTorch cannot trace a compiled model.", flush=True)
            return
        num_modules = sum(not isinstance(module, Metric) for module in pl_module.modules())
        if num_modules > MOST_MODULES:
            print(f"No model graph: it would have {num_modules} modules, more than {MOST_MODULES}.", flush=True)
            return
        with warnings.catch_warnings(), evaluation_mode(pl_module):
            warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated", category=FutureWarning)
            warnings.filterwarnings("ignore", category=TracerWarning)
            # tracing reads every property of a module, including a deprecated one of torchmetrics
            warnings.filterwarnings("ignore", message="This property will be removed", category=DeprecationWarning)
            example = trainer.precision_plugin.convert_input(example.to(pl_module.device))
            logger.experiment.add_graph(pl_module, example)
