"""The block of text that AUTOMATIC1111's web UI and its relatives leave in a picture: prompt, negative prompt, settings.

Source: stable-diffusion-webui `modules/infotext_utils.py`; the settings are the last line, if it has three or more.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

# These take time in proportion to the text: where a match could begin again and again, what it reads is bounded.
_SETTING = re.compile(r'(\w[\w \-/]{1,60}):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)')
_NEGATIVE = re.compile(r"^[ \t]*Negative prompt:\s?", re.M)
_LAST_LINE = re.compile(r"^[ \t]*Steps:\s*\d+\s*,", re.M)
# The tools' names for what this project and diffusers call otherwise.
NAMES = {
    "seed": "seed",
    "steps": "num_inference_steps",
    "cfg scale": "guidance_scale",
    "cfgscale": "guidance_scale",
    "sampler": "sampler",
    "model": "model",
    "size": "size",
    "clip skip": "clip_skip",
    "clipskip": "clip_skip",
}
_INTEGERS = {"seed", "num_inference_steps", "clip_skip"}


@dataclass
class Infotext:
    """A prompt's three parts; `parameters` has this project's names (`seed`, `num_inference_steps`, …)."""

    prompt: str
    negative_prompt: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)


def parse_infotext(text: str) -> Infotext:
    """Splits a block; a text without negative prompt and settings is a prompt and nothing else."""
    text = text.replace("\r\n", "\n").strip("\n\x00 ")
    body, settings = _split_settings(text)
    negative = _NEGATIVE.search(body)
    if negative:
        prompt, negative_prompt = body[: negative.start()], body[negative.end() :]
    else:
        prompt, negative_prompt = body, ""
    return Infotext(prompt.strip(), negative_prompt.strip(), known_parameters(settings))


def known_parameters(settings: dict[str, Any]) -> dict[str, Any]:
    """Keeps the settings that reproduce a picture, under this project's names; numbers become numbers."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        name = NAMES.get(key.lower())
        if name is None or name in found or not isinstance(value, str | int | float) or isinstance(value, bool):
            continue
        try:
            found[name] = int(value) if name in _INTEGERS else float(value) if name == "guidance_scale" else str(value)
        except (ValueError, OverflowError):
            continue
    return found


def _split_settings(text: str) -> tuple[str, dict[str, str]]:
    head, _, last = text.rpartition("\n")
    if len(_SETTING.findall(last)) >= 3:
        return head, _settings(last)
    # Some tools break the settings over several lines (hashes, ADetailer): they begin at "Steps: N,".
    starts = list(_LAST_LINE.finditer(text))
    if starts:
        return text[: starts[-1].start()], _settings(text[starts[-1].start() :].replace("\n", " "))
    return text, {}


def _settings(line: str) -> dict[str, str]:
    return {key.strip(): _unquoted(value.strip()) for key, value in _SETTING.findall(line)}


def _unquoted(value: str) -> str:
    if len(value) < 2 or not (value.startswith('"') and value.endswith('"')):
        return value
    try:
        return str(json.loads(value))
    except ValueError:
        return value
