"""How far a narrative's hidden states are from the keyword prompt's: what the adapter is trained on, seen without a picture."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from .text import LENGTH, hidden_states
from .world import Scene


@torch.no_grad()
def state_errors(
    adapter: nn.Module, encoder: CLIPTextModel, tokenizer: CLIPTokenizer, cases: list[tuple[Scene, str]]
) -> dict[str, float]:
    """
    The mean square distance, on the positions of the keyword prompt's words, between the adapted states of each narrative and
    those of its keyword prompt.

    Of scenes of one kind, of two kinds, and of two kinds in whichever order of the prompt's kinds is nearer: a picture has
    no order, so what lies between the last two is nobody's mistake. Kinds that `cases` lack are left out.
    """
    found: dict[str, list[float]] = {}
    for scene, text in cases:
        told = adapter(hidden_states(encoder, tokenizer, [text]).float())
        error = _error(told, encoder, tokenizer, scene.keywords)
        if len(scene.groups) == 1:
            found.setdefault("one kind", []).append(error)
            continue
        turned = _error(told, encoder, tokenizer, replace(scene, groups=scene.groups[::-1]).keywords)
        found.setdefault("two kinds", []).append(error)
        found.setdefault("two kinds, in the nearer order", []).append(min(error, turned))
    return {name: sum(errors) / len(errors) for name, errors in found.items()}


def _error(told: torch.Tensor, encoder: CLIPTextModel, tokenizer: CLIPTokenizer, keywords: str) -> float:
    words = min(len(tokenizer([keywords]).input_ids[0]), LENGTH)
    wanted = hidden_states(encoder, tokenizer, [keywords]).float()
    return (told - wanted)[0, :words].square().mean().item()
