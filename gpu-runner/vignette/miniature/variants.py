"""The study of variants: ways of getting from a narrative to the picture, trained on the same triples for the same steps.

No way is trained through a denoiser, so what the first style's text encoder has taught serves every style that shares it.

Each variant is a run of `vignette adapter train` on the miniature; all draw the same held-out narratives with the same
seeds, and the judge says what is right. The work folder keeps triples, caches and checkpoints, so a run that was cut off
goes on.
"""

from __future__ import annotations

import hashlib
import json
import platform
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from vignette.engine.catalogue import ModelSpec
from vignette.engine.loader import fingerprint
from vignette.errors import ConfigError
from vignette.evaluation.instruments.miniature import MiniatureJudge
from vignette.evaluation.kid import kid, kid_gain
from vignette.evaluation.statistics import mean_interval, paired_gain, share_closed
from vignette.sur.adapter import SURAdapter
from vignette.training.options import PUBLISHED, Options
from vignette.training.run import train
from vignette.training.stopping import Stopped

from . import triples
from .judge_net import ATTRIBUTES
from .render import render
from .rewrite import Rewriter
from .rows import ADAPTER, BASE, BUNDLED, CEILING, PUBLISHED_RECIPE, REWRITING
from .sample import GUIDANCE, STEPS, sample
from .study import SEED, contact_sheet, held_out_set, intervals, row, score
from .text import hidden_states
from .world import FIRST, sample_scene

SCALES = (0.25, 0.5, 0.75, 1.25, 1.5)
SHARES = (0.04, 0.2)
REAL = 1000
BATCH = 32


@dataclass(frozen=True)
class Plan:
    """
    How much: triples, steps of every training, held-out narratives; `teacher` a causal language model or None; `ways` the
    trained variants by name, all if empty; `sweeps` whether the adapter's scale and the number of triples vary too.
    """

    scenes: int = 4000
    steps: int = 800
    prompts: int = 150
    teacher: Path | None = None
    style: str = "day"
    drawing_steps: int = STEPS
    ways: tuple[str, ...] = ()
    sweeps: bool = True


def recipes(plan: Plan) -> dict[str, dict[str, Any]]:
    """
    Each trained variant's options beyond what all share.

    Raises:
        ConfigError: `plan.ways` names something else, or not the adapter without a teacher.
    """
    # Alignment alone, as the bundled adapter's: in so few steps the UNet's losses only cost time.
    own = {
        "num_layers": 3, "learning_rate": 1e-3, "muon_learning_rate": 0.02, "warmup_steps": plan.steps // 20,
        "align": "words", "denoise_weight": 0.0, "match_weight": 0.0,
    }  # fmt: skip
    published = PUBLISHED | {"batch_size": BATCH, "micro_batch_size": BATCH}
    if plan.teacher:
        published |= {"teacher": str(plan.teacher), "teacher_layer": "last"}
    else:
        published["distil_weight"] = 0.0
    found = {ADAPTER: own, PUBLISHED_RECIPE: published}
    if plan.teacher:
        taught = own | {"teacher": str(plan.teacher)}
        found["adapter/LLM-last-layer"] = taught | {"teacher_layer": "last"}
        found["adapter/LLM-layer-mean"] = taught | {"teacher_layer": "mean"}
    unknown = [name for name in plan.ways if name not in found]
    if unknown or (plan.ways and ADAPTER not in plan.ways):
        raise ConfigError(f"--ways must name {ADAPTER} and may name {', '.join(n for n in found if n != ADAPTER)}.")
    return {name: extra for name, extra in found.items() if not plan.ways or name in plan.ways}


