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
# Seconds. A server that wants more is left alone for this run, rather than waited for or asked too early.
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
        self._left_alone: dict[str, tuple[float, str]] = {}
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
        try:
            return self._get(httpx.URL(url, params=dict(params)) if params else httpx.URL(url), max_bytes)
        except (httpx.InvalidURL, ValueError) as error:
            raise Refused(f"{url[:200]!r} is no address that can be asked ({error})") from None

    def _get(self, url: httpx.URL, max_bytes: int) -> bytes:
        last = ""
        for attempt in range(self._attempts):
            try:
                asked, status, headers, body = self._request(url, max_bytes)
            except (httpx.TransportError, httpx.DecodingError) as error:
                last = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
                if "CERTIFICATE_VERIFY_FAILED" in last:
                    raise Unreachable(f"{url.host}'s TLS certificate cannot be verified ({last}).") from None
                self._hold(self._backoff(attempt))
                continue
            if status == 200:
                return body
            if status not in (408, 429) and status < 500:
                raise Refused(f"{url.host} answered {status}", status)
            last = f"HTTP {status}"
            seconds = retry_after(headers.get("retry-after"), self._backoff(attempt))
            if seconds > LONGEST_WAIT:
                raise Unreachable(self._leave_alone(asked, seconds))
            self._hold(seconds)
        raise Unreachable(f"{url.host} gave no answer in {self._attempts} attempts (last: {last}).")

    def _request(self, url: httpx.URL, limit: int) -> tuple[str, int, httpx.Headers, bytes]:
        """Who answered in the end, and what; every hop waits for its turn."""
        target = url
        for _ in range(REDIRECTS + 1):
            host = self._check(str(target))
            self._wait_for_turn()
            with self._http.stream("GET", target) as response:
                if response.is_redirect and "location" in response.headers:
                    target = target.join(response.headers["location"])
                    continue
                if response.status_code != 200:
                    return host, response.status_code, response.headers, b""
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > limit:
                        raise Refused(f"{target.host} sent more than {limit >> 20} MiB")
                return host, 200, response.headers, bytes(body)
        raise Refused(f"{url.host} redirected more than {REDIRECTS} times")

    def _check(self, url: str) -> str:
        """The host, if it may be asked now."""
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if not any(host == name or host.endswith(f".{name}") for name in self._hosts):
            raise HostNotNamed(f"{host or 'an address without a host'} may not be asked; allow it with --image-host")
        if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
            raise Refused(f"{host} was to be asked without TLS")
        until, why = self._left_alone.get(host, (0.0, ""))
        if self._clock() < until:
            raise Unreachable(why)
        return host

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

    def _leave_alone(self, host: str, seconds: float) -> str:
        """Nobody asks `host` again before `seconds` have passed, nor waits for it. Returns what to say of it."""
        why = f"{host} asks not to be asked for {seconds / 60:.0f} minutes; run the same command again after that."
        self._left_alone[host] = self._clock() + seconds, why
        return why

    def _backoff(self, attempt: int) -> float:
        return float(self._rng.uniform(0.5, 1.0) * 2.0**attempt)


def retry_after(value: str | None, otherwise: float, now: Callable[[], float] = time.time) -> float:
    """Seconds to wait by RFC 9110 section 10.2.3 (a number or a date)."""
    if value is None:
        return otherwise
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - now(), 0.0)
    except (TypeError, ValueError):
        return otherwise
