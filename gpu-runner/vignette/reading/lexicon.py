"""A lexicon: the phrases that a model's keyword prompts are made of, and how those prompts are written."""

from __future__ import annotations

import random
import re
import string
import sys
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from vignette.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SLOT = re.compile(r"([a-z_]+)[2-9]?")
# What `lexicon = "general"` names, unless there is a file of that name beside models.toml.
GENERAL = Path(__file__).with_name("general.toml")
Text = Annotated[str, Field(min_length=1, max_length=200)]


class Lexicon(BaseModel):
    """
    `templates` are keyword prompts with slots, `{thing}` or, for a second one in the same prompt, `{thing2}`; `phrases`
    are what may stand in a slot, by its name: a list, or a table of phrases with the tag that people are shown.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    templates: tuple[Text, ...] = Field(min_length=1)
    phrases: dict[str, dict[Text, Text]] = Field(min_length=1)

    @field_validator("phrases", mode="before")
    @classmethod
    def _tags(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {
            group: {p: p for p in phrases} if _unique(group, phrases) else phrases for group, phrases in value.items()
        }

    @model_validator(mode="after")
    def _consistent(self) -> Lexicon:
        used = {group for template in self.templates for _, group in slots(template)}
        if unknown := sorted(used - self.phrases.keys()):
            raise ValueError(f"a template has the slot {{{unknown[0]}}}, but there is no phrases.{unknown[0]}")
        if idle := sorted(self.phrases.keys() - used):
            raise ValueError(f"no template has the slot {{{idle[0]}}} of phrases.{idle[0]}")
        for template in self.templates:
            for group, phrases in self.phrases.items():
                if sum(g == group for _, g in slots(template)) > len(phrases):
                    raise ValueError(f"phrases.{group} has fewer phrases than {template!r} has slots for them")
        return self

    @property
    def entries(self) -> tuple[tuple[str, str], ...]:
        """Every phrase as (group, phrase), in the file's order."""
        return tuple((group, phrase) for group, phrases in self.phrases.items() for phrase in phrases)

    @property
    def tags(self) -> tuple[str, ...]:
        """What people are shown, in the order of `entries`."""
        return tuple(tag for phrases in self.phrases.values() for tag in phrases.values())

    def compose(self, rng: random.Random) -> tuple[str, set[tuple[str, str]]]:
        """A random keyword prompt and the (group, phrase) pairs in it."""
        template = rng.choice(self.templates)
        names: dict[str, list[str]] = {}
        for name, group in slots(template):
            names.setdefault(group, []).append(name)
        filled, held = {}, set()
        for group, wanted in names.items():
            for name, phrase in zip(wanted, rng.sample(list(self.phrases[group]), len(wanted)), strict=True):
                filled[name] = phrase
                held.add((group, phrase))
        return template.format(**filled), held


def slots(template: str) -> tuple[tuple[str, str], ...]:
    """The different slots of a template as (name, group). Raises ValueError for what is no slot."""
    found: dict[str, str] = {}
    for _, name, spec, conversion in string.Formatter().parse(template):
        if name is None:
            continue
        match = SLOT.fullmatch(name)
        if match is None or spec or conversion:
            raise ValueError(f"{template!r} has {{{name}}}; a slot is a name in lower case, {{thing}} or {{thing2}}")
        found[name] = match[1]
    return tuple(found.items())


def find_lexicon(named: Path) -> Path:
    """The file that a model's entry in models.toml means."""
    return GENERAL if named.name == GENERAL.stem and not named.exists() else named


def read_lexicon(file: Path) -> Lexicon:
    """
    Reads a lexicon's TOML file.

    Raises:
        ConfigError: Missing file, broken TOML, or a field that does not fit, with its name.
    """
    try:
        return Lexicon.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ConfigError(
            f"There is no lexicon {file}; name one in models.toml, or `general`, or leave `lexicon` out."
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{file}: {field or 'the file'}: {first['msg'].removeprefix('Value error, ')}.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}.") from None


def _unique(group: str, phrases: object) -> bool:
    """Whether `phrases` is a list; its phrases have to be different."""
    if not isinstance(phrases, list):
        return False
    if len(set(map(str, phrases))) < len(phrases):
        raise ValueError(f"phrases.{group} has the same phrase twice")
    return True
