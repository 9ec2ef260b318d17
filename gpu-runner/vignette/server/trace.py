"""W3C Trace Context (https://www.w3.org/TR/trace-context/): whose request this was, passed on to callbacks."""

from __future__ import annotations

import re
import secrets

# Version, trace, span, flags; only later versions than 00 may say more (section 3.2.4).
_IDS = r"(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
_TRACEPARENT = re.compile(rf"00-{_IDS}|(?!00|ff)[0-9a-f]{{2}}-{_IDS}(?:-[!-~]*)?")


def accepted(header: str | None) -> str | None:
    """The header if it is valid; section 3.2.2 asks to ignore any other."""
    return header if header is not None and _TRACEPARENT.fullmatch(header) else None


def trace_id(traceparent: str) -> str:
    """The 32 hexadecimal digits that all parts of a trace share."""
    return traceparent.split("-")[1]


def child_of(traceparent: str) -> str:
    """A span of our own in the same trace, with the same flags."""
    _, trace, _, flags = traceparent.split("-")[:4]
    return f"00-{trace}-{secrets.token_hex(8)}-{flags}"
