"""Codes in URLs that stand for the bearer token: Replicate's clients send none where they only read."""

from __future__ import annotations

import hashlib
import hmac


class UrlCodes:
    """Each opens one thing for reading. HMAC-SHA256 under the runner's token, cut to 128 bits."""

    def __init__(self, token: str) -> None:
        self._key = token.encode()

    def stream(self, id: str) -> str:
        """What opens a prediction's event stream."""
        return self._code("stream", id)

    def file(self, id: str, name: str, created_at: float) -> str:
        """
        What opens an output of the prediction that was accepted then, seconds since 1970: it is over when that is
        forgotten, and opens nothing of a later one of the same id.
        """
        return self._code("file", id, name, repr(created_at))

    def _code(self, *what: str) -> str:
        return hmac.new(self._key, " ".join(what).encode(), hashlib.sha256).hexdigest()[:32]


def same(expected: str, given: str) -> bool:
    """Compares in constant time."""
    return hmac.compare_digest(expected.encode(), given.encode())
