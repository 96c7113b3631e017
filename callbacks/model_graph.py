"""The network as TensorBoard's graph page draws it."""

import warnings
from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from torch.jit import TracerWarning  # type: ignore[attr-defined]  # documented, but not in its __all__
from torchmetrics import Metric

MOST_MODULES = 200  # tracing 1,000 layers takes seconds, and nobody can read the drawing


class ModelGraph(L.Callback):
    """Writes the model's graph once, when training starts."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        example: Any = pl_module.example_input_array
        if not isinstance(trainer.logger, TensorBoardLogger) or not trainer.is_global_zero or example is None:
            return
        if getattr(pl_module, "_compiled_call_impl", None) is not None:
            print("No model graph: PyTorch cannot trace a compiled model.", flush=True)
            return
        num_modules = sum(not isinstance(module, Metric) for module in pl_module.modules())
        if num_modules > MOST_MODULES:
            print(f"No model graph: {num_modules} modules are more than the {MOST_MODULES} it can show.", flush=True)
            return
        was_training = pl_module.training
        pl_module.eval()
        with warnings.catch_warnings(), torch.no_grad():
            # add_graph traces, which torch deprecates; TensorBoard reads no other form
            warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated", category=FutureWarning)
            warnings.filterwarnings("ignore", category=TracerWarning)
            # tracing reads every property of a module, and torchmetrics deprecates one
            warnings.filterwarnings("ignore", message="This property will be removed", category=DeprecationWarning)
            example = trainer.precision_plugin.convert_input(example.to(pl_module.device))
            trainer.logger.experiment.add_graph(pl_module, example)
        pl_module.train(was_training)
