"""`deterministic: true` promises the same bytes on the same machine, so in another process too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.processes import ROOT

DRAWS = """
import hashlib, sys
import torch
from pathlib import Path
from tests.drawing import draw, request
from vignette.engine.catalogue import AdapterSpec, ModelSpec
from vignette.engine.loader import load_model

model, adapter, company = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(2)
spec = ModelSpec(id="tiny", path=model, adapters=(AdapterSpec(id="sur", path=adapter),))
others = [request(str(k), seed=k) for k in range(company)]
wanted = request("wanted", deterministic=True, adapter="sur", negative_prompt="rain", num_images=2)
drawing = draw(load_model(spec, torch.device("cpu")), *others, wanted)
assert min(drawing.calls) == 1  # not among the others
drawn = drawing.pictures("wanted")
print(hashlib.sha256(b"".join(picture.tobytes() for picture in drawn)).hexdigest())
"""


def test_another_process_draws_the_same_bytes(model_folder: Path, adapter_folder: Path) -> None:
    def digest(company: int) -> str:
        command = [sys.executable, "-c", DRAWS, str(model_folder), str(adapter_folder), str(company)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()[-1]

    assert digest(0) == digest(3)
