from typing import Any

import pytest
import torch

from models import TCN
from models.tcn import CausalConvolution


def test_parameter_count_equals_the_paper() -> None:
    # Bai et al. 2018, table 2: kernels of 7, 8 blocks and 25 channels for the pixels of MNIST
    model = TCN([784, 1], 10, hidden_size=25, num_blocks=8, kernel_size=7)
    assert sum(p.numel() for p in model.parameters()) == 66_910
    assert model.receptive_field == 3061


@pytest.mark.parametrize(("num_blocks", "kernel_size"), [(1, 2), (2, 3), (3, 4)])
def test_output_depends_only_on_its_receptive_field(num_blocks: int, kernel_size: int) -> None:
    torch.manual_seed(0)  # with other seeds, all ReLUs between two steps may be inactive
    model = TCN([64, 3], 2, hidden_size=16, num_blocks=num_blocks, kernel_size=kernel_size, task="tagging").double()
    x = torch.randn(1, 64, 3, dtype=torch.double, requires_grad=True)
    step = 50
    model(x)[0, step].sum().backward()
    assert x.grad is not None
    reached = x.grad[0].abs().sum(-1).nonzero().flatten()
    assert reached.max() == step, "no later step"
    assert reached.min() == step + 1 - model.receptive_field


def test_classification_uses_the_last_step() -> None:
    model = TCN([9, 2], 4, num_blocks=2, kernel_size=3)
    tagger = TCN([9, 2], 4, num_blocks=2, kernel_size=3, task="tagging")
    tagger.load_state_dict(model.state_dict())
    x = torch.randn(3, 9, 2)
    torch.testing.assert_close(model(x), tagger(x)[:, -1])


def test_weight_norm_sets_the_norm_of_each_filter() -> None:
    convolution: Any = CausalConvolution(2, 4, kernel_size=3, dilation=1, dropout=0.0)[1]
    length = convolution.parametrizations.weight.original0
    torch.testing.assert_close(convolution.weight.flatten(1).norm(dim=1), length.flatten())
