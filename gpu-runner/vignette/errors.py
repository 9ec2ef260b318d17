"""What can go wrong with a request or a model, in sentences that a user may read."""

from __future__ import annotations

# What a sentence has one type where a library is missing: into the environment that the launcher made.
PIP_INSTALL = "gpu-runner/.venv/bin/pip install"


class ConfigError(Exception):
    """A file, folder or environment variable is missing or malformed; the message names it and the remedy."""


class InvalidInput(Exception):
    """A request that can never succeed. `field` is the input's name, `message` a sentence naming the remedy."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


class InvalidHeader(InvalidInput):
    """The same of an HTTP header, whose name is `field`."""


class Unavailable(Exception):
    """Nothing is taken now; asking again after `retry_after` s may help. `reason` is a word for it, `busy` for one."""

    def __init__(self, message: str, retry_after: int, reason: str) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        self.reason = reason


class DrawingFailed(Exception):
    """One request failed while it was drawn. `code` is stable, `message` a sentence for its author."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
