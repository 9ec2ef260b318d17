"""A look at finished pictures by a detector of what a model should not show, and what is done about it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from vignette.engine.catalogue import SafetySpec
from vignette.errors import ConfigError, DrawingFailed

# A picture `[H, W, 3]` uint8 to what it shows of what it should not, label by label, with scores in [0, 1].
Detector = Callable[[np.ndarray], dict[str, float]]
# NudeNet's labels that no policy would let pass; covered parts, faces and feet are no reason.
NUDENET_LABELS = frozenset(
    {
        "FEMALE_BREAST_EXPOSED",
        "FEMALE_GENITALIA_EXPOSED",
        "MALE_GENITALIA_EXPOSED",
        "BUTTOCKS_EXPOSED",
        "ANUS_EXPOSED",
    }
)
INSTALL = "install gpu-runner/requirements-safety.txt"


class SafetyCheck:
    """One model's detector and policy. Detectors are asked by one thread at a time."""

    def __init__(self, spec: SafetySpec, detector: Detector) -> None:
        self.policy = spec.policy
        self._threshold = spec.threshold
        self._detector = detector
        self._lock = threading.Lock()

    def look(self, picture: np.ndarray) -> str | None:
        """
        Why a picture is flagged, strongest first, as in `buttocks exposed (0.83)`; None where it is not.

        Raises:
            DrawingFailed: The detector broke; an unchecked picture is given to nobody.
        """
        try:
            with self._lock:
                scores = self._detector(picture)
        except Exception as error:
            raise DrawingFailed("unchecked", "The safety check could not look at the picture; ask again.") from error
        found = sorted((-score, label) for label, score in scores.items() if score >= self._threshold)
        return ", ".join(f"{label} ({-score:.2f})" for score, label in found) or None


def load_check(model_id: str, spec: SafetySpec | None) -> SafetyCheck | None:
    """
    Loads a model's detector: `nudenet`, or `module:factory`, whose factory takes nothing and returns a detector.

    Raises:
        ConfigError: There is none of that name, or it does not load.
    """
    if spec is None:
        return None
    module, _, factory = spec.detector.partition(":")
    try:
        detector = nudenet() if spec.detector == "nudenet" else getattr(import_module(module), factory)()
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"The model {model_id}: safety.detector {spec.detector!r} cannot be loaded: {type(error).__name__}: {error}."
        ) from None
    return SafetyCheck(spec, detector)


def nudenet() -> Detector:
    """NudeNet's detector (https://github.com/notAI-tech/NudeNet). Raises ConfigError where it is not installed."""
    try:
        from nudenet import NudeDetector
    except ImportError:
        raise ConfigError(f"safety.detector is nudenet, which is not installed; {INSTALL}.") from None
    network: Any = NudeDetector()

    def detect(picture: np.ndarray) -> dict[str, float]:
        scores: dict[str, float] = {}
        # As OpenCV reads files, which is how the library reads them: blue first.
        for found in network.detect(np.ascontiguousarray(picture[..., ::-1])):
            if found["class"] in NUDENET_LABELS:
                label = found["class"].replace("_", " ").lower()
                scores[label] = max(scores.get(label, 0.0), found["score"])
        return scores

    return detect
