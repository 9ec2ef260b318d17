"""How far a narrative's hidden states are from the keyword prompt's: what the adapter is trained on, seen without a picture."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from .text import LENGTH, hidden_states
from .world import FIRST, MAX_COUNT, Scene, World


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


def wrong_in_one(scene: Scene, world: World = FIRST) -> dict[str, list[Scene]]:
    """Every scene of `world` that differs from `scene`, of one kind, in one attribute alone; "action" only of animals."""
    (group,) = scene.groups
    animal = group.thing in world.animals
    others = {
        "object": [replace(group, thing=thing) for thing in (world.animals if group.action else world.things)],
        "colour": [replace(group, colour=colour) for colour in (*world.colours, None)],
        "count": [replace(group, count=count) for count in range(1, MAX_COUNT + 1)],
        "action": [replace(group, action=action) for action in (*world.actions, None)] if animal else [],
    }
    found = {name: [replace(scene, groups=(other,)) for other in groups] for name, groups in others.items()}
    found["place"] = [replace(scene, place=place) for place in world.places]
    return {name: [other for other in scenes if other != scene] for name, scenes in found.items()}


@torch.no_grad()
def nearest_is_right(
    adapter: nn.Module,
    encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    cases: list[tuple[Scene, str]],
    world: World = FIRST,
) -> dict[str, float]:
    """
    What the adapted states tell, by attribute: the share of the cases of one kind in which they are nearer to the keyword
    prompt's than to those of any prompt that is wrong in that attribute alone; attributes that `cases` lack are left out.

    Distances are mean squares on the words of the longest of these prompts.
    """
    found: dict[str, list[bool]] = {}
    for scene, text in cases:
        if len(scene.groups) > 1:
            continue
        wrong = wrong_in_one(scene, world)
        prompts = [scene.keywords, *(other.keywords for scenes in wrong.values() for other in scenes)]
        words = min(max(map(len, tokenizer(prompts).input_ids)), LENGTH)
        told = adapter(hidden_states(encoder, tokenizer, [text]).float())[:, :words]
        states = hidden_states(encoder, tokenizer, prompts, length=words).float()
        right, *errors = (states - told).square().mean((1, 2)).tolist()
        for name, scenes in wrong.items():
            among, errors = errors[: len(scenes)], errors[len(scenes) :]
            if among:
                found.setdefault(name, []).append(right < min(among))
    return {name: sum(told) / len(told) for name, told in found.items()}


def _error(told: torch.Tensor, encoder: CLIPTextModel, tokenizer: CLIPTokenizer, keywords: str) -> float:
    words = min(len(tokenizer([keywords]).input_ids[0]), LENGTH)
    wanted = hidden_states(encoder, tokenizer, [keywords]).float()
    return (told - wanted)[0, :words].square().mean().item()
