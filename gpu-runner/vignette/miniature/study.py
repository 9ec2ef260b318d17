"""The study of the bundled weights: the judge on renders and reconstructions, the model on keywords, the adapter on held-out narratives."""

from __future__ import annotations

import json
import platform
import random
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from torch import nn

from vignette.errors import ConfigError
from vignette.evaluation.cases import read_cases, scene_of
from vignette.evaluation.instruments.miniature import MiniatureJudge
from vignette.evaluation.kid import kid, kid_gain
from vignette.evaluation.statistics import mean_interval, paired_gain, share_closed
from vignette.sur.adapter import SURAdapter

from .fidelity import edges, psnr
from .judge_net import ATTRIBUTES, Judge, marks
from .language import Words, tell
from .render import render
from .sample import GUIDANCE, STEPS, sample
from .states import nearest_is_right, state_errors
from .text import hidden_states
from .vae import to_tensor
from .world import FIRST, Scene, World, sample_scene

SEED = 20_261_123
# Scenes on which the judge is judged.
FRESH = 1000


def held_out_set(
    count: int, language: str = "first", world: World = FIRST, vocabulary: Words = "rare"
) -> list[tuple[Scene, str, int]]:
    """`count` scenes of combinations never trained on, each with a narrative of a shape never trained on and a seed."""
    rng = random.Random(SEED)
    scenes = [sample_scene(rng, held_out=True, world=world) for _ in range(count)]
    return [(scene, tell(language, scene, rng, True, vocabulary), 1000 + i) for i, scene in enumerate(scenes)]


def written_set(file: Path, count: int, world: World = FIRST) -> list[tuple[Scene, str, int]]:
    """
    The first `count` cases of a JSONL file as `vignette evaluate --set` reads it, in the form of `held_out_set`.

    Raises:
        ConfigError: No such file, a line that is no case, or one whose scene is none of `world`.
    """
    cases = [(scene_of(case), case) for case in read_cases(file)[:count]]
    for scene, case in cases:
        known = all(group.thing in world.things for group in scene.groups) and scene.place in world.places
        if not known or scene.keywords != case.keywords:
            raise ConfigError(
                f"{file}: {case.id} is no scene of the {world.name} edition, whose keywords read"
                " '3cat, purple cat, sleeping, beach background'."
            )
    return [(scene, case.narrative, 1000 + i) for i, (scene, case) in enumerate(cases)]


def score(judge: Judge, images: np.ndarray, scenes: list[Scene]) -> np.ndarray:
    """Marks per picture, [N, 5], in the order of `ATTRIBUTES`."""
    return np.array([[marks(s, v)[a] for a in ATTRIBUTES] for s, v in zip(scenes, judge.read(images), strict=True)])


def row(values: np.ndarray) -> dict[str, float]:
    """Means of marks [N, 5] by attribute, and over all."""
    return {**{a: float(values[:, i].mean()) for i, a in enumerate(ATTRIBUTES)}, "mean": float(values.mean())}


def intervals(values: np.ndarray) -> dict[str, tuple[float, float]]:
    """95 % intervals of the means of marks [N, 5], by attribute."""
    found = {a: mean_interval(values[:, i]) for i, a in enumerate(ATTRIBUTES)}
    return {a: (interval.low, interval.high) for a, interval in found.items()}


