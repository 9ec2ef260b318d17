"""The client keeps its pace, honours Retry-After, checks certificates and asks only hosts that were named."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from tests.surd import builder, namer, picture
from vignette.errors import ConfigError
from vignette.surd.clean import Thresholds
from vignette.surd.http import Client, HostNotNamed, Refused, Unreachable, retry_after
from vignette.surd.report import Report
from vignette.surd.sources.civitai import LivePages


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds


Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler, time: Time, *, per_second: float = 2.0, token: str | None = None) -> Client:
    transport = httpx.MockTransport(handler)
    return Client(
        ["example.com"],
        per_second=per_second,
        token=token,
        attempts=4,
        clock=time.clock,
        sleep=time.sleep,
        transport=transport,
    )


def test_requests_keep_their_pace() -> None:
    time = Time()
    polite = client(lambda request: httpx.Response(200, content=b"x"), time)
    for _ in range(3):
        polite.get("https://example.com/a", max_bytes=10)
    assert time.slept == [0.5, 0.5]


def test_retry_after_holds_everybody() -> None:
    time, answers = Time(), [httpx.Response(429, headers={"Retry-After": "30"}), httpx.Response(200, content=b"x")]
    assert client(lambda request: answers.pop(0), time).get("https://example.com/a", max_bytes=10) == b"x"
    assert time.slept == [30.0]


def test_without_retry_after_pauses_grow_until_it_gives_up() -> None:
    time = Time()
    with pytest.raises(Unreachable, match="no answer in 4 attempts.*HTTP 503"):
        client(lambda request: httpx.Response(503), time).get("https://example.com/a", max_bytes=10)
    assert len(time.slept) == 3
    for attempt, slept in enumerate(time.slept):
        assert 0.5 * 2**attempt <= slept <= 2**attempt


def test_retry_after_is_a_number_or_a_date() -> None:
    def now() -> float:
        return 1_445_412_470.0

    assert retry_after("12", 1.0) == 12.0
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT", 1.0, now) == 10.0
    assert retry_after("Wed, 21 Oct 2015 07:20:00 GMT", 1.0, now) == 0.0
    assert retry_after("99999", 1.0) == 99999.0
    assert retry_after("soon", 1.0) == 1.0
    assert retry_after(None, 2.0) == 2.0


def test_who_asks_for_more_than_a_quarter_of_an_hour_is_left_alone() -> None:
    time, asked = Time(), []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(429, headers={"Retry-After": "7200"}) if len(asked) == 1 else httpx.Response(200)

    polite = client(handler, time)
    for _ in range(2):
        with pytest.raises(Unreachable, match=r"^example\.com asks not to be asked for 120 minutes"):
            polite.get("https://example.com/a", max_bytes=10)
    polite.get("https://cdn.example.com/a", max_bytes=10)
    assert asked == ["example.com", "cdn.example.com"]
    assert sum(time.slept) < 1
    time.now += 7200
    polite.get("https://example.com/a", max_bytes=10)


def test_redirects_wait_for_their_turn_too() -> None:
    time = Time()

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/2":
            return httpx.Response(200, content=b"x")
        return httpx.Response(302, headers={"Location": f"/{int(request.url.path[1:]) + 1}"})

    assert client(handler, time).get("https://example.com/0", max_bytes=10) == b"x"
    assert time.slept == [0.5, 0.5]


@pytest.mark.parametrize("url", ["https://example.com:abc/", "https://example.com/\x07"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="is no address that can be asked"):
        client(lambda request: httpx.Response(200), Time()).get(url, max_bytes=10)


def test_a_refusal_is_not_repeated() -> None:
    asked = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(404)

    with pytest.raises(Refused, match=r"example\.com answered 404"):
        client(handler, Time()).get("https://example.com/a", max_bytes=10)
    assert len(asked) == 1


def test_only_named_hosts_are_asked_over_tls_redirects_included() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        assert request.url.host == "cdn.example.com"
        assert request.headers["authorization"] == "Bearer secret"
        return httpx.Response(302, headers={"Location": request.url.params.get("to", "/")})

    polite = client(handler, Time(), token="secret")
    for target in ("https://evil.com/", "https://notexample.com/", "http://169.254.169.254/"):
        with pytest.raises(HostNotNamed, match="--image-host"):
            polite.get("https://cdn.example.com/", {"to": target}, max_bytes=10)
    with pytest.raises(Refused, match="without TLS"):
        polite.get("https://cdn.example.com/", {"to": "http://cdn.example.com/"}, max_bytes=10)
    with pytest.raises(Refused, match="redirected more than"):
        polite.get("https://cdn.example.com/", {"to": "/?to=/"}, max_bytes=10)


def test_a_body_has_a_limit() -> None:
    with pytest.raises(Refused, match="more than"):
        client(lambda request: httpx.Response(200, content=b"x" * 11), Time()).get("https://example.com/", max_bytes=10)


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("makes its certificate with openssl, which is not installed")
    pem = tmp_path / "self-signed.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subprocess.run(
        [*command, "-subj", "/CN=localhost", "-keyout", pem, "-out", tmp_path / "cert.pem"],
        check=True,
        capture_output=True,
    )
    asked = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

    server = HTTPServer(("127.0.0.1", 0), Server)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    time = Time()
    try:
        polite = Client(["localhost"], per_second=10, attempts=2, clock=time.clock, sleep=time.sleep)
        with pytest.raises(Unreachable, match="certificate cannot be verified"):
            polite.get(f"https://localhost:{server.server_port}/", max_bytes=10)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert asked == []


class Civitai:
    """The images endpoint: refuses what the real one refuses, hands out cursors, and counts."""

    def __init__(self, pages: int) -> None:
        self.pages = pages
        self.asked: list[str] = []
        self.failing: list[httpx.Response] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.url.host == "civitai.com"
        assert request.url.path == "/api/v1/images"
        query = dict(request.url.params)
        if unknown := query.keys() - {"limit", "withMeta", "nsfw", "cursor", "sort", "username"}:
            return httpx.Response(400, json={"error": f"unknown {unknown}"})
        if not 1 <= int(query["limit"]) <= 200 or query["nsfw"] not in ("None", "Soft", "Mature", "X"):
            return httpx.Response(400, json={"error": "limit or nsfw"})
        if self.failing:
            return self.failing.pop(0)
        cursor = query.get("cursor", "c0")
        self.asked.append(cursor)
        number = int(cursor.removeprefix("c"))
        meta = {"prompt": f"{number}cat"} if query.get("withMeta") == "true" else None
        item = {"id": number + 1, "url": f"https://image.civitai.com/t/u{number}/x.png", "meta": meta}
        following = {"nextCursor": f"c{number + 1}"} if number + 1 < self.pages else {}
        return httpx.Response(200, json={"items": [item], "metadata": following})


def live(service: Civitai, pages: int, time: Time | None = None) -> LivePages:
    time = time or Time()
    transport = httpx.MockTransport(service)
    polite = Client(["civitai.com"], per_second=1, attempts=2, clock=time.clock, sleep=time.sleep, transport=transport)
    return LivePages(polite, pages=pages, nsfw="none", filters={"sort": "Newest"})


def test_live_pages_follow_cursors_to_the_end_and_no_further() -> None:
    service = Civitai(3)
    pages = list(live(service, 10).read(None))
    assert [page.candidates[0].prompt for page in pages] == ["0cat", "1cat", "2cat"]
    assert list(live(service, 10).read(pages[-1].cursor)) == []
    assert service.asked == ["c0", "c1", "c2"]


def test_live_pages_stop_at_their_number_and_go_on_when_more_are_asked() -> None:
    service = Civitai(9)
    [*_, last] = live(service, 2).read(None)
    assert list(live(service, 2).read(last.cursor)) == []
    assert live(service, 2).name == live(service, 4).name
    more = list(live(service, 4).read(last.cursor))
    assert [page.candidates[0].key for page in more] == ["civitai:3", "civitai:4"]
    assert service.asked == ["c0", "c1", "c2", "c3"]


def test_live_pages_wait_when_told_to() -> None:
    service, time = Civitai(1), Time()
    service.failing = [httpx.Response(429, headers={"Retry-After": "60"})]
    assert len(list(live(service, 1, time).read(None))) == 1
    assert time.slept == [60.0]


@pytest.mark.parametrize("metadata", [None, [], "x", {"nextCursor": None}])
def test_a_list_without_a_next_page_ends(metadata: object) -> None:
    service = Civitai(1)
    service.failing = [httpx.Response(200, json={"items": [], "metadata": metadata})]
    assert len(list(live(service, 3).read(None))) == 1


def test_a_cursor_that_civitai_has_forgotten_does_not_end_the_build(tmp_path: Path) -> None:
    service = Civitai(9)

    def build(pages: int) -> Report:
        pictures = httpx.MockTransport(lambda request: httpx.Response(200, content=picture(len(request.url.path))))
        polite = Client(["civitai.com"], per_second=1000, sleep=lambda seconds: None, transport=pictures)
        limits = Thresholds(min_side=16, language="any", drop_unrated=False, near_duplicates=None)
        caption = namer(tmp_path / "log")
        source = live(service, pages)
        return builder(tmp_path / "surd", source, client=polite, thresholds=limits, caption=caption).run()

    service.failing = [httpx.Response(400)]
    with pytest.raises(ConfigError, match="answered 400"):
        build(1)
    assert build(1).warnings == []
    for _ in range(2):
        service.failing = [httpx.Response(400)]
        report = build(3)
        assert report.kept.total() == 1
        [warning] = report.warnings
        assert "answered 400" in warning
        assert "--civitai-filter" in warning
        assert "answered 400" in (tmp_path / "surd/report.md").read_text()
    assert service.asked == ["c0"]
    for status in (401, 403):
        service.failing = [httpx.Response(status)]
        with pytest.raises(ConfigError, match=rf"answered {status}\. Set CIVITAI_API_KEY\. What was read is kept"):
            build(3)
    service.failing = [httpx.Response(503)] * 2
    with pytest.raises(ConfigError, match=r"HTTP 503.*run the same command to go on"):
        build(3)
    report = build(2)
    assert (report.read.total(), report.warnings) == (2, [])
    assert service.asked == ["c0", "c1"]


def test_a_browser_check_instead_of_json_is_explained() -> None:
    service = Civitai(1)
    service.failing = [httpx.Response(200, text="<!doctype html>")]
    with pytest.raises(ConfigError, match="--from-civitai"):
        list(live(service, 1).read(None))


def test_the_cursor_is_plain_json() -> None:
    [page] = live(Civitai(1), 1).read(None)
    assert json.loads(page.cursor) == {"pages": 1, "next": None}
