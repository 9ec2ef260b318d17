"""What a process that draws keeps from one start to the next, and how it is set up; for the server and behind Cog alike."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def state_folder(env: Mapping[str, str]) -> Path:
    """The runner's folder below VIGNETTE_STATE."""
    return Path(env.get("VIGNETTE_STATE") or ".vignette") / "runner"


def memory_profile(state: Path) -> Path:
    """The file of what each shape takes of a GPU's memory."""
    return state / "memory.json"


def set_up_process(state: Path) -> None:
    """Before anything is compiled or drawn. What TORCHINDUCTOR_CACHE_DIR or TRITON_CACHE_DIR name already stays."""
    # Compiling takes minutes, so what was compiled once is kept; both are read when something is first compiled.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(state / "compiled"))
    os.environ.setdefault("TRITON_CACHE_DIR", str(state / "triton"))
    # The device's thread needs the interpreter for microseconds between two operations; with Python's 5 ms
    # a busy event loop would hold up each of them.
    sys.setswitchinterval(0.0005)
