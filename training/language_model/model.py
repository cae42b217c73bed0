"""The built-in language model in PyTorch: llama's architecture, small. Knows no data.

Rotary embedding over halves, as Hugging Face's Llama; `export.py` reorders for llama.cpp.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Shape:
    num_tokens: int = 10_240
    width: int = 512
    num_layers: int = 8
    num_heads: int = 8
    num_kv_heads: int = 2
    num_hidden: int = 960
    context: int = 4096
    rope_base: float = 10_000.0

    @property
    def head(self) -> int:
        return self.width // self.num_heads


EPSILON = 1e-5


class Norm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), EPSILON)


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width, kv_width = shape.width, shape.num_kv_heads * shape.head
        self.attn_norm = Norm(width)
        self.attn_q = nn.Linear(width, width, bias=False)
        self.attn_k = nn.Linear(width, kv_width, bias=False)
        self.attn_v = nn.Linear(width, kv_width, bias=False)
        self.attn_output = nn.Linear(width, width, bias=False)
        self.ffn_norm = Norm(width)
        self.ffn_gate = nn.Linear(width, shape.num_hidden, bias=False)
        self.ffn_up = nn.Linear(width, shape.num_hidden, bias=False)
        self.ffn_down = nn.Linear(shape.num_hidden, width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(batch, length, width) → the same."""
        h = self.attn_norm(x)
        q, k, v = (self._heads(layer(h)) for layer in (self.attn_q, self.attn_k, self.attn_v))
        k, v = self._shared(rotated(k, cos, sin)), self._shared(v)
        y = functional.scaled_dot_product_attention(rotated(q, cos, sin), k, v, is_causal=True)
        x = x + self.attn_output(y.transpose(1, 2).flatten(2))
        h = self.ffn_norm(x)
        forward: Tensor = self.ffn_down(functional.silu(self.ffn_gate(h)) * self.ffn_up(h))
        return x + forward

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], -1, self.shape.head).transpose(1, 2)

    def _shared(self, x: Tensor) -> Tensor:
        """Each key or value head for the query heads that use it."""
        num_users = self.shape.num_heads // self.shape.num_kv_heads
        return x.repeat_interleave(num_users, dim=1)


class Model(nn.Module):
    """Ids (batch, length) → logits (batch, length, num_tokens); embedding and output share."""

    cos: Tensor
    sin: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.num_tokens, shape.width)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.num_layers))
        self.output_norm = Norm(shape.width)
        half = torch.arange(0, shape.head, 2).float() / shape.head
        angles = torch.outer(torch.arange(shape.context).float(), shape.rope_base**-half)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        self._begin()

    def forward(self, ids: Tensor) -> Tensor:
        x: Tensor = self.token_embd(ids)
        if torch.is_autocast_enabled(ids.device.type):
            x = x.to(torch.get_autocast_dtype(ids.device.type))
        cos, sin = self.cos[: ids.shape[1]].to(x.dtype), self.sin[: ids.shape[1]].to(x.dtype)
        for block in self.blk:
            x = block(x, cos, sin)
        return functional.linear(self.output_norm(x), self.token_embd.weight)

    def _begin(self) -> None:
        for name, weight in self.named_parameters():
            if weight.dim() > 1:
                is_output = name.endswith(("attn_output.weight", "ffn_down.weight"))
                scale = (2 * self.shape.num_layers) ** -0.5 if is_output else 1.0
                nn.init.normal_(weight, std=0.02 * scale)


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Su et al. 2021 (RoFormer), over the two halves of each head."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
