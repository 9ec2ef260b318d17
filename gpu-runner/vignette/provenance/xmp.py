"""The recipe and the mark of generated media as XMP (ISO 16684-1), which PNG, JPEG and WebP all have a place for."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.sax.saxutils import escape, unescape

# The IPTC term for pictures made by a trained model, https://cv.iptc.org/newscodes/digitalsourcetype/
TRAINED_ALGORITHMIC_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    ' xmlns:vignette="urn:vignette:"'
    f' Iptc4xmpExt:DigitalSourceType="{TRAINED_ALGORITHMIC_MEDIA}">'
    '<vignette:recipe>%s</vignette:recipe></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
_RECIPE = re.compile(r"<vignette:recipe>(.*?)</vignette:recipe>", re.S)
_SOURCE = re.compile(r'Iptc4xmpExt:DigitalSourceType="([^"]*)"')


def packet(recipe: dict[str, Any]) -> str:
    """An XMP packet. Escaped beyond what XML asks for, so that no character of a prompt can be forbidden in it."""
    return _PACKET % escape(json.dumps(recipe))


def recipe_in(packet: str) -> dict[str, Any] | None:
    """The recipe of a packet, or None when it has none that can be read."""
    found = _RECIPE.search(packet)
    try:
        recipe = json.loads(unescape(found[1])) if found else None
    except ValueError:
        return None
    return recipe if isinstance(recipe, dict) else None


def source_type_in(packet: str) -> str | None:
    """The packet's IPTC digital source type."""
    found = _SOURCE.search(packet)
    return found[1] if found else None
