"""A polite HTTP client: TLS verified, a steady pace, `Retry-After` honoured, only hosts that were named."""

from __future__ import annotations

import email.utils
import random
import threading
import time
from collections.abc import Callable, Collection, Mapping
from urllib.parse import urlsplit

import httpx

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
REDIRECTS = 5
LONGEST_WAIT = 900.0


class Refused(Exception):
    """The server or the address will never give this: a 4xx, a host that was not named, too many bytes."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class HostNotNamed(Refused):
    """The address, or where it was redirected to, is on a host that nobody allowed."""


class Unreachable(Exception):
    """No usable answer after every attempt; the same request may succeed another day."""


class Client:
    """Shared by threads; all of them together keep the pace.

    Args:
        hosts (`Collection[str]`): names whose servers may be asked; a name covers its subdomains.
        per_second (`float`): most requests a second, repeats included.
        token (`str`, *optional*): bearer token, sent to `hosts` only.
        attempts (`int`, defaults to 6): tries of one request before `Unreachable`.
        clock, sleep, rng, transport: time, randomness and the network, for tests.
    """

    def __init__(
        self,
        hosts: Collection[str],
        *,
        per_second: float,
        token: str | None = None,
        attempts: int = 6,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._hosts = {host.lower() for host in hosts}
        self._interval = 1.0 / per_second
        self._attempts = attempts
        self._clock, self._sleep, self._rng = clock, sleep, rng or random.Random()
        self._lock = threading.Lock()
        self._next = 0.0
        headers = {"User-Agent": "vignette-surd"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._http = httpx.Client(
            headers=headers, timeout=httpx.Timeout(30.0, read=60.0), transport=transport, follow_redirects=False
        )

    def close(self) -> None:
        self._http.close()

    def get(self, url: str, params: Mapping[str, str] | None = None, *, max_bytes: int) -> bytes:
        """The body of a 200.

        Raises:
            Refused: for good, with a sentence that says why.
            Unreachable: for now.
        """
        last = ""
        for attempt in range(self._attempts):
            self._wait_for_turn()
            try:
                status, headers, body = self._request(url, params, max_bytes)
            except (httpx.TransportError, httpx.DecodingError) as error:
                last = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
                if "CERTIFICATE_VERIFY_FAILED" in last:
                    raise Unreachable(f"{_host(url)}'s TLS certificate cannot be verified ({last}).") from None
                self._hold(self._backoff(attempt))
                continue
            if status == 200:
                return body
            if status not in (408, 429) and status < 500:
                raise Refused(f"{_host(url)} answered {status}", status)
            last = f"HTTP {status}"
            self._hold(retry_after(headers.get("retry-after"), self._backoff(attempt)))
        raise Unreachable(f"{_host(url)} gave no answer in {self._attempts} attempts (last: {last}).")

    def _request(self, url: str, params: Mapping[str, str] | None, limit: int) -> tuple[int, httpx.Headers, bytes]:
        target = httpx.URL(url, params=dict(params)) if params else httpx.URL(url)
        for _ in range(REDIRECTS + 1):
            self._check(str(target))
            with self._http.stream("GET", target) as response:
                if response.is_redirect and "location" in response.headers:
                    target = target.join(response.headers["location"])
                    continue
                if response.status_code != 200:
                    return response.status_code, response.headers, b""
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > limit:
                        raise Refused(f"{target.host} sent more than {limit >> 20} MiB")
                return 200, response.headers, bytes(body)
        raise Refused(f"{_host(url)} redirected more than {REDIRECTS} times")

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if not any(host == name or host.endswith(f".{name}") for name in self._hosts):
            raise HostNotNamed(f"{host or 'an address without a host'} may not be asked; allow it with --image-host")
        if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
            raise Refused(f"{host} was to be asked without TLS")

    def _wait_for_turn(self) -> None:
        with self._lock:
            now = self._clock()
            start = max(now, self._next)
            self._next = start + self._interval
        if start > now:
            self._sleep(start - now)

    def _hold(self, seconds: float) -> None:
        """Nobody asks again before `seconds` have passed."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)

    def _backoff(self, attempt: int) -> float:
        return float(self._rng.uniform(0.5, 1.0) * 2.0**attempt)


def retry_after(value: str | None, otherwise: float, now: Callable[[], float] = time.time) -> float:
    """Seconds to wait by RFC 9110 section 10.2.3 (a number or a date), at most 15 minutes."""
    if value is None:
        return otherwise
    if value.strip().isdecimal():
        return min(float(value), LONGEST_WAIT)
    try:
        return min(max(email.utils.parsedate_to_datetime(value).timestamp() - now(), 0.0), LONGEST_WAIT)
    except (TypeError, ValueError):
        return otherwise


def _host(url: str) -> str:
    return urlsplit(url).hostname or url
