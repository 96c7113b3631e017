import torch
from torch import nn

from models import ShallowMLP


def test_parameter_count() -> None:
    assert sum(p.numel() for p in ShallowMLP([1, 28, 28], 10).parameters()) == 101_770


def test_outputs_equal_a_sequential_model() -> None:
    model = ShallowMLP([1, 28, 28], 10)
    reference = nn.Sequential(nn.Flatten(), model.hidden, nn.ReLU(), model.head)
    x = torch.randn(3, 1, 28, 28)
    assert torch.equal(model(x), reference(x))


def test_model_with_linear_activation_is_linear() -> None:
    model = ShallowMLP([8], 3, activation="linear")
    x, y = torch.randn(2, 5, 8)
    torch.testing.assert_close(model(x + y) + model(torch.zeros(5, 8)), model(x) + model(y))
