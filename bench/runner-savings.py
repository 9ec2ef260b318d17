"""What ending the guidance early saves and costs: processor time, distance from the whole picture, and the judge's marks.

    PYTHONPATH=gpu-runner gpu-runner/.venv/bin/python bench/runner-savings.py [--cases 48] [--clock processor]

The bundled miniature alone: only its pictures have a judge. Each case's keyword prompt and seed is the same in every row.
`psnr_db` compares with `until` 1; `marks` is the mean of the judge's five attributes.
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

UNTIL = (1.0, 0.8, 0.6, 0.4, 0.2)


@torch.inference_mode()
def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--cases", type=int, default=48)
    options = parser.parse_args()
    model, now = chosen_model(options), CLOCKS[options.clock]
    cases, judge = miniature_cases(options.cases), MiniatureJudge(JUDGE)
    rows: list[dict] = []
    whole: list[np.ndarray] = []
    for until in UNTIL:
        drawn: dict[str, np.ndarray] = {}

        def keep(id: str, event: Event, drawn: dict[str, np.ndarray] = drawn) -> None:
            if isinstance(event, Finished):
                drawn[id] = event.pictures[0]

        core = EngineCore({model.spec.id: model}, keep)
        began = now()
        for k, case in enumerate(cases):
            change = {"prompt": case.keywords, "seed": seed_of(case, 0), "guidance_until": until}
            core.submit(request(model, k, options.steps, **change))
        while not core.idle:
            core.tick()
        seconds = (now() - began) / len(cases)
        pictures = [drawn[str(k)] for k in range(len(cases))]
        whole = whole or pictures
        errors = [np.mean((a.astype(float) - b.astype(float)) ** 2) for a, b in zip(pictures, whole, strict=True)]
        readings = judge.measure([Image.fromarray(picture) for picture in pictures], cases)
        marks = [np.mean([r.values[f"miniature/{a}"] for a in ATTRIBUTES]) for r in readings]
        psnr = np.mean([10 * np.log10(255**2 / max(error, 1e-9)) for error in errors])
        rows.append(
            {
                "until": until,
                "seconds": round(seconds, 3),
                "share_of_time": round(seconds / (rows[0]["seconds"] if rows else seconds), 3),
                "psnr_db": round(float(psnr), 1) if until < 1 else "",
                "marks": round(float(np.mean(marks)), 4),
                "pictures": len(cases),
                "clock": options.clock,
                "what": "judge's marks",
            }
        )
    plot(save("savings", rows, model), "until", "marks", rows, "what")


if __name__ == "__main__":
    main()
