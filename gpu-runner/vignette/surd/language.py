"""Which language a text is in. py3langid carries its model with it; it works on a few words, less so on single ones."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from vignette.errors import PIP_INSTALL, ConfigError

# Below this many letters a verdict is a guess, and none is given.
SHORTEST = 12


@lru_cache(maxsize=1)
def _identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        raise ConfigError(
            f"The SURD builder needs py3langid: {PIP_INSTALL} -r gpu-runner/requirements-surd.txt."
        ) from None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def identify(text: str) -> tuple[str, float] | None:
    """`(ISO 639-1 code, probability)`, or `None` for a text too short to tell."""
    if sum(character.isalpha() for character in text) < SHORTEST:
        return None
    code, probability = _identifier().classify(text)
    return str(code), round(float(probability), 4)
