"""What `vignette serve` needs to know, read once at start and named in a sentence when it is wrong."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vignette.errors import ConfigError

MIN_TOKEN_CHARS = 16
SECRET_BYTES = (24, 64)  # Standard Webhooks, section "Secret"


@dataclass(frozen=True)
class Settings:
    """
    `webhook_secret` is `whsec_` + base64; `state` is the folder of what outlives the process; `public_url` is how clients
    reach this runner, if not as they address it; `longest` and `stuck_seconds` bound a prediction and a single step.
    """

    host: str
    port: int
    models: Path
    device: str
    state: Path
    token: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    max_queue: int = 128
    drain_seconds: float = 25.0
    longest: float = 3600.0
    stuck_seconds: float = 300.0
    public_url: str | None = None


def read_secrets(env: Mapping[str, str]) -> tuple[str, str]:
    """RUNNER_TOKEN and RUNNER_WEBHOOK_SECRET. Raises ConfigError naming the one that is missing or malformed."""
    token = env.get("RUNNER_TOKEN", "")
    if len(token) < MIN_TOKEN_CHARS or not token.isascii() or any(c.isspace() for c in token):
        what = "is missing" if not token else "is malformed"
        raise ConfigError(
            f"RUNNER_TOKEN {what}: set it to at least {MIN_TOKEN_CHARS} ASCII characters without spaces;"
            " clients send it as a bearer token."
        )
    secret = env.get("RUNNER_WEBHOOK_SECRET", "")
    if not secret:
        raise ConfigError("RUNNER_WEBHOOK_SECRET is missing: set it to whsec_ followed by 24 to 64 bytes in base64.")
    try:
        secret_key(secret)
    except ValueError:
        raise ConfigError(
            "RUNNER_WEBHOOK_SECRET is malformed: it must be whsec_ followed by 24 to 64 bytes in standard base64."
        ) from None
    return token, secret


def secret_key(secret: str) -> bytes:
    """The bytes of a `whsec_` secret. Raises ValueError."""
    prefix, _, encoded = secret.partition("_")
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if prefix != "whsec" or not SECRET_BYTES[0] <= len(key) <= SECRET_BYTES[1]:
        raise ValueError("wrong prefix or length")
    return key
