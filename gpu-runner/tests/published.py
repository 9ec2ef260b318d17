"""The published adapter's computation, written from its description for comparison (docs: arXiv 2305.05189, section 3)."""

from __future__ import annotations

import math

import torch
from torch import nn


class Published(nn.Module):
    """State-dict keys and mathematics of the published module: encoder over axis 0, then one attention head, then fc."""

    def __init__(self, width: int, layers: int = 2, heads: int = 4, inner: int = 64) -> None:
        super().__init__()
        self.encoder_layer = nn.TransformerEncoderLayer(width, heads, inner)
        self.transformer_encoder = nn.TransformerEncoder(self.encoder_layer, layers, enable_nested_tensor=False)
        self.attention = nn.ModuleDict(
            {
                "query_layer": nn.Linear(width, width),
                "key_layer": nn.Linear(width, width),
                "value_layer": nn.Linear(width, width),
                "output_layer": nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)),
            }
        )
        self.fc = nn.Linear(width, width)

    def one_prompt(self, x: torch.Tensor, eta: float) -> torch.Tensor:
        """`[1, L, D]`, as in training: the encoder takes the batch axis, of length 1, for the sequence."""
        q = self.attention["query_layer"](self.transformer_encoder(x))
        k = self.attention["key_layer"](x)
        weights = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(x.shape[-1]), dim=-1)
        a = weights @ x + x
        out = a + self.attention["output_layer"](a)
        return eta * self.fc(out) + (1 - eta) * x
