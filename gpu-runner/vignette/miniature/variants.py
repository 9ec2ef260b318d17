"""The study of variants: ways of getting from a narrative to the picture, trained on the same triples for the same steps.

No way is trained through a denoiser, so what the first style's text encoder has taught serves every style that shares it.

Each variant is a run of `vignette adapter train` on the miniature; all draw the same held-out narratives with the same
seeds, and the judge says what is right. The work folder keeps triples, caches and checkpoints, so a run that was cut off
goes on.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vignette.errors import ConfigError
from vignette.evaluation.statistics import paired_gain
from vignette.sur.adapter import SURAdapter
from vignette.training.options import PUBLISHED, Options
from vignette.training.run import train
from vignette.training.stopping import Stopped

from . import triples
from .figures import about, compared, contact_sheet, row_with_intervals, weights_of
from .frozen import Frozen
from .held_out import SEED, held_out_set
from .judge_net import ATTRIBUTES
from .kept import kept
from .quality import Look, brisque, quality
from .render import render
from .rewrite import Rewriter
from .rows import ADAPTER, BASE, BUNDLED, CEILING, PUBLISHED_RECIPE, RENDERS, REWRITING
from .sample import STEPS
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
        published |= {"teacher": str(plan.teacher)}
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
        self.frozen = Frozen(weights, plan.style, work)
        world = self.frozen.world
        cases = held_out_set(plan.prompts, "second", world)
        self.scenes, self.texts, self.seeds = ([case[i] for case in cases] for i in range(3))
        self.plain = self.frozen.states(self.texts)
        rng = random.Random(SEED + 2)
        renders = [render(sample_scene(rng, world=world), 20_000_000 + i, world, plan.style) for i in range(REAL)]
        self.real = self.frozen.instrument.features(renders)
        self.drawn: dict[str, np.ndarray] = {}
        self.looks: dict[str, Look] = {}
        self.scores: dict[str, np.ndarray] = {}
        coarse = brisque(np.stack([np.asarray(render) for render in renders[: plan.prompts]]))
        self.figures: dict[str, Any] = {} if coarse is None else {RENDERS: {"brisque": float(coarse.mean())}}

    def draw(self, name: str, context: torch.Tensor) -> None:
        """Draw the held-out scenes from `context`, and keep the figures of `name`; the ceiling comes first."""
        self.stopped()
        pictures = self.frozen.draw(context, self.seeds, self.plan.drawing_steps)
        self.drawn[name], self.looks[name] = pictures, self.frozen.look(pictures)
        self.scores[name] = self.frozen.score(pictures, self.scenes)
        found = quality(self.real, self.looks[name], None if name == CEILING else self.looks[CEILING])
        self.figures[name] = row_with_intervals(self.scores[name]) | found
        print(name, self.figures[name], flush=True)

    def rewritten(self, teacher: Path) -> list[str]:
        """The held-out narratives as the language model `teacher` rewrites them; kept in the work folder, for every style."""

        def make() -> np.ndarray:
            rewriter = Rewriter(teacher, self.frozen.world)
            return np.array([rewriter.rewrite(text) for text in self.texts if not self.stopped()])

        settings = (str(teacher.resolve()), self.frozen.world.name)
        return [str(text) for text in kept(self.work / "rewritten", np.array(self.texts), settings, make)]

    def stopped(self) -> bool:
        """False; `Stopped` is raised where a stop was asked for."""
        if self.stop():
            raise Stopped
        return False

    def compare(self, name: str, *others: str) -> None:
        """Say how far `name` gets from base/narrative to base/keyword, and what it gains over `others` on the mean."""
        base, own, ceiling = (self.scores[n] for n in (BASE, name, CEILING))
        over = {other: paired_gain(own.mean(1), self.scores[other].mean(1)) for other in others if other != name}
        gains = {other: (gain.low, gain.high) for other, gain in over.items()}
        self.figures[name] |= compared(base, own, ceiling) | {"over": gains}

    def missed(self, index: int) -> dict[str, Any]:
        """What narrative `index` and its keyword prompt say, and what is not drawn so through the bundled adapter and from the prompt."""
        lost = {
            name: ", ".join(a for a, mark in zip(ATTRIBUTES, self.scores[name][index], strict=True) if mark < 1)
            for name in (BUNDLED, CEILING)
        }
        return {"narrative": self.texts[index], "keywords": self.scenes[index].keywords} | lost

    def adapted(self, folder: Path, scale: float = 1.0) -> torch.Tensor:
        """The narratives' states after the adapter in `folder`."""
        with torch.no_grad():
            return SURAdapter.load(folder).float()(self.plain, scale=scale)

    def train(self, name: str, extra: dict[str, Any], share: float = 1.0) -> Path:
        """Train one variant on the first `share` of the triples, unless it has been, and answer its folder."""
        data = self.work / f"triples-{share:g}"
        if not (data / "metadata.jsonl").exists():
            triples.write(data, max(2, round(self.plan.scenes * share)), world=self.frozen.world)
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
    JSON, and `sheet`, a gallery of the narratives that the bundled adapter serves worst (rows: base, adapter, keyword).

    Raises:
        Stopped: `stop` said so; the same plan and folder go on from there.
    """
    began = time.time()
    asked = recipes(plan)
    study = Study(weights, work, plan, stop)
    study.draw(CEILING, study.frozen.states([s.keywords for s in study.scenes]))
    study.draw(BASE, study.plain)
    ways = []
    if plan.teacher:
        study.draw(REWRITING, study.frozen.states(study.rewritten(plan.teacher)))
        ways.append(REWRITING)
    folders = {}
    for name, extra in asked.items():
        folders[name] = study.train(name, extra)
        study.draw(name, study.adapted(folders[name]))
        ways.append(name)
    bundled = weights / "adapters" / "sur"
    study.draw(BUNDLED, study.adapted(bundled))
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
        worst = np.argsort(study.scores[BUNDLED].mean(1), kind="stable")[:8]
        contact_sheet([study.drawn[n][worst] for n in (BASE, BUNDLED, CEILING)], sheet)
        study.figures["failures"] = [study.missed(i) for i in worst]
    settings = {k: v.name if isinstance(v, Path) else v for k, v in asdict(plan).items()}
    minutes = round((time.time() - began) / 60, 1)
    made_by = {"weights": study.frozen.identity, "adapter": weights_of(bundled)}
    whole = {**about(), **settings, "minutes": minutes, **made_by, **study.figures}
    output.write_text(json.dumps(whole, indent=1) + "\n")
