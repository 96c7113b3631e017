"""Transformer. Each layer applies self-attention across the steps, then an MLP to each step.

Shapes: `(B, T, D)`, tokens `(B, T)`, or images `(B, C, H, W)` cut into patches, to `(B, K)` from the mean of all steps
(from the last step if causal), or to `(B, T, K)` from every step (tagging).
Parameters: 3 layers of 4 heads of 16 on the 28 rows of MNIST have 154,378.
Source: Vaswani et al. 2017, "Attention Is All You Need", section 3; its causal mask is in section 3.2.3. Layer norm
first: Xiong et al. 2020. Patches: Dosovitskiy et al. 2021, section 3.1.
Differences: from Vaswani et al., learned positions instead of sinusoids and GELU instead of ReLU, both as in
Dosovitskiy et al. From the latter, the mean of all steps instead of a class token, and dropout in the two branches.
"""

from typing import Any

import torch
from torch import Tensor, nn

from models.base import BaseModel


class EncoderLayer(nn.Module):
    """Self-attention and an MLP, each with a residual connection: `(B, T, E)` to `(B, T, E)`."""

    def __init__(self, hidden_size: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(hidden_size)
        self.attention = nn.MultiheadAttention(hidden_size, num_heads, batch_first=True)
        self.norm2 = nn.LayerNorm(hidden_size)
        self.mlp = nn.Sequential(
            nn.Linear(hidden_size, 4 * hidden_size), nn.GELU(), nn.Linear(4 * hidden_size, hidden_size)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None, padding: Tensor | None = None) -> Tensor:
        normed = self.norm1(x)
        masks = {"attn_mask": mask, "is_causal": mask is not None, "key_padding_mask": padding}
        # with need_weights=False, PyTorch uses the faster `scaled_dot_product_attention`
        attended, _ = self.attention(normed, normed, normed, need_weights=False, **masks)
        x = x + self.dropout(attended)
        return x + self.dropout(self.mlp(self.norm2(x)))


class Transformer(BaseModel):
    """Embedding of steps or patches, learned positions, `num_layers` encoder layers, layer norm and an output layer.

    Args:
        input_shape: `[T, D]`, `[T]` for tokens, or `[C, H, W]` to be cut into patches.
        num_outputs: Number of classes, or of target dimensions.
        head_size: Dimension per attention head. The model dimension is `num_heads * head_size`; the MLP is four times
            wider.
        num_heads: Number of attention heads.
        num_layers: Number of encoder layers.
        patch_size: Pixels per side of a patch. Both sides of an image must be multiples of it.
        causal: Each step attends only to itself and to earlier steps, as in a decoder.
        dropout: Fraction of the outputs of attention and MLP set to 0 in training, before they are added to the input.
        training: Options of `BaseModel`.

    Raises:
        ValueError: If the inputs are neither images, sequences nor tokens, or the image does not divide into patches.
    """

    tasks = ("classification", "tagging", "regression")
    takes = ("images", "sequences", "tokens")
    width_option = "head_size"

    def __init__(
        self,
        input_shape: list[int],
        num_outputs: int,
        head_size: int = 16,
        num_heads: int = 4,
        num_layers: int = 3,
        patch_size: int = 7,
        causal: bool = False,
        dropout: float = 0.0,
        **training: Any,
    ) -> None:
        super().__init__(input_shape, num_outputs, **training)
        hidden_size, num_tokens = num_heads * head_size, self.hparams["num_tokens"]
        self.stem: nn.Module
        if len(input_shape) == 3:
            channels, rows, columns = input_shape
            if rows % patch_size or columns % patch_size:
                raise ValueError(
                    f"patch_size={patch_size} does not divide images of {rows}x{columns}; choose a divisor of both"
                )
            num_steps = rows // patch_size * (columns // patch_size)
            self.patches = nn.Unfold(patch_size, stride=patch_size)
            self.stem = nn.Linear(channels * patch_size**2, hidden_size)
        else:
            num_steps = input_shape[0]
            self.stem = nn.Embedding(num_tokens, hidden_size) if num_tokens else nn.Linear(input_shape[1], hidden_size)
        self.positions = nn.Parameter(0.02 * torch.randn(num_steps, hidden_size))
        self.blocks = nn.ModuleList(EncoderLayer(hidden_size, num_heads, dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(hidden_size)
        self.head = nn.Linear(hidden_size, num_outputs)
        # true where attention is not allowed
        mask = torch.ones(num_steps, num_steps, dtype=torch.bool).triu(1) if causal else None
        self.mask: Tensor | None
        self.register_buffer("mask", mask, persistent=False)

    @property
    def depth(self) -> int:
        return 1 + 4 * len(self.blocks)  # per layer: values, output projection and two linear layers

    @property
    def is_causal(self) -> bool:
        """Whether no output depends on a later step."""
        return self.mask is not None

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        if x.ndim == 4:
            x = self.patches(x).transpose(1, 2)  # (B, C, H, W) -> (B, T, C * patch_size**2)
        num_steps = x.shape[1]  # may be less than T
        x = self.stem(x) + self.positions[:num_steps]  # (B, T, hidden_size)
        mask = None if self.mask is None else self.mask[:num_steps, :num_steps]
        steps = torch.arange(num_steps, device=x.device)
        padding = None if lengths is None else steps >= lengths[:, None]  # (B, T), true behind the end of a sequence
        for block in self.blocks:
            x = block(x, mask, padding)
        x = self.norm(x)
        if self.task == "tagging":
            return self.head(x)  # (B, T, K)
        if lengths is None:
            x = x[:, -1] if self.is_causal else x.mean(1)
        elif self.is_causal:
            x = x[torch.arange(len(x), device=x.device), lengths - 1]
        else:
            x = (x * (steps < lengths[:, None])[..., None]).sum(1) / lengths[:, None]
        return self.head(x)  # (B, K)
