"""The tables of the ways beside each other, from the figures that `variants` writes."""

from __future__ import annotations

from .cells import COLUMNS, Figures, Lines, points, shares
from .plots import SWEPT
from .rows import BUNDLED, CEILING, PUBLISHED_RECIPE, RENDERS, REWRITING


def variants(studies: list[Figures]) -> Lines:
    ways = {name: row for name, row in studies[0].items() if isinstance(row, dict) and "kid" in row and "/" in name}
    lines = [["", *COLUMNS, "gain over base/narrative, points, 95 %"]]
    for name, row in sorted(ways.items(), key=lambda way: -way[1]["mean"]):
        if not name.startswith(SWEPT):
            lines.append([name, *shares(row), points(row["gain"]["mean"]) if "gain" in row else ""])
    return lines


def looks(studies: list[Figures]) -> Lines:
    """KID and BRISQUE of every way's pictures, and what each has more of it than the keyword prompts'."""
    ways = {name: row for name, row in studies[0].items() if isinstance(row, dict) and "kid" in row and "/" in name}
    lines = [["", "KID", f"over {CEILING}, 95 %", "BRISQUE", f"over {CEILING}, 95 %"]]
    for name, row in sorted(ways.items(), key=lambda way: way[1]["kid"]):
        if name.startswith(SWEPT):
            continue
        kid, brisque = (_beside_keyword(row, key, form) for key, form in (("kid", ".4f"), ("brisque", ".1f")))
        lines.append([name, *kid, *brisque])
    if RENDERS in studies[0]:
        lines.append([RENDERS, "", "", f"{studies[0][RENDERS]['brisque']:.1f}", ""])
    return lines


def _beside_keyword(row: Figures, key: str, form: str) -> list[str]:
    """A measure, which need not be there, and the interval of what is more of it than with keyword prompts."""
    if key not in row:
        return ["", ""]
    return [f"{row[key]:{form}}", " to ".join(f"{bound:+{form}}" for bound in row.get(f"{key}_over_keyword", ()))]


def failures(studies: list[Figures]) -> Lines:
    """The gallery's columns: what was asked for, and what was drawn otherwise by the bundled adapter and from keywords."""
    lines = [["", "narrative", "keyword prompt", f"lost by {BUNDLED}", f"lost by {CEILING}"]]
    for number, row in enumerate(studies[0]["failures"], 1):
        told = (row[key].replace("|", "\\|") for key in ("narrative", "keywords"))
        lines.append([str(number), *told, row[BUNDLED] or "nothing", row[CEILING] or "nothing"])
    return lines


def over(studies: list[Figures]) -> Lines:
    """What every way gains over the published recipe and over rewriting, paired by prompt and seed."""
    others = [PUBLISHED_RECIPE, REWRITING]
    lines = [["gain in points, mean of the five, 95 %", *(f"over {other}" for other in others)]]
    for name, row in studies[0].items():
        if isinstance(row, dict) and "over" in row and name not in others:
            lines.append([name, *(points(row["over"][other]) if other in row["over"] else "" for other in others)])
    return lines
