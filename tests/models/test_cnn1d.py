import pytest
import torch
from torch import nn

from models import CNN1D


def test_parameter_count() -> None:
    assert sum(p.numel() for p in CNN1D([40, 1], 10).parameters()) == 8042


def test_block_equals_convolution_norm_relu_and_pooling() -> None:
    model = CNN1D([8, 2], 3, width=4, num_layers=1).eval()
    x = torch.randn(5, 8, 2)
    convolution = model.blocks[0][0].weight  # type: ignore[index]
    sums = torch.stack(
        [
            sum(
                x[:, time + offset] @ convolution[:, :, offset + 1].T for offset in (-1, 0, 1) if 0 <= time + offset < 8
            )
            for time in range(8)
        ],
        dim=2,
    )
    normed = sums / (1 + model.blocks[0][1].eps) ** 0.5  # type: ignore[index]  # initial statistics of batch norm
    expected = normed.relu().view(5, 4, 4, 2).amax(-1)
    torch.testing.assert_close(model.blocks(x.transpose(1, 2)), expected)


def test_features_shift_with_the_input() -> None:
    blocks: nn.Module = CNN1D([40, 1], 10, num_layers=2).eval().blocks
    x = torch.zeros(1, 1, 40)
    x[..., 16:20] = torch.randn(4)
    features, shifted = blocks(x), blocks(x.roll(4, dims=-1))
    inside = slice(2, 8)  # away from the padding
    torch.testing.assert_close(shifted[..., 3:9], features[..., inside])


def test_short_sequence_and_even_kernel_are_refused() -> None:
    with pytest.raises(ValueError, match="num_layers=6 needs at least 64 time steps, not 40"):
        CNN1D([40, 1], 10, num_layers=6)
    with pytest.raises(ValueError, match="kernel_size=4 must be odd; use kernel_size=5"):
        CNN1D([40, 1], 10, kernel_size=4)
