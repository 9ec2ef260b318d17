"""What guidance that ends early and cached layers save and cost: time, distance from the whole picture, the judge's marks.

    PYTHONPATH=gpu-runner gpu-runner/.venv/bin/python bench/runner-savings.py [--cases 48] [--clock processor]

The bundled miniature alone: only its pictures have a judge. Each case's keyword prompt and seed is the same in every row.
`psnr_db` compares with the whole picture; `marks` is the mean of the judge's five attributes.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from runner_common import CLOCKS, arguments, chosen_model, plot, request, save
from vignette.engine.core import EngineCore
from vignette.engine.events import Event, Finished
from vignette.evaluation.cases import miniature_cases
from vignette.evaluation.cli import JUDGE
from vignette.evaluation.drawing import seed_of
from vignette.evaluation.instruments.miniature import ATTRIBUTES, MiniatureJudge
from vignette.miniature.fidelity import psnr

UNTIL = (0.8, 0.6, 0.4, 0.2)
INTERVALS = (2, 3, 5)
# Name, and what the request says.
SAVINGS: tuple[tuple[str, dict], ...] = (
    ("none", {}),
    *((f"guidance_until {share}", {"guidance_until": share}) for share in UNTIL),
    *((f"cache_interval {n}", {"cache_interval": n}) for n in INTERVALS),
)
# Cases in company.
TOGETHER = 16


@torch.inference_mode()
def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--cases", type=int, default=48)
    options = parser.parse_args()
    model, now, judge = chosen_model(options), CLOCKS[options.clock], MiniatureJudge(JUDGE)
    cases = miniature_cases(options.cases, judge.judge.world)
    seconds = dict.fromkeys((name for name, _ in SAVINGS), 0.0)
    drawn: dict[str, dict[int, np.ndarray]] = {name: {} for name, _ in SAVINGS}
    for start in range(0, len(cases), TOGETHER):  # in turns, so that what else the machine does slows all of them
        for saving, asked in SAVINGS:

            def keep(id: str, event: Event, pictures: dict[int, np.ndarray] = drawn[saving]) -> None:
                if isinstance(event, Finished):
                    pictures[int(id)] = event.pictures[0]

            core = EngineCore({model.spec.id: model}, keep)
            began = now()
            for k, case in enumerate(cases[start : start + TOGETHER], start):
                core.submit(request(model, k, options.steps, prompt=case.keywords, seed=seed_of(case, 0), **asked))
            while not core.idle:
                core.tick()
            seconds[saving] += now() - began
    rows = []
    for saving, asked in SAVINGS:
        pictures, whole = ([drawn[name][k] for k in range(len(cases))] for name in (saving, "none"))
        readings = judge.measure([Image.fromarray(picture) for picture in pictures], cases)
        marks = [np.mean([r.values[f"miniature/{a}"] for a in ATTRIBUTES]) for r in readings]
        rows.append(
            {
                "saving": saving,
                "seconds": round(seconds[saving] / len(cases), 3),
                "share_of_time": round(seconds[saving] / seconds["none"], 3),
                "psnr_db": round(psnr(np.stack(pictures), np.stack(whole)), 1) if asked else "",
                "marks": round(float(np.mean(marks)), 4),
                "pictures": len(cases),
                "clock": options.clock,
            }
        )
    plot(save("savings", rows, model), "share_of_time", "marks", rows, "saving")


if __name__ == "__main__":
    main()
