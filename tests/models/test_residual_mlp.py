import torch
from torch import nn

from models import DeepMLP, ResidualMLP


def test_parameter_count() -> None:
    assert sum(p.numel() for p in ResidualMLP([1, 28, 28], 10).parameters()) == 254_779


def test_initial_blocks_are_the_identity() -> None:
    model = ResidualMLP([8], 3, num_layers=20)
    x = torch.randn(4, 8)
    assert torch.equal(model(x), model.head(model.stem(x)))


def test_block_with_scale_1_adds_its_layer_to_its_input() -> None:
    model = ResidualMLP([8], 3, hidden_size=5, num_layers=3, activation="tanh")
    for block in model.blocks:
        nn.init.ones_(block.scale)  # type: ignore[arg-type]
    x = model.stem(torch.randn(4, 8))
    expected = x
    for block in model.blocks:
        expected = expected + torch.tanh(expected @ block.layer[0].weight.T + block.layer[0].bias)  # type: ignore[index, union-attr]
    torch.testing.assert_close(model.blocks(x), expected)


def test_weights_equal_those_of_deep_mlp_plus_one_scale_per_block() -> None:
    plain, residual = (kind([8], 3, hidden_size=5, num_layers=4) for kind in (DeepMLP, ResidualMLP))
    assert plain.depth == residual.depth
    scales = [name for name, _ in residual.named_parameters() if name.endswith("scale")]
    assert len(scales) == 3
    weights = [parameter.shape for name, parameter in residual.named_parameters() if name not in scales]
    assert weights == [parameter.shape for parameter in plain.parameters()]


def test_residual_connections_prevent_the_vanishing_gradient() -> None:
    def first_gradient(model_class: type[DeepMLP | ResidualMLP]) -> float:
        torch.manual_seed(0)
        model = model_class([64], 10, hidden_size=64, num_layers=100, activation="sigmoid")
        model.loss(model(torch.randn(128, 64)), torch.randint(10, (128,))).backward()
        gradient = next(model.parameters()).grad
        assert gradient is not None
        return float(gradient.norm())

    assert first_gradient(DeepMLP) < 1e-6
    assert first_gradient(ResidualMLP) > 1e-2
