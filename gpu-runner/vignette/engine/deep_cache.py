"""
DeepCache (https://arxiv.org/abs/2312.00858): what the UNet's deep layers say changes little from step to step, so in
between two whole calls only its outermost layer is computed, upon what the last whole call left in front of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def tapped(unet: Any) -> Iterator[list[torch.Tensor]]:
    """
    While a whole call runs: receives what enters the last layer from below, `[N, C, h, w]`, without the skip connection
    beside it.
    """
    found: list[torch.Tensor] = []

    def look(layer: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        found.append(inputs[0][:, : -_skipped(unet)])

    handle = unet.up_blocks[-1].resnets[-1].register_forward_pre_hook(look)
    try:
        yield found
    finally:
        handle.remove()


def call_last_layer(
    unet: Any,
    inputs: torch.Tensor,
    times: torch.Tensor,
    states: torch.Tensor,
    added: dict[str, torch.Tensor] | None,
    features: torch.Tensor,
) -> torch.Tensor:
    """
    What `UNet2DConditionModel.forward` does around its deep layers, in its order; `features` are what `tapped` received
    for these rows.
    """
    embedded = unet.time_embedding(unet.get_time_embed(sample=inputs, timestep=times))
    more = unet.get_aug_embed(emb=embedded, encoder_hidden_states=states, added_cond_kwargs=added)
    embedded = embedded if more is None else embedded + more
    block = unet.up_blocks[-1]
    hidden = block.resnets[-1](torch.cat([features, unet.conv_in(inputs)], dim=1), embedded)
    if getattr(block, "has_cross_attention", False):
        hidden = block.attentions[-1](hidden, encoder_hidden_states=states, return_dict=False)[0]
    return unet.conv_out(unet.conv_act(unet.conv_norm_out(hidden)))


def _skipped(unet: Any) -> int:
    return unet.conv_in.out_channels
