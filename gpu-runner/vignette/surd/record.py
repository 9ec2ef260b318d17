"""What a source yields: one picture with the words that came with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

# Civitai's content levels are bits (PG 1, PG-13 2, R 4, X 8, XXX 16); its older names mean the same steps.
NSFW_LEVELS = {"none": 1, "soft": 2, "mature": 4, "x": 16}


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
