"""A look at pictures for nudity, by the same detectors that `safety.detector` in models.toml names."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from vignette.errors import ConfigError
from vignette.surd.stages import Row, Stage, Work, load_upright

if TYPE_CHECKING:
    from vignette.engine.safety import Detector

NUDENET = "nudenet"


def look_stage(detector: str, *, batch_size: int = 16) -> Stage:
    """
    Args:
        detector (`str`): `nudenet`, or `module:factory` for one of one's own, as vignette/engine/safety.py takes it.

    Raises:
        ConfigError: it is not installed, or does not load.
    """
    load_detector(detector)
    return Stage(f"look/1 {detector}", make_look, {"detector": detector}, batch_size)


def make_look(detector: str) -> Work:
    """`{path}` -> `{scores}`: what the picture shows of what it should not, label by label, from 0 to 1."""
    import numpy as np

    detect = load_detector(detector)

    def look(rows: list[Row]) -> list[Row]:
        found = [detect(np.asarray(load_upright(row["path"]))) for row in rows]
        return [{"scores": {label: round(float(score), 4) for label, score in scores.items()}} for scores in found]

    return look


def load_detector(name: str) -> Detector:
    """Loads a detector by its name. Raises ConfigError with the remedy."""
    from vignette.engine.safety import INSTALL, nudenet

    if name == NUDENET:
        try:
            return nudenet()
        except ConfigError:
            raise ConfigError(f"--nsfw-detector {NUDENET} is not installed; {INSTALL}.") from None
    module, _, factory = name.partition(":")
    try:
        detector: Detector = getattr(import_module(module), factory)()
    except Exception as error:  # whatever a detector of one's own raises
        raise ConfigError(
            f"--nsfw-detector {name} cannot be loaded ({type(error).__name__}: {error}); it must be {NUDENET} or "
            "module:factory."
        ) from None
    return detector
