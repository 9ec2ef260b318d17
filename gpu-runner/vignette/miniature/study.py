"""The study of the bundled weights: the judge on renders and reconstructions, the model on keywords, the adapter on held-out narratives."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from vignette.sur.adapter import SURAdapter

from .fidelity import edges, psnr
from .figures import about, compared, contact_sheet, row, row_with_intervals, weights_of
from .frozen import Frozen
from .held_out import SEED, Case, held_out_set, written_set
from .language import Words
from .quality import quality
from .render import render
from .rows import ADAPTED, BASE, CEILING
from .sample import GUIDANCE, STEPS
from .states import nearest_is_right, state_errors
from .world import sample_scene

# Scenes on which the judge is judged.
FRESH = 1000
# So many of those the denoiser draws again, from so much noise: things stay what and where they are.
REDRAWN, STRENGTH = 128, 0.6


def _judge_the_judge(frozen: Frozen, style: str) -> tuple[np.ndarray, dict[str, Any]]:
    """
    Fresh renders of scenes, a quarter of them held out, and how right the judge reads those, their reconstructions and what
    the denoiser makes of some.
    """
    rng = random.Random(SEED + 1)
    scenes = [sample_scene(rng, held_out=i % 4 == 0, world=frozen.world) for i in range(FRESH)]
    pictures = np.stack([np.asarray(render(s, 10_000_000 + i, frozen.world, style)) for i, s in enumerate(scenes)])
    again = frozen.reconstruct(pictures)
    some = scenes[:REDRAWN]
    prompts = frozen.states([scene.keywords for scene in some])
    redrawn = frozen.redraw(pictures[:REDRAWN], prompts, list(range(len(some))), STRENGTH)
    return pictures, {
        "judge_on_renders": row(frozen.score(pictures, scenes)),
        "judge_on_reconstructions": row(frozen.score(again, scenes)),
        "judge_on_redrawn": row(frozen.score(redrawn, some)),
        "reconstructions": {"psnr": psnr(pictures, again), "edges": edges(again) / edges(pictures)},
    }


def _what_states_tell(frozen: Frozen, adapter: SURAdapter, cases: list[Case]) -> dict[str, Any]:
    """How far the narratives' states are from the keyword prompts', and what they are nearest to, without and with the adapter."""
    words, told = (frozen.pipe.text_encoder, frozen.pipe.tokenizer), [case[:2] for case in cases]
    ways = {"narrative": nn.Identity(), "adapter": adapter}
    return {
        "states": {name: state_errors(way, *words, told) for name, way in ways.items()},
        "nearest": {name: nearest_is_right(way, *words, told, frozen.world) for name, way in ways.items()},
    }


def run(
    weights: Path,
    prompts: int,
    output: Path | None,
    sheet: Path | None,
    guidance: float | None,
    language: str = "second",
    style: str = "day",
    vocabulary: Words = "rare",
    cases_from: Path | None = None,
    work: Path | None = None,
) -> int:
    """Measure and print everything; `output` gets the figures as JSON, `sheet` a contact sheet (base, adapter, keyword rows).

    The narratives are those of `held_out_set`, or, with `cases_from`, of `written_set`. With `work` the pictures are kept
    in that folder, and drawn once.
    """
    began = time.time()
    guidance = GUIDANCE if guidance is None else guidance
    frozen = Frozen(weights, style, work)
    bundled = weights / "adapters" / "sur"
    adapter = SURAdapter.load(bundled).float()
    cases = (
        written_set(cases_from, prompts, frozen.world)
        if cases_from
        else held_out_set(prompts, language, frozen.world, vocabulary)
    )
    scenes, texts, seeds = ([case[i] for case in cases] for i in range(3))
    sentences = {"sentences": cases_from.stem} if cases_from else {"language": language, "vocabulary": vocabulary}
    settings = {"prompts": len(cases), "steps": STEPS, "guidance": guidance, "seed": SEED, "style": style}
    figures: dict[str, Any] = {**about(), **settings, **sentences}

    def tell(found: dict[str, Any]) -> None:
        figures.update(found)
        for name, value in found.items():
            print(name, value, flush=True)

    renders, found = _judge_the_judge(frozen, style)
    tell(found)
    tell(_what_states_tell(frozen, adapter, cases))

    plain = frozen.states(texts)
    with torch.no_grad():
        adapted = adapter(plain)
    drawn, scores = {}, {}
    single = np.array([len(s.groups) == 1 for s in scenes])
    figures |= {"weights": frozen.identity, "adapter": weights_of(bundled), "one_kind": int(single.sum())}
    for name, context in ((BASE, plain), (ADAPTED, adapted), (CEILING, frozen.states([s.keywords for s in scenes]))):
        drawn[name] = frozen.draw(context, seeds, guidance=guidance)
        scores[name] = frozen.score(drawn[name], scenes)
        tell({name: row_with_intervals(scores[name])})
        if single.any():
            tell({f"{name}, one kind": row(scores[name][single])})
    if len(cases) > 1:
        real, looks = frozen.features(renders), {name: frozen.look(of) for name, of in drawn.items()}
        for name, of in looks.items():
            found = quality(real, of, None if name == CEILING else looks[CEILING])
            figures[name] |= found
            print("quality", name, found, flush=True)
    tell(compared(*(scores[name] for name in (BASE, ADAPTED, CEILING))))
    figures["minutes"] = round((time.time() - began) / 60, 1)
    if sheet:
        contact_sheet(list(drawn.values()), sheet)
        for text in texts[:8]:
            print("  ", text)
    if output:
        output.write_text(json.dumps(figures, indent=1) + "\n")
    return 0
