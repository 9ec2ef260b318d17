"""The published layout, as its checkpoints were really trained."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class TokenBlock(nn.Module):
    """
    One layer of the published encoder (post-norm, ReLU) with attention of length 1.

    The published training fed `[1, 77, D]` to a module that takes its first axis for the sequence, so each token only
    ever attended to itself. The softmax over one key is 1: attention is `to_out(to_value(x))`, and the query and key
    projections, which never received a gradient, are not kept.
    """

    def __init__(self, hidden_size: int, inner_size: int, dropout: float) -> None:
        super().__init__()
        self.to_value = nn.Linear(hidden_size, hidden_size)
        self.to_out = nn.Linear(hidden_size, hidden_size)
        self.norm1 = nn.LayerNorm(hidden_size)
        self.linear1 = nn.Linear(hidden_size, inner_size)
        self.linear2 = nn.Linear(inner_size, hidden_size)
        self.norm2 = nn.LayerNorm(hidden_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm1(x + self.dropout(self.to_out(self.to_value(x))))
        return self.norm2(x + self.dropout(self.linear2(self.dropout(F.relu(self.linear1(x))))))


class TokenEncoder(nn.Module):
    """
    `[B, L, D]` hidden states to the `[B, L, D]` states that the adapter mixes in with weight eta.

    `A = softmax(q k^T / sqrt(D)) x + x` over all L tokens of the prompt, padding included as in training, with q from
    the encoder's output and k, v from x; then `A + W2 ReLU(W1 A)` and a last linear layer.
    """

    def __init__(self, hidden_size: int, num_layers: int, inner_size: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(TokenBlock(hidden_size, inner_size, dropout) for _ in range(num_layers))
        self.query = nn.Linear(hidden_size, hidden_size)
        self.key = nn.Linear(hidden_size, hidden_size)
        self.mlp_in = nn.Linear(hidden_size, hidden_size)
        self.mlp_out = nn.Linear(hidden_size, hidden_size)
        self.fc = nn.Linear(hidden_size, hidden_size)
        nn.init.zeros_(self.fc.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = x
        for block in self.blocks:
            h = block(h)
        a = F.scaled_dot_product_attention(self.query(h), self.key(x), x) + x
        a = a + self.mlp_out(F.relu(self.mlp_in(a)))
        return self.fc(a)
