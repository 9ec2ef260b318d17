"""The studies' tables: a document's marked places filled from the figures that `study` and `variants` write, so that no
number in it is typed.

A place is ``<!-- table NAME -->`` to ``<!-- end -->``; `NAMES` says what there is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from vignette.errors import ConfigError

from . import tables_of_ways as ways
from .cells import COLUMNS, Figures, Lines, markdown, points, shares
from .judge_net import ATTRIBUTES
from .plots import read
from .rows import ADAPTED, BASE, CEILING
from .world import SECOND

_PLACE = re.compile(r"(<!-- table (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
_WAYS = (BASE, ADAPTED, CEILING)
# By the name of the file: the third's writers had to use every form in which people tell.
BY_HAND = {
    "by-hand": "by other hands",
    "by-hand-second": "by other hands",
    "by-hand-third": "in all forms, by other hands",
}
# Of keyword prompts for combinations never trained on, per cent.
WANTED = {"object": 95, "colour": 95, "count": 92, "action": 90, "place": 98}


def fill(document: Path, source: Path) -> int:
    """
    Write the tables of the figures in the folder `source` into the marked places of `document`; answers how many there are.

    Raises:
        ConfigError: No such file, a place whose table is unknown, or figures that lack what it needs.
    """
    try:
        text = document.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{document} cannot be read: {error.strerror}.") from None
    studies = read(source)

    def filled(place: re.Match[str]) -> str:
        kind, *of = place[2].split()
        if kind not in NAMES:
            raise ConfigError(f"{document}: there is no table {kind!r}; there are {', '.join(NAMES)}.")
        missing = [name for name in of if name not in studies]
        if missing:
            raise ConfigError(f"{document}: {source / missing[0]}.json is not there: run that study first.")
        try:
            return f"{place[1]}{markdown(NAMES[kind]([studies[name] for name in of]))}{place[3]}"
        except (KeyError, TypeError) as error:
            raise ConfigError(
                f"{document}: the figures for <!-- table {place[2]} --> lack {error}: run that study again."
            ) from None

    again, count = _PLACE.subn(filled, text)
    if again != text:
        document.write_text(again, encoding="utf-8")
    return count


def told(study: Figures) -> str:
    """Which sentences a study is about, as the tables call them."""
    if "sentences" in study:
        words = BY_HAND.get(study["sentences"], str(study["sentences"]))
    else:
        words = "first language" if study["language"] == "first" else f"{study['vocabulary']} words"
    first = SECOND.styles[0]
    return words if study.get("style", first) == first else f"{words}, in {study['style']}"


def _instrument(studies: list[Figures]) -> Lines:
    rows = {
        "fresh renders": "judge_on_renders",
        "autoencoder's reconstructions": "judge_on_reconstructions",
        "the denoiser's redrawings": "judge_on_redrawn",
    }
    return [["", *COLUMNS], *([name, *shares(studies[0][key], "{:.1f} %")] for name, key in rows.items())]


def _marks(kinds: str = "", counted: str = "prompts") -> Callable[[list[Figures]], Lines]:
    def table(studies: list[Figures]) -> Lines:
        head = [f"{studies[0][counted]} scenes", *COLUMNS]
        return [head, *([way, *shares(studies[0][f"{way}{kinds}"])] for way in _WAYS)]

    return table


def _wanted(studies: list[Figures]) -> Lines:
    """What keyword prompts reach of what is wanted of them, with both kinds of scenes and with one."""
    lines = [["base/keyword", *(f"{name} ({share} % wanted)" for name, share in WANTED.items())]]
    for study in studies:
        for kinds in ("", ", one kind"):
            row = {name: 100 * study[f"{CEILING}{kinds}"][name] for name in WANTED}
            cells = (f"{row[a]:.1f} %" if row[a] >= wanted else f"**{row[a]:.1f} %**" for a, wanted in WANTED.items())
            lines.append([f"{told(study)}{kinds}", *cells])
    return lines


def _closed(studies: list[Figures]) -> Lines:
    lines = [["mean of the five", *_WAYS, "closed", "95 % confidence set"]]
    for study in studies:
        estimate, _, bounds = study["closed"]["in_words"].partition(" (95 % confidence set ")
        means = (f"{100 * study[way]['mean']:.0f} %" for way in _WAYS)
        lines.append([told(study), *means, estimate, bounds.removesuffix(")")])
    return lines


def _gains(studies: list[Figures]) -> Lines:
    return [
        ["attribute", *map(told, studies)],
        *([name, *(points(study["gain"][name]) for study in studies)] for name in COLUMNS),
    ]


def _states(studies: list[Figures]) -> Lines:
    kinds = ("one kind", "two kinds", "two kinds, in the nearer order")
    lines = [["sentences", *kinds]]
    for study in studies:
        before, after = study["states"]["narrative"], study["states"]["adapter"]
        lines.append([told(study), *(f"{before[kind]:.2f} to {after[kind]:.3f}" for kind in kinds)])
    return lines


def _nearest(studies: list[Figures]) -> Lines:
    lines = [["sentences", *ATTRIBUTES]]
    for study in studies:
        before, after = study["nearest"]["narrative"], study["nearest"]["adapter"]
        lines.append([told(study), *(f"{100 * before[a]:.0f} to {100 * after[a]:.0f} %" for a in ATTRIBUTES)])
    return lines


def _quality(studies: list[Figures]) -> Lines:
    """KID to fresh renders, and what the adapter's pictures have more of it than the keyword prompts'."""
    lines = [["sentences", *_WAYS, f"{ADAPTED} over {CEILING}, 95 %"]]
    for study in studies:
        low, high = study[ADAPTED]["kid_over_keyword"]
        lines.append([told(study), *(f"{study[way]['kid']:.4f}" for way in _WAYS), f"{low:+.4f} to {high:+.4f}"])
    return lines


def _reading(measure: str = "") -> Callable[[list[Figures]], Lines]:
    def table(studies: list[Figures]) -> Lines:
        rows = {name: row for name, row in studies[0]["measures"].items() if name.endswith(measure)}
        columns = list(next(iter(rows.values())))
        lines = [["prompt: measure", *columns]]
        for name, row in rows.items():
            cells = (f"{100 * row[column]:.0f} %" if column in row else "" for column in columns)
            lines.append([name.replace("narrative through sur", "narrative, adapted"), *cells])
        return lines

    return table


NAMES: dict[str, Callable[[list[Figures]], Lines]] = {
    "instrument": _instrument,
    "marks": _marks(),
    "one-kind": _marks(", one kind", "one_kind"),
    "wanted": _wanted,
    "closed": _closed,
    "gains": _gains,
    "states": _states,
    "nearest": _nearest,
    "quality": _quality,
    "variants": ways.variants,
    "looks": ways.looks,
    "failures": ways.failures,
    "over": ways.over,
    "readings": _reading(),
    "reading-by-probe": _reading(": probe"),
}
