"""Signed manifests, made by our signer and checked by the library's reader."""

from __future__ import annotations

import io
import json
from pathlib import Path

import httpx
import pytest
from c2pa import Context, Reader
from PIL import Image

from tests.certificates import KEYS, Issued, issue
from tests.drawing import request
from tests.serving import INPUT, finished
from tests.test_images import picture
from vignette.engine.images import CONTENT_TYPES, encode_image
from vignette.engine.loader import LoadedModel
from vignette.errors import ConfigError
from vignette.provenance.c2pa import RECIPE_LABEL, Signer, manifest_in, signer_from
from vignette.provenance.inspect import inspect
from vignette.provenance.recipe import recipe
from vignette.provenance.xmp import TRAINED_ALGORITHMIC_MEDIA
from vignette.server.service import PredictionService


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    return issue(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_a_signed_picture_is_trusted_by_who_trusts_its_authority(
    kind: str, issued: Issued, model: LoadedModel, tmp_path: Path
) -> None:
    made = recipe(request(seed=7), 0, model)
    data = encode_image(picture(), kind, made)
    signed = Signer(issued.certificate, issued.key).sign(data, CONTENT_TYPES[kind], made)
    trusting = Context.from_dict({"trust": {"trust_anchors": issued.authority}, "verify": {"verify_trust": True}})
    with Reader(CONTENT_TYPES[kind], io.BytesIO(signed), context=trusting) as reader:
        assert reader.get_validation_state() == "Trusted"
        manifest = reader.get_active_manifest()
    claims = {assertion["label"]: assertion["data"] for assertion in manifest["assertions"]}
    assert claims[RECIPE_LABEL] == made
    [action] = claims["c2pa.actions.v2"]["actions"]
    assert (action["action"], action["digitalSourceType"]) == ("c2pa.created", TRAINED_ALGORITHMIC_MEDIA)
    # What it carried before is still there, and the pixels are.
    file = tmp_path / f"picture.{kind}"
    file.write_bytes(signed)
    told = inspect(file)
    assert told["recipe"] == made
    assert told["c2pa"]["state"] == "Valid"  # nobody here trusts a test's authority
    assert told["c2pa"]["signed_by"] == "Test signer"
    assert told["c2pa"]["problems"] == ["signingCredential.untrusted"]
    assert Image.open(io.BytesIO(signed)).tobytes() == Image.open(io.BytesIO(data)).tobytes()


def test_a_change_is_noticed(issued: Issued, tmp_path: Path) -> None:
    signer = Signer(issued.certificate, issued.key)
    file = tmp_path / "changed.png"
    stream = io.BytesIO()
    Image.fromarray(picture()).save(stream, "PNG")
    signed = bytearray(signer.sign(stream.getvalue(), "image/png", {"seed": 7}))
    signed[-30] ^= 1  # in the pixels
    file.write_bytes(bytes(signed))
    told = manifest_in(file, "image/png")
    assert told
    assert told["state"] == "Invalid"
    assert "assertion.dataHash.mismatch" in told["problems"]


def test_a_picture_without_a_manifest_has_none(tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / "bare.png")
    assert manifest_in(tmp_path / "bare.png", "image/png") is None
    (tmp_path / "cut.png").write_bytes((tmp_path / "bare.png").read_bytes()[:40])
    assert (manifest_in(tmp_path / "cut.png", "image/png") or {"state": "Invalid"})["state"] == "Invalid"


@pytest.mark.parametrize("kind", sorted(KEYS))
def test_every_kind_of_key(kind: str, tmp_path: Path) -> None:
    issued = issue(tmp_path, kind)
    assert signer_from({"C2PA_CERTIFICATE": str(issued.certificate), "C2PA_KEY": str(issued.key)})


def test_nothing_configured_is_no_signer() -> None:
    assert signer_from({}) is None
    assert signer_from({"C2PA_CERTIFICATE": "", "C2PA_KEY": ""}) is None


def test_what_does_not_fit_is_named(issued: Issued, tmp_path: Path) -> None:
    other = issue(tmp_path, "es384")
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("rubbish")
    certificate, key = str(issued.certificate), str(issued.key)
    for env, says in (
        ({"C2PA_CERTIFICATE": certificate}, "C2PA_KEY is not"),
        ({"C2PA_KEY": key}, "C2PA_CERTIFICATE is not"),
        ({"C2PA_CERTIFICATE": certificate, "C2PA_KEY": "/nowhere"}, "C2PA_KEY names /nowhere"),
        ({"C2PA_CERTIFICATE": "/nowhere", "C2PA_KEY": key}, "C2PA_CERTIFICATE names /nowhere"),
        ({"C2PA_CERTIFICATE": certificate, "C2PA_KEY": certificate}, "holds no private key"),
        ({"C2PA_CERTIFICATE": str(rubbish), "C2PA_KEY": key}, "Nothing can be signed"),
        ({"C2PA_CERTIFICATE": certificate, "C2PA_KEY": str(other.key)}, "Nothing can be signed"),
    ):
        with pytest.raises(ConfigError, match=says) as error:
            signer_from(env)
        assert "PRIVATE" not in str(error.value)


@pytest.mark.anyio
async def test_the_server_signs_what_it_gives_out(
    client: httpx.AsyncClient, service: PredictionService, issued: Issued, tmp_path: Path
) -> None:
    service._signer = Signer(issued.certificate, issued.key)
    done = await finished(client, INPUT | {"output_format": "jpeg"})
    file = tmp_path / "picture.jpeg"
    file.write_bytes((await client.get(done["output"][0])).content)
    told = inspect(file)
    assert told["c2pa"]["state"] == "Valid"
    assert json.loads(json.dumps(told["c2pa"]["claims"][RECIPE_LABEL])) == told["recipe"]
