"""Text that a network writes, character by character."""

from collections.abc import Sequence

import lightning as L
import torch
from torch import Tensor

from callbacks.insight import Insight

LENGTH = 400  # characters per sample
TEMPERATURE = 0.8
SEED = 0  # of the sampled characters, the same in every epoch


def write_text(
    model: L.LightningModule, tokens: Sequence[int], length: int, temperature: float, generator: torch.Generator
) -> list[int]:
    """Continues a text with `length` new tokens, each drawn on the CPU from the predicted probabilities.

    Args:
        model: Maps tokens `(1, T)` to logits `(1, T, K)`, in evaluation mode. It reads the last T tokens at most.
        tokens: Beginning of the text, at least one token.
        temperature: The logits are divided by it. With 0, the most likely token is always taken.
        generator: Draws the tokens.
    """
    written = list(tokens)
    (most,) = model.hparams["input_shape"]
    for _ in range(length):
        window = torch.tensor([written[-most:]], device=model.device)
        logits: Tensor = model(window)[0, -1].float().cpu()
        if temperature == 0:
            written.append(int(logits.argmax()))
        else:
            probabilities = (logits / temperature).softmax(0)
            written.append(int(torch.multinomial(probabilities, 1, generator=generator)))
    return written


class TextSamples(Insight):
    """Shows what the network writes, on TensorBoard's TEXT page under `text/sample`.

    The beginning is a new line, the temperature 0.8 and the length 400 characters.
    """

    num_intervals = 9  # with the text before training, as many as TensorBoard's slider keeps

    def reason_to_skip(self, trainer: L.Trainer, model: L.LightningModule) -> str | None:
        is_text = self.has_tokens and hasattr(self.data, "decode") and self.data.task == "tagging"
        return None if is_text else "the network does not write text"

    def inspect(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        generator = torch.Generator().manual_seed(SEED)
        tokens = write_text(model, self.data.encode("\n"), LENGTH, TEMPERATURE, generator)
        text = self.data.decode(tokens).strip("\n")
        indented = "\n".join(f"    {line}" for line in text.splitlines())  # keeps its line breaks in Markdown
        self.board.experiment.add_text("text/sample", indented, self.epoch)
