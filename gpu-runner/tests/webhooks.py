"""What a receiver of signed callbacks knows."""

from __future__ import annotations

import base64
import hashlib
import hmac

import httpx

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
URL = "https://edge.example/internal/runner/gen_1"


def verify(headers: httpx.Headers, body: bytes) -> None:
    """As the specification's receivers do it."""
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, content, hashlib.sha256).digest()).decode()
    assert f"v1,{expected}" in headers["webhook-signature"].split(" ")
