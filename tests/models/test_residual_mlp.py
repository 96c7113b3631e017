import pytest
import torch
from torch import nn

from models import DeepMLP, ResidualMLP


def test_parameter_counts() -> None:
    assert sum(p.numel() for p in ResidualMLP([1, 28, 28], 10).parameters()) == 254_779
    plain, residual = (model([784], 10, hidden_size=64, num_layers=50) for model in (DeepMLP, ResidualMLP))
    scales = 49
    assert sum(p.numel() for p in residual.parameters()) == sum(p.numel() for p in plain.parameters()) + scales


def test_at_first_the_blocks_change_nothing() -> None:
    model = ResidualMLP([8], 3, num_layers=20)
    x = torch.randn(4, 8)
    assert torch.equal(model(x), model.head(model.stem(x)))


def test_with_scales_of_1_it_is_the_textbook_sum() -> None:
    model = ResidualMLP([8], 3, hidden_size=5, num_layers=3, activation="tanh")
    for block in model.blocks:
        nn.init.ones_(block.scale)  # type: ignore[arg-type]
    x = model.stem(torch.randn(4, 8))
    expected = x
    for block in model.blocks:
        expected = expected + torch.tanh(expected @ block.layer[0].weight.T + block.layer[0].bias)  # type: ignore[index, union-attr]
    torch.testing.assert_close(model.blocks(x), expected)


@pytest.mark.parametrize("num_layers", [10, 200])
def test_the_first_layer_learns_however_many_follow(num_layers: int) -> None:
    torch.manual_seed(0)
    model = ResidualMLP([64], 10, num_layers=num_layers)
    model.loss(model(torch.randn(128, 64)), torch.randint(10, (128,))).backward()
    assert model.get_parameter("stem.0.weight").grad.norm() > 0.1  # type: ignore[union-attr]


def test_without_residuals_it_is_a_plain_stack_of_the_same_layers() -> None:
    plain, residual = (ResidualMLP([8], 3, hidden_size=5, num_layers=4, residual=kind) for kind in (False, True))
    stack = DeepMLP([8], 3, hidden_size=5, num_layers=4)
    for our, their in zip(plain.parameters(), stack.parameters(), strict=True):
        our.data.copy_(their)
    x = torch.randn(4, 8)
    torch.testing.assert_close(plain(x), stack(x))
    assert plain.depth == residual.depth
    weights = {name.replace(".layer.", "."): p.shape for name, p in residual.named_parameters() if "scale" not in name}
    assert weights == {name: p.shape for name, p in plain.named_parameters()}


def test_only_residuals_let_the_first_layer_of_many_learn() -> None:
    def first_gradient(residual: bool) -> float:
        torch.manual_seed(0)
        model = ResidualMLP([64], 10, num_layers=100, activation="sigmoid", residual=residual)
        model.loss(model(torch.randn(128, 64)), torch.randint(10, (128,))).backward()
        gradient = model.get_parameter("stem.0.weight").grad
        assert gradient is not None
        return float(gradient.norm())

    assert first_gradient(False) < 1e-6
    assert first_gradient(True) > 1e-2
