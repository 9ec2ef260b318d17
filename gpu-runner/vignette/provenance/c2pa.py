"""Signed provenance (https://spec.c2pa.org/specifications/specifications/2.2/specs/C2PA_Specification.html)."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vignette import __version__
from vignette.errors import ConfigError
from vignette.provenance.xmp import TRAINED_ALGORITHMIC_MEDIA

RECIPE_LABEL = "org.vignette.recipe"
# C2PA 2.2, section 13.2, by key type and size.
_RSA = "ps256"
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
# A thumbnail of the picture inside the picture would take more room than the miniature's pictures themselves.
SETTINGS = {"builder": {"thumbnail": {"enabled": False}}}
INSTALL = "install gpu-runner/requirements-c2pa.txt"


class Signer:
    """
    Signs files with one certificate; safe to call from several threads.

    Args:
        certificate: PEM file of the certificate and those above it, the signer's own first.
        key: PEM file of its private key, without a password.
        timestamps: URL of an RFC 3161 time-stamping authority, or None.

    Raises:
        ConfigError: The library is missing, or the files do not fit.
    """

    def __init__(self, certificate: Path, key: Path, timestamps: str | None = None) -> None:
        if find_spec("c2pa") is None:
            raise ConfigError(f"C2PA_CERTIFICATE is set, but c2pa-python is not installed; {INSTALL}.")
        chain, private = _read("C2PA_CERTIFICATE", certificate), _read("C2PA_KEY", key)
        self._information = {
            "alg": _algorithm(key, private),
            "sign_cert": chain.encode(),
            "private_key": private.encode(),
            "ta_url": timestamps,
        }
        try:
            self.sign(_blank(), "image/png", {})
        except Exception as error:
            raise ConfigError(f"Nothing can be signed with {certificate} and {key}: {error}") from None

    def sign(self, data: bytes, content_type: str, recipe: dict[str, Any]) -> bytes:
        """The file with a manifest that says what made it. Raises what the library raises."""
        from c2pa import Builder, C2paSignerInfo, Context
        from c2pa import Signer as LibrarySigner

        signed = io.BytesIO()
        with (
            LibrarySigner.from_info(C2paSignerInfo(**self._information)) as signer,
            Context.from_dict(SETTINGS) as context,
            Builder(_manifest(recipe), context) as builder,
        ):
            builder.sign(signer, content_type, io.BytesIO(data), signed)
        return signed.getvalue()


def signer_from(env: Mapping[str, str]) -> Signer | None:
    """
    The signer that C2PA_CERTIFICATE, C2PA_KEY and C2PA_TIMESTAMPS describe; None where none of them is set.

    Raises:
        ConfigError: One of the first two is missing, or they do not fit.
    """
    certificate, key, timestamps = (env.get(f"C2PA_{name}") or None for name in ("CERTIFICATE", "KEY", "TIMESTAMPS"))
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        missing, there = ("C2PA_KEY", "C2PA_CERTIFICATE") if key is None else ("C2PA_CERTIFICATE", "C2PA_KEY")
        raise ConfigError(f"{there} is set and {missing} is not; pictures are signed with both or not at all.")
    return Signer(Path(certificate), Path(key), timestamps)


def manifest_in(file: Path, content_type: str | None) -> dict[str, Any] | None:
    """
    What a file's manifest claims and whether that holds: `{state, signed_by, signed_at, claims, problems}`, with the
    library's `state`: `Invalid`, `Valid` (unchanged since it was signed) or `Trusted`. None without a manifest.
    """
    if find_spec("c2pa") is None:
        return {"state": "unknown", "problems": [f"c2pa-python is not installed; {INSTALL}"]}
    from c2pa import C2paError, Reader

    try:
        reader = Reader.try_create(content_type, io.BytesIO(file.read_bytes()))
    except C2paError as error:
        return {"state": "Invalid", "problems": [str(error)]}
    if reader is None:
        return None
    with reader:
        manifest = reader.get_active_manifest() or {}
        results = (reader.get_validation_results() or {}).get("activeManifest", {})
        state = reader.get_validation_state()
    signature = manifest.get("signature_info", {})
    return {
        "state": state,
        "signed_by": signature.get("common_name") or signature.get("issuer"),
        "signed_at": signature.get("time"),
        "claims": {assertion["label"]: assertion["data"] for assertion in manifest.get("assertions", [])},
        "problems": [failure["code"] for failure in results.get("failure", [])],
    }


def _manifest(recipe: dict[str, Any]) -> str:
    agent = {"name": "Vignette", "version": __version__}
    created = {"action": "c2pa.created", "digitalSourceType": TRAINED_ALGORITHMIC_MEDIA, "softwareAgent": agent}
    return json.dumps(
        {
            "claim_generator_info": [agent],
            "assertions": [
                {"label": "c2pa.actions.v2", "data": {"actions": [created]}},
                {"label": RECIPE_LABEL, "data": recipe},
            ],
        }
    )


def _algorithm(file: Path, private: str) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(private.encode(), None)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"C2PA_KEY names {file}, which holds no private key without a password: {error}.") from None
    if isinstance(key, rsa.RSAPrivateKey):
        return _RSA
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    raise ConfigError(f"C2PA_KEY names {file}, whose kind C2PA does not sign with; take ES256, RSA or Ed25519.")


def _read(variable: str, file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{variable} names {file}, which cannot be read as PEM: {error}.") from None


def _blank() -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "PNG")
    return stream.getvalue()
