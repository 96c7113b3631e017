import torch
from torch import nn

from models import ShallowMLP


def test_784_128_10_has_101770_parameters() -> None:
    assert sum(p.numel() for p in ShallowMLP([1, 28, 28], 10).parameters()) == 101_770


def test_it_is_two_matrix_products_and_a_relu() -> None:
    model = ShallowMLP([1, 28, 28], 10)
    reference = nn.Sequential(nn.Flatten(), model.hidden, nn.ReLU(), model.head)
    x = torch.randn(3, 1, 28, 28)
    assert torch.equal(model(x), reference(x))


def test_without_activation_it_is_linear() -> None:
    model = ShallowMLP([8], 3, activation="linear")
    x, y = torch.randn(2, 5, 8)
    torch.testing.assert_close(model(x + y) + model(torch.zeros(5, 8)), model(x) + model(y))
