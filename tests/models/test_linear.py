import torch

from models import Linear


def test_784_10_has_7850_parameters_and_is_one_matrix_product() -> None:
    model = Linear([1, 28, 28], 10)
    assert sum(p.numel() for p in model.parameters()) == 7850
    x, y = torch.randn(2, 5, 1, 28, 28)
    torch.testing.assert_close(model(x + y) + model(torch.zeros_like(x)), model(x) + model(y))
