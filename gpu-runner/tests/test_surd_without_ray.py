"""Ray is an extra: whoever asks for it without it is told which file installs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.surd import write_folder

WITHOUT_RAY = """
import sys
sys.modules["ray"] = None
from vignette.cli import main
raise SystemExit(main(["surd", "build", sys.argv[1], "--from-folder", sys.argv[2], "--engine", "ray"]))
"""


def test_without_ray_the_remedy_is_named(tmp_path: Path) -> None:
    runner = Path(__file__).parents[1]
    command = [sys.executable, "-c", WITHOUT_RAY, str(tmp_path / "surd"), str(write_folder(tmp_path / "in", 1))]
    ended = subprocess.run(command, cwd=runner, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "requirements-surd-ray.txt" in ended.stderr
    assert "Traceback" not in ended.stderr
