"""Lightning's training loop at the speed of a hand-written one. Nobody needs to know this file.

    trainer = L.Trainer(...)
    use_fast_loop(trainer)

The model stays an ordinary LightningModule, and the results stay the same to the bit: weights, optimizer state,
checkpoints, curves, and every call of every hook. With a small network, Lightning spends most of the time between two
batches on hooks that nobody overrides. `FastEpochLoop` looks for hooks once, takes all steps up to the next validation
or the end of the epoch, and calls only the hooks that are overridden.

What it cannot do exactly as Lightning does, it leaves to Lightning's own, slower `advance`: see `is_fast`. It depends
on private parts of Lightning. If their source has changed since it was tested, it stays off.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import logging
from collections.abc import Callable
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.core.hooks import ModelHooks
from lightning.pytorch.loops.fetchers import _DataFetcher, _PrefetchDataFetcher
from lightning.pytorch.loops.optimization.automatic import Closure, ClosureResult, _AutomaticOptimization
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.utilities.combined_loader import CombinedLoader, _MaxSizeCycle
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature
from torch import Tensor
from torch.optim.optimizer import _global_optimizer_pre_hooks

log = logging.getLogger(__name__)
# `make test-lightning` runs the tests with the oldest and the newest version
TESTED = {"2.6.4 to 2.6.6": "d0ddfe3b6115af616b799b3e6d81f814"}
HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)
LIGHTNINGS_WAY = (  # a module that overrides one of these trains in Lightning's own loop
    "on_train_batch_start",  # may skip the rest of the epoch
    "optimizer_step",
    "optimizer_zero_grad",
    "backward",
    "configure_gradient_clipping",
    "lr_scheduler_step",
)


def use_fast_loop(trainer: L.Trainer) -> None:
    """Makes `trainer.fit` faster and changes nothing else. Call it before `fit`."""
    loop = trainer.fit_loop.epoch_loop
    if type(loop) is not _TrainingEpochLoop or fingerprint() not in TESTED.values():
        log.warning("The fast loop is off: it was not tested with Lightning %s. Training is slower.", L.__version__)
        return
    trainer.fit_loop.epoch_loop = FastEpochLoop(trainer, loop.min_steps, loop.max_steps)


def fingerprint() -> str:
    """A hash of the source that `FastEpochLoop` follows."""
    loop = [_TrainingEpochLoop, _AutomaticOptimization, Closure, ClosureResult, Precision]
    fetching = [_DataFetcher, _PrefetchDataFetcher, CombinedLoader, _MaxSizeCycle]
    sources = [*map(inspect.getsource, [*loop, *fetching]), inspect.getsource(ModelCheckpoint.on_train_batch_end)]
    return hashlib.md5("".join(sources).encode()).hexdigest()


def make_fetch(data_fetcher: Any) -> Callable[[], Any]:
    """What returns the next batch: the iterator of a single loader with a length, otherwise the fetcher itself."""
    loader, cycle = data_fetcher.iterator, data_fetcher.iterator._iterator
    is_single = type(cycle) is _MaxSizeCycle and loader.iterables is loader.flattened[0]
    if not is_single or data_fetcher.length is None or data_fetcher.batches:
        return lambda: next(data_fetcher)[0]

    def fetch() -> Any:
        try:
            batch = next(cycle.iterators[0])
        except StopIteration:
            data_fetcher.done = True
            raise
        cycle._idx += 1
        data_fetcher.fetched += 1
        data_fetcher.done = data_fetcher.fetched >= data_fetcher.length
        return batch

    return fetch


def is_written(owner: object, name: str, base: type) -> bool:
    """Whether somebody wrote this hook, in a subclass or on the instance."""
    hook = getattr(owner, name)
    if isinstance(owner, ModelCheckpoint) and getattr(hook, "__func__", None) is ModelCheckpoint.on_train_batch_end:
        # without a number of steps or a time between two checkpoints it does nothing
        return owner._every_n_train_steps > 0 or owner._train_time_interval is not None
    return getattr(hook, "__func__", hook) is not getattr(base, name)


class FastEpochLoop(_TrainingEpochLoop):
    """Lightning's loop over the batches of an epoch, with less to do between two batches."""

    num_fast_steps = 0  # steps that were not left to Lightning's own `advance`

    def is_fast(self, data_fetcher: _DataFetcher) -> bool:
        """Whether the next steps can be taken here, exactly as Lightning would."""
        trainer, module, precision = self.trainer, self.trainer.lightning_module, self.trainer.precision_plugin
        optimizer: Any = next(iter(trainer.optimizers), None)
        return (
            not self.restarting  # the first step after a resume
            and module.automatic_optimization
            and len(trainer.optimizers) == 1
            and trainer.accumulate_grad_batches == 1
            and type(trainer.strategy) is SingleDeviceStrategy
            and trainer.strategy.model is module
            and type(data_fetcher) is _PrefetchDataFetcher
            and isinstance(trainer.profiler, PassThroughProfiler)
            and not self.automatic_optimization._skip_backward  # a pass for the statistics of batch norm
            and type(precision) in (Precision, MixedPrecision)
            and getattr(precision, "scaler", None) is None  # bfloat16 has none
            and not any(is_overridden(name, module) for name in LIGHTNINGS_WAY)
            # others may need the closure that Lightning passes to `step`
            and type(optimizer).__module__.startswith("torch.optim.")
            and not isinstance(optimizer, torch.optim.LBFGS)
            # Lightning runs these before the forward pass
            and not optimizer._optimizer_step_pre_hooks
            and not _global_optimizer_pre_hooks
            and not any(one.reduce_on_plateau and one.interval == "step" for one in trainer.lr_scheduler_configs)
        )

    def steps_until_something_happens(self) -> float:
        """How many steps to take before Lightning has to validate or to end the epoch."""
        trainer, progress = self.trainer, self.batch_progress
        steps = trainer.num_training_batches - progress.current.ready
        if self.max_steps >= 0:
            steps = min(steps, self.max_steps - self.global_step)
        if not self._should_check_val_epoch():
            return steps
        every = trainer.val_check_batch
        if every is None or every == float("inf"):  # by the clock, or at an end that is not known beforehand
            return 1
        done = progress.total.ready if trainer.check_val_every_n_epoch is None else progress.current.ready
        return min(steps, every - done % every)

    def advance(self, data_fetcher: _DataFetcher) -> None:
        if not self.is_fast(data_fetcher):
            super().advance(data_fetcher)
            return
        self.val_loop.restarting = False
        trainer, module = self.trainer, self.trainer.lightning_module
        (optimizer,) = trainer.optimizers
        precision, connector, results = trainer.precision_plugin, trainer._logger_connector, self._results
        fetch, transfer = make_fetch(data_fetcher), self.make_transfer()
        takes_batch_idx = is_param_in_hook_signature(module.training_step, "batch_idx", min_args=2)
        schedulers = [one for one in trainer.lr_scheduler_configs if one.interval == "step"]
        clip = {name: getattr(trainer, name) for name in ("gradient_clip_val", "gradient_clip_algorithm")}
        batches, optimizer_progress = self.batch_progress, self.automatic_optimization.optim_progress.optimizer
        steps, zero_grads = optimizer_progress.step, optimizer_progress.zero_grad
        num_batches, signals = trainer.num_training_batches, trainer._signal_connector
        num_results, logs_steps = 0, False

        attributes = module.__dict__  # `module.name = value` takes nn.Module 2 µs
        outer_hook = attributes["_current_fx_name"]
        hooks: dict[str, list[Callable[..., Any]]] = {}
        for name in HOOKS:
            written = [getattr(one, name) for one in trainer.callbacks if is_written(one, name, L.Callback)]
            own = [getattr(module, name)] if is_written(module, name, ModelHooks) else []
            hooks[name] = [*(functools.partial(hook, trainer, module) for hook in written), *own]

        def call(name: str, *arguments: Any) -> None:
            """Calls a hook of all callbacks, then of the module, under the name that `self.log` checks."""
            if hooks[name]:
                attributes["_current_fx_name"] = name
                for hook in hooks[name]:
                    hook(*arguments)
                attributes["_current_fx_name"] = outer_hook

        def mixed_training_step(*arguments: Any) -> Any:
            with precision.train_step_context():
                return module.training_step(*arguments)

        training_step = mixed_training_step if type(precision) is MixedPrecision else module.training_step
        steps_left = self.steps_until_something_happens()
        while True:
            batch = fetch()
            batch_idx = batches.current.ready
            batches.is_last_batch = data_fetcher.done
            batch = transfer(batch)
            batches.increment_ready()
            connector._first_loop_iter = connector._first_loop_iter is None  # as its on_batch_start
            results.batch, results.batch_size, results.dataloader_idx = batch, None, None

            call("on_train_batch_start", batch, batch_idx)
            batches.increment_started()
            steps.increment_ready()

            attributes["_current_fx_name"] = "training_step"
            output = training_step(batch, batch_idx) if takes_batch_idx else training_step(batch)
            attributes["_current_fx_name"] = outer_hook
            loss: Tensor | None
            if type(output) is Tensor:
                loss, outputs = output, {"loss": output.detach().clone()} if hooks["on_train_batch_end"] else None
            else:
                result = ClosureResult.from_training_step_output(output)
                loss, outputs = result.closure_loss, {} if result.loss is None else result.asdict()
                if loss is None:
                    Closure.warning_cache.warn("`training_step` returned `None`, so no gradient is computed.")

            zero_grads.increment_ready()
            call("on_before_zero_grad", optimizer)
            zero_grads.increment_started()
            optimizer.zero_grad()
            zero_grads.increment_completed()
            if loss is not None:
                call("on_before_backward", loss)
                loss.backward()
                call("on_after_backward")
            call("on_before_optimizer_step", optimizer)
            if trainer.gradient_clip_val:
                module.configure_gradient_clipping(optimizer, **clip)
            optimizer.step()
            steps.increment_completed()
            batches.increment_processed()

            for one in schedulers:
                if (batch_idx + 1) % one.frequency == 0:
                    self.scheduler_progress.increment_ready()
                    one.scheduler.step()
                    self.scheduler_progress.increment_completed()
            if batches.is_last_batch or batch_idx + 1 == num_batches:
                self.update_lr_schedulers("epoch", update_plateau_schedulers=False)

            call("on_train_batch_end", outputs, batch, batch_idx)
            if len(results) != num_results:
                num_results, logs_steps = len(results), any(one.meta.on_step for one in results.values())
            if logs_steps:
                connector.on_batch_end()
            else:
                results.batch = results.batch_size = None
            batches.increment_completed()
            if logs_steps:
                connector.update_train_step_metrics()

            self.num_fast_steps += 1
            steps_left -= 1
            if steps_left <= 0 or data_fetcher.done or trainer.should_stop or signals.received_sigterm:
                return
            self._batches_that_stepped += 1

    def make_transfer(self) -> Callable[[Any], Any]:
        """Returns what moves a batch to the device. On a CPU, only the overridden hooks of Lightning are called."""
        trainer, module, data = self.trainer, self.trainer.lightning_module, self.trainer.datamodule
        names = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")
        owners = [trainer._data_connector._datahook_selector.get_instance(name) for name in names]
        before, during, after = (is_overridden(name, owner) for name, owner in zip(names, owners, strict=True))
        if trainer.strategy.root_device.type == "cpu" and not before and not during:
            if not after:
                return lambda batch: batch
            if owners[2] is data:
                return lambda batch: data.on_after_batch_transfer(batch, 0)
        return lambda batch: trainer.strategy.batch_to_device(module._on_before_batch_transfer(batch, dataloader_idx=0))
