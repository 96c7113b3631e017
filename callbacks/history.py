"""What a run came to: the seconds it took and the validation metrics along the way."""

import time

import lightning as L


class History(L.Callback):
    """Remembers every validation, and the time from the first training step to the end of `fit`.

    Attributes:
        seconds: wall-clock time of training, validation included.
        validation: the metrics under `val/` by optimizer step.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.start: float | None = None
        self.validation: dict[int, dict[str, float]] = {}

    def on_train_batch_start(self, trainer: L.Trainer, *_: object) -> None:
        if self.start is None:
            self.start = time.perf_counter()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.sanity_checking:
            metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
            self.validation[trainer.global_step] = {
                name.removeprefix("val/"): value for name, value in metrics.items() if name.startswith("val/")
            }

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.start is not None:
            self.seconds = time.perf_counter() - self.start