def contact_sheet(rows: list[np.ndarray], path: Path, columns: int = 8) -> None:
    """Write the first `columns` pictures of every row, uint8 [N, 128, 128, 3], below each other."""
    sheet = Image.new("RGB", (columns * 132, len(rows) * 132), "white")
    for y, pictures in enumerate(rows):
        for x, picture in enumerate(pictures[:columns]):
            sheet.paste(Image.fromarray(picture), (x * 132 + 2, y * 132 + 2))
    sheet.save(path)


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
) -> int:
    """Measure and print everything; `output` gets the figures as JSON, `sheet` a contact sheet (base, adapter, keyword rows).

    The narratives are those of `held_out_set`, or, with `cases_from`, of `written_set`.
    """
    began = time.time()
    guidance = GUIDANCE if guidance is None else guidance
    pipe = StableDiffusionPipeline.from_pretrained(
        weights / style, local_files_only=True, use_safetensors=True, dtype=torch.float32
    )
    adapter = SURAdapter.load(weights / "adapters" / "sur").float()
    instrument = MiniatureJudge(weights / "judge")
    judge = instrument.judge
    cases = (
        written_set(cases_from, prompts, judge.world)
        if cases_from
        else held_out_set(prompts, language, judge.world, vocabulary)
    )
    told = {"sentences": cases_from.stem} if cases_from else {"language": language, "vocabulary": vocabulary}
    figures: dict = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads",
    }
    figures |= {
        "prompts": len(cases),
        "steps": STEPS,
        "guidance": guidance,
        "seed": SEED,
        "style": style,
        **told,
    }

    rng = random.Random(SEED + 1)
    fresh = [sample_scene(rng, held_out=i % 4 == 0, world=judge.world) for i in range(FRESH)]
    pictures = np.stack([np.asarray(render(s, 10_000_000 + i, judge.world, style)) for i, s in enumerate(fresh)])
    with torch.no_grad():
        decoded = [pipe.vae.decode(pipe.vae.encode(x).latent_dist.mean).sample for x in to_tensor(pictures).split(32)]
    again = torch.cat(decoded).clamp(-1, 1).add(1).mul(127.5).round().byte().permute(0, 2, 3, 1).numpy()
    figures["judge_on_renders"] = row(score(judge, pictures, fresh))
    figures["judge_on_reconstructions"] = row(score(judge, again, fresh))
    figures["reconstructions"] = {"psnr": psnr(pictures, again), "edges": edges(again) / edges(pictures)}
    print(
        "judge on renders",
        figures["judge_on_renders"],
        "\njudge on reconstructions",
        figures["judge_on_reconstructions"],
        "\nreconstructions' PSNR in dB, and their edges as a share of the renders'",
        figures["reconstructions"],
        flush=True,
    )

    scenes, texts, seeds = [c[0] for c in cases], [c[1] for c in cases], [c[2] for c in cases]
    plain = hidden_states(pipe.text_encoder, pipe.tokenizer, texts)
    with torch.no_grad():
        adapted = adapter(plain.float())
    keyword = hidden_states(pipe.text_encoder, pipe.tokenizer, [s.keywords for s in scenes])
    empty = hidden_states(pipe.text_encoder, pipe.tokenizer, [""])
    words, told_of = (pipe.text_encoder, pipe.tokenizer), list(zip(scenes, texts, strict=True))
    ways = {"narrative": nn.Identity(), "adapter": adapter}
    figures["states"] = {name: state_errors(way, *words, told_of) for name, way in ways.items()}
    figures["nearest"] = {name: nearest_is_right(way, *words, told_of, judge.world) for name, way in ways.items()}
    print(
        "states' error",
        figures["states"],
        "\nnearest keyword prompt is right, one kind",
        figures["nearest"],
        flush=True,
    )
    drawn: dict[str, np.ndarray] = {}
    scores: dict[str, np.ndarray] = {}
    features: dict[str, np.ndarray] = {}
    real = instrument.features([Image.fromarray(p) for p in pictures])
    for name, context in (("base/narrative", plain), ("adapter/narrative", adapted), ("base/keyword", keyword)):
        drawn[name] = sample(pipe.unet, pipe.vae, pipe.scheduler, context, empty, seeds, guidance=guidance)
        scores[name] = score(judge, drawn[name], scenes)
        features[name] = instrument.features([Image.fromarray(p) for p in drawn[name]])
        mean = mean_interval(scores[name].mean(1))
        figures[name] = {
            **row(scores[name]),
            "interval": (mean.low, mean.high),
            "intervals": intervals(scores[name]),
        }
        print(name, figures[name], flush=True)
        single = np.array([len(s.groups) == 1 for s in scenes])
        if single.any():
            figures[f"{name}, one kind"] = row(scores[name][single])
            print("  one kind only", figures[f"{name}, one kind"], flush=True)
    if len(cases) > 1:
        for name, of in features.items():
            worse = kid_gain(real, of, features["base/keyword"])
            figures[name] |= {"kid": kid(real, of).mean, "kid_over_keyword": (worse.low, worse.high)}
            print("KID to fresh renders", name, figures[name]["kid"], figures[name]["kid_over_keyword"], flush=True)
    base, adapted, ceiling = (scores[n] for n in ("base/narrative", "adapter/narrative", "base/keyword"))
    closed = share_closed(base.mean(1), adapted.mean(1), ceiling.mean(1))
    figures["closed"] = {**asdict(closed), "in_words": closed.in_words()}
    gains = {a: paired_gain(adapted[:, i], base[:, i]) for i, a in enumerate(ATTRIBUTES)}
    gains["mean"] = paired_gain(adapted.mean(1), base.mean(1))
    figures["gain"] = {name: (gain.low, gain.high) for name, gain in gains.items()}
    figures["minutes"] = round((time.time() - began) / 60, 1)
    print("distance closed:", closed.in_words(), "\ngain per attribute, 95 % interval", figures["gain"], flush=True)
    if sheet:
        contact_sheet(list(drawn.values()), sheet)
        for text in texts[:8]:
            print("  ", text)
    if output:
        output.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(Path("gpu-runner/miniature/weights"), 300, None, None, None))
