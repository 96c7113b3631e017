"""Settings of the process, and the console messages that are filtered, each with its reason."""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import warnings

import torch

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of malloc.h


def filter_messages() -> None:
    """The one place where messages are filtered."""
    # Lightning tells at each start which hardware it found, and advertises
    for logger in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(logger).setLevel(logging.WARNING)
    # but the report of a profiler and the summary of a model were asked for
    for logger in ("lightning.pytorch.profilers", "lightning.pytorch.callbacks.model_summary"):
        logging.getLogger(logger).setLevel(logging.INFO)
    reasons = {
        # Lightning 2.6 uses what torch 2.15 deprecates; it works, and only Lightning can change it
        r"`isinstance\(treespec, LeafSpec\)` is deprecated": Warning,
        # Lightning 2.6 uses what jsonargparse 4.49 deprecates; pyproject.toml keeps to versions that have it
        r"\s*``ArgumentParser.add_instantiator`` was deprecated": DeprecationWarning,
        r"\s*``instantiate_classes`` was deprecated": DeprecationWarning,
        r"\s*skip_none parameter was deprecated": DeprecationWarning,
        r"\s*By default only one JsonargparseDeprecationWarning per type is shown": DeprecationWarning,
        # a run that resumes or tests a checkpoint of another run keeps its own record of the best epoch
        r"The dirpath has changed from": Warning,
        # a callback that averages weights in training has no part in a test
        r"Be aware that when using `ckpt_path`, callbacks used to create": Warning,
        # data in memory needs no workers
        r"The 'predict_dataloader' does not have many workers": Warning,
        # recorders add notes of their own to a wav file, which SciPy leaves out
        r"Chunk \(non-data\) not understood": Warning,
        # PyTorch's recurrent layers also keep their weights in a list, which an exported program leaves out
        r"The tensor attributes self\.layers\._flat_weights": Warning,
        # PyTorch 2.14 deprecates a function that its own export of recurrent layers to ONNX calls
        r"_check_is_size will be removed in a future PyTorch release": Warning,
        # `accelerator: cpu` on a machine with a GPU is meant
        r"GPU available but not used": Warning,
        # `val_size: 0` is meant
        r"Total length of `list` across ranks is zero": Warning,
        # the kernel of one input channel has its values in the same places whatever the strides of its gradient
        r"Grad strides do not match bucket view strides": Warning,
        # the curves under step/ count steps across epochs, so an epoch may be shorter than the logging interval
        r"The number of training batches \(\d+\) is smaller": Warning,
    }
    for message, category in reasons.items():
        warnings.filterwarnings("ignore", message=message, category=category)


def set_up_process() -> None:
    """Filters messages, and sets what makes small networks faster on a CPU without changing a result."""
    filter_messages()
    if platform.libc_ver()[0] == "glibc":
        # glibc gives tensors of more than 32 MiB back to the system as soon as they are freed, and the system clears
        # each page that is taken again: nearly half of each step of an LSTM over 200 time steps
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, -1)
    # gradients shrink with every time step, and many CPUs take a hundred times as long with numbers below 1e-38: a step
    # of a GRU over 392 time steps took five times as long on an Intel Xeon
    torch.set_flush_denormal(True)
    if not torch.cuda.is_available():
        # Lightning sets it to 1, and AdamW looks for a GPU at every step: through NVML that takes 30 times as long,
        # more than the rest of Python's part in the step of a small network
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
