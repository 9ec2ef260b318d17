"""OpenAI's and Standard Webhooks' Python libraries against a running edge; prints a line per check.

VIGNETTE_URL and VIGNETTE_API_KEY name the edge. Ends with an exception where something is not as the libraries expect.
"""

import base64
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.request import Request, urlopen

import openai
import standardwebhooks

URL, KEY = os.environ["VIGNETTE_URL"], os.environ["VIGNETTE_API_KEY"]
PNG = b"\x89PNG\r\n\x1a\n"


def client(key: str = KEY) -> openai.OpenAI:
    return openai.OpenAI(api_key=key, base_url=f"{URL}/v1", max_retries=0)


def ask(method: str, path: str, body: object = None) -> dict:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(f"{URL}{path}", data, headers, method=method)) as answer:
        return json.load(answer)


def pictures_by_url() -> None:
    answer = client().images.generate(prompt="two purple cats", n=2, size="auto", user="ada")
    urls = [image.url for image in answer.data]
    assert len(set(urls)) == 2, urls
    for url in urls:
        with urlopen(url) as image:
            assert image.read().startswith(PNG)


def pictures_as_base64() -> None:
    answer = client().images.generate(prompt="three owls", response_format="b64_json", output_format="png")
    assert base64.b64decode(answer.data[0].b64_json).startswith(PNG)


def a_stream() -> None:
    types = [event.type for event in client().images.generate(prompt="four foxes", stream=True)]
    assert types == ["image_generation.completed"], types


def raises(expected: type[openai.APIStatusError], call) -> None:
    try:
        call()
    except expected as error:
        assert error.request_id and error.code, error
    else:
        raise AssertionError(f"{expected.__name__} was not raised")


def its_own_exceptions() -> None:
    raises(openai.BadRequestError, lambda: client().images.generate(prompt="a cat", size="1x1"))
    raises(openai.BadRequestError, lambda: client().images.generate(prompt="a cat", model="dall-e-3"))
    raises(openai.BadRequestError, lambda: client().images.generate(prompt=""))
    raises(openai.AuthenticationError, lambda: client("vgt_wrong").images.generate(prompt="a cat"))
    limited = ask("POST", "/v1/keys", {"name": "limited", "scopes": ["generate"], "limits": {"images_per_day": 1}})[
        "key"
    ]
    client(limited).images.generate(prompt="one cat")
    raises(openai.RateLimitError, lambda: client(limited).images.generate(prompt="one cat too many"))
    reader = ask("POST", "/v1/keys", {"name": "reader", "scopes": ["read"]})["key"]
    raises(openai.PermissionDeniedError, lambda: client(reader).images.generate(prompt="a cat"))


def a_signed_webhook() -> None:
    got: list[tuple[bytes, dict[str, str]]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((body, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    receiver = {"url": f"http://127.0.0.1:{server.server_port}/told", "events": ["generation.succeeded"]}
    secret = ask("POST", "/v1/webhook-endpoints", receiver)["secret"]
    generation = ask("POST", "/v1/generations", {"prompt": "five frogs"})
    deadline = time.monotonic() + 60
    while not got and time.monotonic() < deadline:
        time.sleep(0.05)
    server.shutdown()
    body, headers = got[0]
    told = standardwebhooks.Webhook(secret).verify(body, headers)
    assert told["type"] == "generation.succeeded" and told["data"]["id"] == generation["id"], told
    try:
        standardwebhooks.Webhook(secret).verify(body + b" ", headers)
    except standardwebhooks.WebhookVerificationError:
        pass
    else:
        raise AssertionError("a changed body was verified")


for check in (pictures_by_url, pictures_as_base64, a_stream, its_own_exceptions, a_signed_webhook):
    check()
    print(f"ok {check.__name__}", flush=True)
