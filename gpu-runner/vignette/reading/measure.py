"""How well a reading matches the true scene, on the miniature's held-out narratives, for the probe and three plainer measures."""

from __future__ import annotations

import random
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from vignette.engine.loader import LoadedModel
from vignette.engine.text import adapt, encode_texts, run_encoder
from vignette.errors import ConfigError
from vignette.reading.lexicon import Lexicon
from vignette.reading.probe import CHUNK, features
from vignette.reading.reader import SURE, Reader

FALSE_ALARMS = 0.05
CONTEXTS = 300


@dataclass(frozen=True)
class Truth:
    """`texts` and, for each, which of the lexicon's entries its scene holds, `[N, P]`."""

    texts: list[str]
    keywords: list[str]
    held: np.ndarray


def held_out(lexicon: Lexicon, count: int) -> Truth:
    """Narratives of scenes and sentence shapes that no stage of the miniature's training saw."""
    # The training code is not type-checked, and mypy would follow an import statement into it.
    world = _world(lexicon)
    # The first language has words for the first edition's things alone.
    language = "first" if world.name == "first" else "second"
    cases = import_module("vignette.miniature.held_out").held_out_set(count, language, world)
    rows = [[entry in _entries(scene) for entry in lexicon.entries] for scene, _, _ in cases]
    held = np.array(rows)
    if not held.any(axis=1).all():
        raise ConfigError("The lexicon has no phrase for some scenes of the miniature; it belongs to another world.")
    return Truth([text for _, text, _ in cases], [scene.keywords for scene, _, _ in cases], held)


def measure(model: LoadedModel, adapter: str | None, prompts: int, outside: list[str]) -> dict[str, Any]:
    """
    Precision, recall and average precision of readings, and how well the notice tells `outside` prompts from known ones.

    Returns:
        `{"measures": {"<prompts>: <measure>": {...}}, "notice": {...}}`, shares in [0, 1].
    """
    reader = model.reader
    if reader is None:
        raise ConfigError(f"The model {model.spec.id} has no lexicon in models.toml, so there is nothing to measure.")
    truth = held_out(reader.lexicon, prompts)
    with torch.inference_mode():
        states = {
            f"narrative through {adapter}": _states(model, truth.texts, adapter),
            "narrative": _states(model, truth.texts, None),
            "keyword prompt": _states(model, truth.keywords, None),
        }
        scorers = {"probe": reader.probe, **_plainer(model, reader.lexicon)}
        figures = {
            f"{kind}: {name}": _figures(reader.lexicon, score(given).cpu().numpy(), truth.held, name == "probe")
            for name, score in scorers.items()
            for kind, given in states.items()
        }
        known = _familiarity(reader, states[f"narrative through {adapter}"], truth.texts)
        unknown = _familiarity(reader, _states(model, outside, adapter), outside)
    return {"prompts": prompts, "outside": len(outside), "measures": figures, "notice": _notice(model, known, unknown)}


def read_outside(file: Path) -> list[str]:
    """Prompts, one a line; `#` begins a comment line."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}.") from None
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _world(lexicon: Lexicon) -> Any:
    """The largest edition of the miniature's world whose things are all in the lexicon."""
    worlds = import_module("vignette.miniature.world").WORLDS.values()
    known = [world for world in worlds if set(world.things) <= set(lexicon.phrases.get("thing", ()))]
    if not known:
        raise ConfigError("The lexicon does not have the miniature's things; it belongs to another model.")
    return max(known, key=lambda world: len(world.things))


def _entries(scene: Any) -> set[tuple[str, str | None]]:
    found: set[tuple[str, str | None]] = {("place", scene.place)}
    for group in scene.groups:
        found |= {("thing", group.thing), ("count", str(group.count)), ("tint", group.colour), ("action", group.action)}
    return found


def _states(model: LoadedModel, texts: list[str], adapter: str | None) -> torch.Tensor:
    rows = []
    for start in range(0, len(texts), CHUNK):
        encoded = encode_texts(model, texts[start : start + CHUNK])
        rows += [adapt(model, encoded[text], adapter, 1.0) for text in texts[start : start + CHUNK]]
    return torch.stack(rows)


def _plainer(model: LoadedModel, lexicon: Lexicon) -> dict[str, Any]:
    """Measures without learning: cosine similarities to what stands for each phrase, all centred."""
    rng = random.Random(1)
    alone = run_encoder(model, [phrase for _, phrase in lexicon.entries])
    # What stands before the tokenizer's end mark is the phrase's last token.
    last = torch.stack([entry.states[int(entry.mask.sum()) - 2] for entry in alone])
    whole = features(torch.stack([entry.states for entry in alone]))
    contexts = [lexicon.compose(rng) for _ in range(CONTEXTS)]
    inputs = features(_states(model, [text for text, _ in contexts], None))
    held = torch.tensor([[float(e in entries) for e in lexicon.entries] for _, entries in contexts]).to(inputs)
    typical = held.T @ inputs / held.sum(dim=0)[:, None].clamp(min=1) - inputs.mean(dim=0)

    def cosine(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T

    def centred(x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(dim=0)

    def best_token(states: torch.Tensor) -> torch.Tensor:
        states = states.float() - states.float().mean(dim=(0, 1))
        return torch.stack([cosine(tokens, centred(last)).amax(dim=0) for tokens in states])

    return {
        "best token, cosine to the phrase alone": best_token,
        "whole prompt, cosine to the phrase alone": lambda states: cosine(centred(features(states)), centred(whole)),
        "whole prompt, cosine to prompts with it": lambda states: cosine(centred(features(states)), typical),
    }


def _figures(lexicon: Lexicon, scores: np.ndarray, held: np.ndarray, calibrated: bool) -> dict[str, Any]:
    order = np.argsort(-scores, axis=1)
    hits = np.take_along_axis(held, order, axis=1)
    precision_at = hits.cumsum(axis=1) / np.arange(1, hits.shape[1] + 1)
    figures: dict[str, Any] = {"average precision": float((precision_at * hits).sum() / hits.sum())}
    groups = np.array([group for group, _ in lexicon.entries])
    for group in lexicon.phrases:
        inside, true = scores[:, groups == group], held[:, groups == group]
        ranks = (-inside).argsort(axis=1).argsort(axis=1)
        found = (ranks < true.sum(axis=1, keepdims=True)) & true
        figures[group] = float(found.sum() / max(1, true.sum()))
    if calibrated:
        shown = scores >= SURE
        figures["precision"] = float((shown & held).sum() / max(1, shown.sum()))
        figures["recall"] = float((shown & held).sum() / held.sum())
    return figures


def _familiarity(reader: Reader, states: torch.Tensor, texts: list[str]) -> np.ndarray:
    scores = reader.probe(states).tolist()
    return np.array([reader.familiarity(row, text) for row, text in zip(scores, texts, strict=True)])


def _notice(model: LoadedModel, known: np.ndarray, unknown: np.ndarray) -> dict[str, float]:
    area = (known[:, None] > unknown).mean() + 0.5 * (known[:, None] == unknown).mean()
    figures = {"area under the ROC curve": float(area)}
    thresholds = {f"at {FALSE_ALARMS:.0%} false alarms": float(np.quantile(known, FALSE_ALARMS))}
    if model.spec.notice is not None:
        thresholds["as in models.toml"] = model.spec.notice.below
    for name, below in thresholds.items():
        figures[f"{name}: below"] = below
        figures[f"{name}: outside prompts told"] = float((unknown < below).mean())
        figures[f"{name}: known prompts told"] = float((known < below).mean())
    return figures
