import torch

from models import Linear


def test_model_is_linear_with_the_documented_parameter_count() -> None:
    model = Linear([1, 28, 28], 10)
    assert sum(p.numel() for p in model.parameters()) == 7850
    x, y = torch.randn(2, 5, 1, 28, 28)
    torch.testing.assert_close(model(x + y) + model(torch.zeros_like(x)), model(x) + model(y))
