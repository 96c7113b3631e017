"""Models of forms that a user may write and none of ours has, for tests that look into any network."""

from typing import Any

from torch import Tensor, nn

from models import BaseModel


class Listed(BaseModel):
    """Layers in a list, a part that is never called, one that gives a dictionary, and a head defined first."""

    def __init__(self, input_shape: list[int], num_outputs: int, **training: Any) -> None:
        super().__init__(input_shape, num_outputs, **training)
        self.head = nn.Linear(4, num_outputs)
        self.unused = nn.Linear(3, 3)
        self.named = Named()
        self.blocks = nn.ModuleList([nn.Linear(input_shape[0], 4), nn.Linear(4, 4)])

    depth = 2
    width_option = None

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x).relu()
        return self.head(input=self.named(x)["x"])


class Named(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"x": x}


class Rounding(Listed):
    """No gradient reaches its input."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.round().long().float())


class Attending(BaseModel):
    """Attention among the numbers of a sample, asked for without its weights, by position."""

    def __init__(self, input_shape: list[int], num_outputs: int, **training: Any) -> None:
        super().__init__(input_shape, num_outputs, **training)
        self.embed = nn.Linear(1, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.last = nn.Linear(8, num_outputs)

    depth = 2
    width_option = None

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x[..., None])
        x, _ = self.attention(x, x, x, None, False)
        return self.last(x.mean(1))
