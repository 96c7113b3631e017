import pytest
import torch
from torch import nn

from models import Transformer
from models.transformer import EncoderLayer


def test_encoder_layer_equals_pytorch() -> None:
    ours = EncoderLayer(8, 2, dropout=0.0)
    theirs = nn.TransformerEncoderLayer(8, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True)
    names = {"attention": "self_attn", "mlp.0": "linear1", "mlp.2": "linear2"}
    weights = ours.state_dict()
    for our_name, their_name in names.items():
        weights = {name.replace(our_name, their_name): value for name, value in weights.items()}
    theirs.load_state_dict(weights)
    x = torch.randn(3, 5, 8)
    torch.testing.assert_close(ours(x, None), theirs(x))


def test_parameter_count() -> None:
    assert sum(p.numel() for p in Transformer([28, 28], 10).parameters()) == 154_378


def test_positions_distinguish_swapped_rows() -> None:
    torch.manual_seed(0)
    model = Transformer([28, 28], 10).eval()
    x = torch.randn(4, 28, 28)
    swapped = x.clone()
    swapped[:, [3, 20]] = x[:, [20, 3]]
    assert not torch.allclose(model(x), model(swapped), atol=1e-3)
    with torch.no_grad():
        model.positions.zero_()
    torch.testing.assert_close(model(x), model(swapped), msg="without positions, the order has no effect")


@pytest.mark.parametrize("causal", [True, False])
def test_causal_outputs_do_not_depend_on_later_inputs(causal: bool) -> None:
    model = Transformer([6, 3], 4, head_size=4, num_heads=2, causal=causal, task="tagging").double()
    x = torch.randn(6, 3, dtype=torch.double)
    (changes,) = (torch.autograd.functional.jacobian(lambda x: model(x[None])[0], x),)  # (T out, K, T in, D)
    reached = changes.abs().sum((1, 3)) > 0
    assert torch.equal(reached, torch.ones(6, 6).bool().tril() if causal else torch.ones(6, 6).bool())


def test_causal_mask_is_applied_in_evaluation() -> None:
    model = Transformer([6, 3], 4, head_size=4, num_heads=2, causal=True, task="tagging")
    x = torch.randn(5, 6, 3)
    other = torch.cat([x[:, :4], torch.randn(5, 2, 3)], dim=1)
    in_training = model(x)
    with torch.no_grad():
        model.eval()
        torch.testing.assert_close(model(x), in_training)
        torch.testing.assert_close(model(x)[:, :4], model(other)[:, :4])
        assert not torch.allclose(model(x)[:, 4:], model(other)[:, 4:], atol=1e-3)


def test_causal_classification_uses_the_last_step() -> None:
    model = Transformer([6, 3], 4, head_size=2, causal=True)
    tagger = Transformer([6, 3], 4, head_size=2, causal=True, task="tagging")
    tagger.load_state_dict(model.state_dict())
    x = torch.randn(2, 6, 3)
    torch.testing.assert_close(model(x), tagger(x)[:, -1])


def test_patches_are_ordered_row_by_row() -> None:
    model = Transformer([2, 8, 12], 4, patch_size=4)
    x = torch.randn(3, 2, 8, 12)
    steps = model.patches(x).transpose(1, 2)
    assert steps.shape == (3, 6, 32)
    assert torch.equal(steps[:, 4], x[:, :, 4:8, 4:8].flatten(1)), "second row, second column"


def test_patch_size_that_does_not_divide_the_image_is_refused() -> None:
    with pytest.raises(ValueError, match="patch_size=5 does not divide images of 28x28"):
        Transformer([1, 28, 28], 10, patch_size=5)
