"""The corrected layout: a pre-norm transformer over the tokens of one prompt, identity before training."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class SequenceBlock(nn.Module):
    """Pre-norm self-attention and MLP. `x` is `[B, L, D]`; `visible` is a boolean `[B, 1, L, L]` or `None`."""

    def __init__(self, hidden_size: int, num_heads: int, inner_size: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm_attention = nn.LayerNorm(hidden_size)
        self.to_qkv = nn.Linear(hidden_size, 3 * hidden_size)
        self.to_out = nn.Linear(hidden_size, hidden_size)
        self.norm_mlp = nn.LayerNorm(hidden_size)
        self.mlp_in = nn.Linear(hidden_size, inner_size)
        self.mlp_out = nn.Linear(inner_size, hidden_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, visible: torch.Tensor | None) -> torch.Tensor:
        batch, length, width = x.shape
        qkv = self.to_qkv(self.norm_attention(x)).view(batch, length, 3, self.num_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=visible)
        x = x + self.dropout(self.to_out(attended.transpose(1, 2).reshape(batch, length, width)))
        return x + self.dropout(self.mlp_out(F.gelu(self.mlp_in(self.norm_mlp(x)))))


class SequenceEncoder(nn.Module):
    """`[B, L, D]` hidden states to the `[B, L, D]` correction that the adapter adds to them; zero at step 0."""

    def __init__(
        self, hidden_size: int, num_layers: int, num_heads: int, inner_size: int, dropout: float, max_length: int
    ) -> None:
        super().__init__()
        # CLIP's last states only hint at positions, and keyword lists put things in other places than sentences do.
        self.position = nn.Parameter(torch.randn(max_length, hidden_size) * 0.02)
        self.blocks = nn.ModuleList(
            SequenceBlock(hidden_size, num_heads, inner_size, dropout) for _ in range(num_layers)
        )
        self.norm_out = nn.LayerNorm(hidden_size)
        self.proj_out = nn.Linear(hidden_size, hidden_size)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)

    def forward(self, x: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        length = x.shape[1]
        visible = None
        if attention_mask is not None:
            # Every token sees itself, so that a row of nothing but padding has no empty softmax (NaN).
            itself = torch.eye(length, dtype=torch.bool, device=x.device)
            visible = attention_mask.to(x.device, torch.bool)[:, None, None, :] | itself
        h = x + self.position[:length].to(x.dtype)
        for block in self.blocks:
            h = block(h, visible)
        return self.proj_out(self.norm_out(h))
