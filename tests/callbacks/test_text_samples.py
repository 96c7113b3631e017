from collections.abc import Sequence

import lightning as L
import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from callbacks.text_samples import write_text


class Counting(L.LightningModule):
    """After token n comes n + 1, or with a tenth of its logit n + 2. Refuses more than 4 tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.save_hyperparameters({"input_shape": [4]})

    def forward(self, tokens: Tensor) -> Tensor:
        assert tokens.shape[1] <= 4
        after = one_hot((tokens + 1) % 10, 10) + 0.1 * one_hot((tokens + 2) % 10, 10)
        return 5 * after


def write(tokens: Sequence[int], temperature: float, seed: int = 0, length: int = 300) -> list[int]:
    return write_text(Counting(), tokens, length, temperature, torch.Generator().manual_seed(seed))


def test_the_most_likely_token_follows_at_temperature_0() -> None:
    assert write([7, 8], 0, length=6) == [7, 8, 9, 0, 1, 2, 3, 4]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_have_the_probabilities_of_the_network(temperature: float) -> None:
    logits = torch.zeros(10)
    logits[1], logits[2] = 5, 0.5
    written = torch.tensor(write([3], temperature, length=3000))
    steps = (written[1:] - written[:-1]) % 10
    expected = (logits / temperature).softmax(0)
    torch.testing.assert_close(steps.bincount(minlength=10) / len(steps), expected, atol=0.03, rtol=0)


def test_text_depends_on_the_seed_alone() -> None:
    assert write([3], 1.0) == write([3], 1.0) != write([3], 1.0, seed=1)
