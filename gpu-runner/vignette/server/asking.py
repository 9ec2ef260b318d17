"""What a request says about itself: which model it means, how long it waits, when it is over, how urgent it is."""

from __future__ import annotations

import re

from vignette.engine.loader import LoadedModel
from vignette.engine.request import DEFAULT_URGENCY
from vignette.errors import InvalidHeader, InvalidInput
from vignette.server.models import OWNER
from vignette.server.schema import PredictionBody

MAX_WAIT = 60
_DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?", re.ASCII)
_URGENCY = re.compile(r"(?:^|,)\s*u=([0-7])\s*(?:[,;]|$)")


def chosen_model(body: PredictionBody, models: dict[str, LoadedModel]) -> str | None:
    """
    The one model that a request names, in `model`, `version` or the input; None asks for the default.

    `version` may be a version's id, `owner/name` or `owner/name:id`, as Replicate's clients send it.

    Raises:
        InvalidInput: Two of the places name different models, or the version is not the one loaded.
    """
    names = {name.removeprefix(f"{OWNER}/") for name in (body.model, body.input.model) if name is not None}
    if body.version is not None:
        name, _, id = body.version.rpartition(":") if "/" in body.version and ":" in body.version else ("", "", "")
        if not name and "/" in body.version:
            name = body.version
        elif not name:
            id = body.version
            name = next((m for m, loaded in models.items() if loaded.version == id), "")
        name = name.removeprefix(f"{OWNER}/")
        if not name or (id and name in models and models[name].version != id):
            raise InvalidInput(
                "version", f"This runner has no version {body.version!r}; GET /v1/models lists what it has."
            )
        names.add(name)
    if len(names) > 1:
        raise InvalidInput("model", f"The request names different models: {sorted(names)}.")
    return next(iter(names), None)


def preferences(prefer: str | None) -> tuple[float, bool]:
    """Seconds to wait (0: not at all) and whether `respond-async` was asked for (RFC 7240)."""
    wait, asynchronous = 0.0, False
    for part in (prefer or "").split(","):
        name, _, value = part.strip().partition("=")
        if name.lower() == "respond-async":
            asynchronous = True
        elif name.lower() == "wait":
            wait = min(MAX_WAIT, max(1.0, float(value))) if value.isdigit() else MAX_WAIT
    return wait, asynchronous


def cancel_after(header: str | None) -> float | None:
    """
    Seconds of a `Cancel-After` header, `1h30m45s` or a number of seconds, as Replicate reads it.

    Raises:
        InvalidHeader: It is neither, or below the five seconds that Replicate asks for.
    """
    if header is None:
        return None
    text = header.strip().lower()
    parts = _DURATION.fullmatch(f"{text}s" if text.isdecimal() else text)
    hours, minutes, seconds = (int(part or 0) for part in parts.groups()) if parts else (0, 0, 0)
    total = 3600 * hours + 60 * minutes + seconds
    if total < 5:
        raise InvalidHeader("Cancel-After", "The header must be at least 5s, written like 90s, 5m or 1h30m.")
    return float(total)


def urgency(header: str | None) -> int:
    """`u` of a `Priority` header (RFC 9218), 0 for the most urgent to 7; what cannot be read is ignored, as section 4 asks."""
    found = _URGENCY.search(header or "")
    return int(found[1]) if found else DEFAULT_URGENCY