class Study:
    """The frozen model, the judge and the held-out narratives, and what each variant has scored so far.

    `stop` is asked between drawings and after each step of a training; True ends it with `Stopped`.
    """

    def __init__(self, weights: Path, work: Path, plan: Plan, stop: Callable[[], bool] = lambda: False):
        self.work, self.plan, self.stop = work, plan, stop
        # What is trained asks for the text encoder and finds pictures beside the prompts: the first style's.
        self.teaches = weights / FIRST.styles[0]
        self.model = weights / plan.style
        self.identity = fingerprint(ModelSpec(id="miniature", path=self.model))
        self.pipe = StableDiffusionPipeline.from_pretrained(
            self.model, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
        self.instrument = MiniatureJudge(weights / "judge")
        self.world = self.instrument.judge.world
        cases = held_out_set(plan.prompts, "second", self.world)
        self.scenes, self.texts, self.seeds = ([case[i] for case in cases] for i in range(3))
        self.plain = self.states(self.texts)
        rng = random.Random(SEED + 2)
        real = [
            render(sample_scene(rng, world=self.world), 20_000_000 + i, self.world, plan.style) for i in range(REAL)
        ]
        self.real = self.instrument.features(real)
        self.drawn: dict[str, np.ndarray] = {}
        self.features: dict[str, np.ndarray] = {}
        self.scores: dict[str, np.ndarray] = {}
        self.figures: dict[str, Any] = {}

    def states(self, texts: list[str]) -> torch.Tensor:
        """The text encoder's last hidden states [N, 77, 256]."""
        return hidden_states(self.pipe.text_encoder, self.pipe.tokenizer, texts).float()

    def draw(self, name: str, context: torch.Tensor) -> None:
        """Draw the held-out scenes from `context`, and keep the figures of `name`; the ceiling comes first."""
        if self.stop():
            raise Stopped
        pictures = self.pictures(context)
        marks = score(self.instrument.judge, pictures, self.scenes)
        mean = mean_interval(marks.mean(1))
        self.features[name] = self.instrument.features([Image.fromarray(p) for p in pictures])
        self.drawn[name], self.scores[name] = pictures, marks
        self.figures[name] = {
            **row(marks),
            "interval": (mean.low, mean.high),
            "intervals": intervals(marks),
            "kid": kid(self.real, self.features[name]).mean,
        }
        if name != CEILING:
            worse = kid_gain(self.real, self.features[name], self.features[CEILING])
            self.figures[name]["kid_over_keyword"] = (worse.low, worse.high)
        print(name, self.figures[name], flush=True)

    def pictures(self, context: torch.Tensor) -> np.ndarray:
        """The held-out scenes drawn from `context`, uint8 [N, 128, 128, 3]; kept in the work folder by what they are drawn from."""
        told = context.numpy().tobytes() + str((self.identity, self.seeds, self.plan.drawing_steps)).encode()
        kept = self.work / "drawn" / f"{hashlib.sha256(told).hexdigest()[:16]}.npy"
        if not kept.exists():
            pictures = sample(
                self.pipe.unet, self.pipe.vae, self.pipe.scheduler, context, self.states([""]), self.seeds,
                self.plan.drawing_steps, GUIDANCE,
            )  # fmt: skip
            kept.parent.mkdir(parents=True, exist_ok=True)
            partial = kept.with_suffix(".part.npy")
            np.save(partial, pictures)
            partial.rename(kept)
        return np.load(kept)

    def compare(self, name: str, *others: str) -> None:
        """Say how far `name` gets from base/narrative to base/keyword, and what it gains over `others` on the mean."""
        base, own, ceiling = (self.scores[n] for n in (BASE, name, CEILING))
        closed = share_closed(base.mean(1), own.mean(1), ceiling.mean(1))
        gains = {a: paired_gain(own[:, i], base[:, i]) for i, a in enumerate(ATTRIBUTES)}
        gains["mean"] = paired_gain(own.mean(1), base.mean(1))
        over = {other: paired_gain(own.mean(1), self.scores[other].mean(1)) for other in others if other != name}
        self.figures[name] |= {
            "closed": {**asdict(closed), "in_words": closed.in_words()},
            "gain": {a: (g.low, g.high) for a, g in gains.items()},
            "over": {other: (g.low, g.high) for other, g in over.items()},
        }

    def adapted(self, folder: Path, scale: float = 1.0) -> torch.Tensor:
        """The narratives' states after the adapter in `folder`."""
        with torch.no_grad():
            return SURAdapter.load(folder).float()(self.plain, scale=scale)

    def train(self, name: str, extra: dict[str, Any], share: float = 1.0) -> Path:
        """Train one variant on the first `share` of the triples, unless it has been, and answer its folder."""
        data = self.work / f"triples-{share:g}"
        if not (data / "metadata.jsonl").exists():
            triples.write(data, max(2, round(self.plan.scenes * share)), world=self.world)
        output = self.work / f"{name.replace('/', '-')}-{share:g}"
        shared = {
            "model": self.teaches, "data": data, "output": output, "steps": self.plan.steps, "batch_size": BATCH,
            "micro_batch_size": BATCH, "sample_every": 0, "ema_decay": 0.99, "cache": self.work / "cache",
        }  # fmt: skip
        finished = train(Options(**(shared | extra)), interrupted=self.stop)
        if finished is None:
            raise Stopped
        return finished


def run(
    weights: Path,
    work: Path,
    plan: Plan,
    output: Path,
    sheet: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Train and measure every variant, a sweep of the adapter's scale and of the number of triples; write `output` as
    JSON, and `sheet`, a gallery of the narratives that the adapter serves worst (rows: base, adapter, keyword).

    Raises:
        Stopped: `stop` said so; the same plan and folder go on from there.
    """
    began = time.time()
    asked = recipes(plan)
    study = Study(weights, work, plan, stop)
    study.draw(CEILING, study.states([s.keywords for s in study.scenes]))
    study.draw(BASE, study.plain)
    ways = []
    if plan.teacher:
        rewriter = Rewriter(plan.teacher, study.world)
        study.draw(REWRITING, study.states([rewriter.rewrite(text) for text in study.texts]))
        ways.append(REWRITING)
    folders = {}
    for name, extra in asked.items():
        folders[name] = study.train(name, extra)
        study.draw(name, study.adapted(folders[name]))
        ways.append(name)
    study.draw(BUNDLED, study.adapted(weights / "adapters" / "sur"))
    ways.append(BUNDLED)
    for name in ways:
        study.compare(name, *(way for way in ways if way in (REWRITING, PUBLISHED_RECIPE)))
    if plan.sweeps:
        for scale in SCALES:
            study.draw(f"scale/{scale:g}", study.adapted(folders[ADAPTER], scale))
        for share in SHARES:
            folder = study.train(ADAPTER, asked[ADAPTER], share)
            study.draw(f"triples/{max(2, round(plan.scenes * share))}", study.adapted(folder))
    if sheet:
        worst = np.argsort(study.scores[ADAPTER].mean(1))[:8]
        contact_sheet([study.drawn[n][worst] for n in (BASE, ADAPTER, CEILING)], sheet)
        study.figures["failures"] = [study.texts[i] for i in worst]
    about = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads",
        **{k: v.name if isinstance(v, Path) else v for k, v in asdict(plan).items()},
        "minutes": round((time.time() - began) / 60, 1),
        "weights": study.identity,
    }
    output.write_text(json.dumps(about | study.figures, indent=1) + "\n")
