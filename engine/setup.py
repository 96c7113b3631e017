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
    # Lightning prints the hardware and advertises at each start; profilers and the model summary were asked for
    for logger in ("pytorch", "fabric", "pytorch.profilers", "pytorch.callbacks.model_summary"):
        level = logging.INFO if "." in logger else logging.WARNING
        logging.getLogger(f"lightning.{logger}").setLevel(level)
    # engine/build.py uses what jsonargparse 4.49 deprecates, because 4.48 has nothing else; pyproject.toml excludes 5
    os.environ["JSONARGPARSE_DEPRECATION_WARNINGS"] = "off"
    for message in (
        # Lightning 2.6 uses what torch deprecates; it works, and only Lightning can change it
        r"`isinstance\(treespec, LeafSpec\)` is deprecated",
        # a run that resumes or tests a checkpoint of another run has its own record of the best epoch
        "The dirpath has changed from",
        # a callback that averages weights in training is not needed in a test
        "Be aware that when using `ckpt_path`, callbacks used to create",
        # data in memory needs no workers
        "The 'predict_dataloader' does not have many workers",
        # recorders add notes of their own to a wav file, which SciPy leaves out
        r"Chunk \(non-data\) not understood",
        # PyTorch's recurrent layers also keep their weights in a list, which an exported program leaves out
        r"The tensor attributes self\.layers\._flat_weights",
        # `accelerator: cpu` on a machine with a GPU is meant
        "GPU available but not used",
        # `val_size: 0` is meant
        "Total length of `list` across ranks is zero",
        # the kernel of one input channel has its values in the same places whatever the strides of its gradient
        "Grad strides do not match bucket view strides",
        # the curves under step/ count steps across epochs, so an epoch may be shorter than the logging interval
        r"The number of training batches \(\d+\) is smaller",
    ):
        warnings.filterwarnings("ignore", message=message)


def set_up_process() -> None:
    """Filters messages, and sets what makes small networks faster on a CPU without changing a result."""
    filter_messages()
    if platform.libc_ver()[0] == "glibc":
        # glibc returns freed tensors of more than 32 MiB to the system, which clears each page that is taken again:
        # nearly half of each step of an LSTM over 200 time steps
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, -1)
    # gradients shrink with every time step, and many CPUs are slow with numbers below 1e-38: a step of a GRU over 392
    # time steps took five times as long on an Intel Xeon
    torch.set_flush_denormal(True)
    if not torch.cuda.is_available():
        # Lightning sets it to 1, and AdamW looks for a GPU at every step: with NVML, that takes longer than the rest of
        # Python's part in the step of a small network
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
