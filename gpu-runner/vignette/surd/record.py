"""What a source yields: one picture with the words that came with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

# Civitai's content levels are bits (PG 1, PG-13 2, R 4, X 8, XXX 16); its older names mean the same steps.
NSFW_LEVELS = {"none": 1, "soft": 2, "mature": 4, "x": 16}
# Counts up when the same files come to be read otherwise, so that a build reads them anew.
READING = 3
# Characters of a text. What is longer is no prompt and no narrative, and some of the parsing takes its square.
LONGEST = 20_000
WORDS = ("prompt", "text", "negative_prompt")


@dataclass(frozen=True)
class Candidate:
    """
    Attributes:
        key (`str`): the picture's name in its source; the same picture has the same key at every reading.
        image (`str`): a path, an `https` URL or, once the source's bytes are stored, `sha256:<hex>`.
        prompt (`str`): the keyword prompt with whatever syntax it was written in.
        text (`str`): the narrative, empty if a captioner has to write it.
        nsfw (`int`, *optional*): 1 (safe) to 16, see `NSFW_LEVELS`; `None` if the source does not say.
        licence (`str`): the picture's licence as its source names it.
        origin (`str`): where a reader can find the picture.
        parameters (`dict`): seed, steps, sampler and the like, as far as known.
        problem (`str`): why the words that came with it cannot be used; empty if they can.
    """

    key: str
    image: str
    prompt: str = ""
    text: str = ""
    negative_prompt: str = ""
    nsfw: int | None = None
    licence: str = "unknown"
    origin: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def sound(candidate: dict[str, Any]) -> dict[str, Any]:
    """A candidate's fields; without its words, as malformed, if these could not be stored, written or parsed.

    JSON lets halves of surrogate pairs through (a prompt that was cut within an emoji, say), and a file's name need not be
    UTF-8. Neither can be written as text, so both are spelled out.
    """
    broken = [name for name, value in candidate.items() if not _is_unicode(value)]
    too_long = [name for name in WORDS if len(candidate[name]) > LONGEST]
    if broken:
        why = f"`{broken[0]}` is no Unicode: {_spelled_out(json.dumps(candidate[broken[0]], ensure_ascii=False))[:80]}"
    elif too_long:
        why = f"`{too_long[0]}` has {len(candidate[too_long[0]])} characters, more than {LONGEST}"
    else:
        return candidate
    fields = candidate | {name: _spelled_out(candidate[name]) for name in broken if isinstance(candidate[name], str)}
    fields |= {**dict.fromkeys(WORDS, ""), "parameters": {}, "problem": fields.get("problem") or why}
    return fields | ({"image": ""} if "image" in broken else {})


def _is_unicode(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _spelled_out(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True)
class Page:
    """A batch of candidates, the bytes of those that have no address, and where to go on reading after them."""

    candidates: list[Candidate]
    cursor: str
    blobs: dict[str, bytes] = field(default_factory=dict)


class Source(Protocol):
    """
    Attributes:
        name (`str`): identifies the source's rows in the state, the same at every run.
        signature (`str`): changes when the source's content does, so that it is read anew; empty for a live API.
    """

    name: str
    signature: str

    def read(self, cursor: str | None) -> Iterator[Page]:
        """The pages after `cursor` (`None`: from the start); a cursor at the end yields nothing."""
        ...
