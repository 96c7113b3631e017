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


def test_it_has_the_weights_of_a_plain_stack_and_one_scale_per_block() -> None:
    plain, residual = (kind([8], 3, hidden_size=5, num_layers=4) for kind in (DeepMLP, ResidualMLP))
    assert plain.depth == residual.depth
    weights = [parameter.shape for name, parameter in residual.named_parameters() if "scale" not in name]
    assert weights == [parameter.shape for parameter in plain.parameters()]


def test_only_residual_connections_let_the_first_of_many_layers_learn() -> None:
    def first_gradient(model_class: type[DeepMLP | ResidualMLP]) -> float:
        torch.manual_seed(0)
        model = model_class([64], 10, hidden_size=64, num_layers=100, activation="sigmoid")
        model.loss(model(torch.randn(128, 64)), torch.randint(10, (128,))).backward()
        gradient = next(model.parameters()).grad
        assert gradient is not None
        return float(gradient.norm())

    assert first_gradient(DeepMLP) < 1e-6
    assert first_gradient(ResidualMLP) > 1e-2
