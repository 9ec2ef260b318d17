"""The studies' plots, drawn from the figures that `vignette miniature study` and `vignette miniature variants` write."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from vignette.errors import ConfigError

from .chart import GAP, WIDTH, Dot, Scale, Sheet
from .rows import ADAPTED, ADAPTER, BASE, CEILING, title_of

Figures = dict[str, Any]
COMMAND = "npm exec vignette -- miniature plots"
LINE = 34
COLUMNS = 3
SERIES = ((BASE, "base"), (ADAPTED, "adapter"), (CEILING, "keyword"))
_NO_ATTRIBUTES = ("mean", "kid", "brisque")
SWEPT = ("scale/", "triples/")


def draw(source: Path, target: Path) -> list[str]:
    """
    Draw every plot for which `source` holds figures into the folder `target`, and answer the Markdown that shows each,
    with paths relative to the folder that `source` lies in.

    Raises:
        ConfigError: No figures there, or a file that holds something else than JSON figures.
    """
    tables = read(source)
    studies = {name: table for name, table in tables.items() if all(row in table for row, _ in SERIES)}
    sheets = {"marks": marks(studies)} if studies else {}
    for name, table in tables.items():
        if ADAPTER in table:
            try:
                sheets |= {name: ways(name, table), f"{name}-kid": quality(name, table)}
                if any(way.startswith(SWEPT) for way in table):
                    sheets |= {f"{name}-scale": scales(name, table), f"{name}-triples": triples(name, table)}
            except KeyError as missing:
                raise ConfigError(
                    f"{source / name}.json lacks {missing}: run `vignette miniature variants` again."
                ) from None
    if not sheets:
        raise ConfigError(
            f"{source} holds no study: run `vignette miniature study --output {source / 'study.json'}` or"
            f" `vignette miniature variants --output {source / 'variants.json'}` first."
        )
    target.mkdir(parents=True, exist_ok=True)
    shown = []
    for name, sheet in sheets.items():
        file = target / f"{name}.svg"
        sheet.write(file)
        alt = (sheet.root.findtext("desc") or "").replace("[", "(").replace("]", ")")
        shown.append(f"![{alt}]({Path(os.path.relpath(file, source.parent)).as_posix()})")
    return shown


def marks(studies: dict[str, Figures]) -> Sheet:
    """Marks by attribute of base/narrative, adapter/narrative and base/keyword, a panel for each study."""
    rows = [table[row] for table in studies.values() for row, _ in SERIES]
    names = [*_attributes(rows[0]), "mean"]
    lowest = min(bound for row in rows for name in names for bound in (row[name], *(_interval(row, name) or ())))
    across = min(COLUMNS, len(studies))
    labels, space = 70, 52
    width = (WIDTH - 2 * GAP - labels - (across - 1) * space) / across
    panel = 84 + len(names) * LINE
    height = 66 + math.ceil(len(studies) / COLUMNS) * panel
    told = "; ".join(
        f"{title_of(name, table)}: " + ", ".join(f"{row} {_percent(table[row]['mean'])}" for row, _ in SERIES)
        for name, table in studies.items()
    )
    title = "What is drawn as it was told, by attribute"
    sheet = Sheet(title, f"{title}, with 95 % intervals. Means: {told}.", height, _source(*studies))
    sheet.legend(56, [(family, row) for row, family in SERIES])
    for index, (name, table) in enumerate(studies.items()):
        left, top = GAP + labels + index % across * (width + space), 66 + index // across * panel
        scale = Scale(math.floor(lowest * 10) / 10, 1, left, left + width)
        sheet.text(left, top + 20, title_of(name, table), "strong")
        sheet.text(left, top + 38, _about(table), "fine")
        sheet.ticks(scale, _percents(scale), top + 50, top + 50 + len(names) * LINE)
        for line, attribute in enumerate(names):
            y = top + 50 + (line + 0.5) * LINE
            if index % across == 0:
                sheet.text(GAP, y + 4, attribute, "strong" if attribute == "mean" else "")
            for offset, (row, family) in zip((-9, 0, 9), SERIES, strict=True):
                sheet.dot(scale, y + offset, Dot(family, table[row][attribute], _interval(table[row], attribute)))
    return sheet


def ways(name: str, table: Figures) -> Sheet:
    """Every way from a narrative to a picture, by its mean mark, best first."""
    rows = sorted(_ways(table).items(), key=lambda item: -item[1]["mean"])
    title = f"{title_of(name, table)}: what is drawn as it was told, mean of the attributes"
    told = ", ".join(f"{way} {_percent(row['mean'])}" for way, row in rows)
    sheet = Sheet(title, f"{title}, with 95 % intervals: {told}.", 100 + len(rows) * LINE, _source(name))
    sheet.text(GAP, 54, _about(table), "fine")
    scale = _shares([row for _, row in rows], GAP + 200, WIDTH - GAP - 190)
    bottom = 66 + len(rows) * LINE
    sheet.ticks(scale, _percents(scale), 66, bottom)
    for line, (way, row) in enumerate(rows):
        y = 66 + (line + 0.5) * LINE
        sheet.text(GAP, y + 4, way)
        sheet.dot(scale, y, Dot(_family(way), row["mean"], _interval(row, "mean")))
        gain = row.get("gain", {}).get("mean")
        words = f", gain {_points(gain[0])} to {_points(gain[1])}" if gain else ""
        sheet.text(WIDTH - GAP, y + 4, f"{_percent(row['mean'])}{words}", "fine", "end")
    return sheet


def quality(name: str, table: Figures) -> Sheet:
    """KID to fresh renders, less that of the keyword prompts' pictures: above 0 is worse than they are."""
    rows = sorted(_ways(table).items(), key=lambda item: item[1]["kid"])
    found = {way: row["kid"] - table[CEILING]["kid"] for way, row in rows}
    spans = {way: tuple(row["kid_over_keyword"]) for way, row in rows if "kid_over_keyword" in row}
    # The interval is that of the whole sets' difference, of which the published mean over subsets is an estimate.
    found |= {way: (low + high) / 2 for way, (low, high) in spans.items()}
    title = f"{title_of(name, table)}: pictures' KID over that of the keyword prompts'"
    told = ", ".join(f"{way} {_kid(row['kid'])}" for way, row in rows)
    description = f"{title}, with 95 % intervals; lower is better, above 0 is worse than keyword prompts. KID: {told}."
    sheet = Sheet(title, description, 100 + len(rows) * LINE, _source(name))
    sheet.text(GAP, 54, f"{_about(table)}; on the judge's features, to fresh renders; lower is better", "fine")
    bounds = [0.0, *found.values(), *(bound for span in spans.values() for bound in span)]
    step = _step(max(bounds) - min(bounds))
    low, high = math.floor(min(bounds) / step) * step, math.ceil(max(bounds) / step) * step
    scale = Scale(low, high if high > low else low + step, GAP + 200, WIDTH - GAP - 120)
    values = [low + step * i for i in range(round((scale.high - low) / step) + 1)]
    bottom = 66 + len(rows) * LINE
    sheet.ticks(scale, [(v, "0" if abs(v) < step / 2 else _kid(v, "+")) for v in values], 66, bottom)
    sheet.line("keyword level", scale(0), 66, scale(0), bottom)
    for line, (way, row) in enumerate(rows):
        y = 66 + (line + 0.5) * LINE
        sheet.text(GAP, y + 4, way)
        sheet.dot(scale, y, Dot(_family(way), found[way], spans.get(way)))
        sheet.text(WIDTH - GAP, y + 4, f"KID {_kid(row['kid'])}", "fine", "end")
    return sheet


def scales(name: str, table: Figures) -> Sheet:
    """The mean mark over the adapter's scale; 0 is base/narrative, 1 the adapter as trained."""
    points = {0.0: table[BASE], 1.0: table[ADAPTER]} | _swept(table, "scale/")
    title = f"{title_of(name, table)}: mean mark by the adapter's scale"
    return _curve(name, table, title, points, "scale of the adapter; 0 is base/narrative, 1 as trained", False)


def triples(name: str, table: Figures) -> Sheet:
    """The mean mark over the number of triples that the adapter was trained on, all for the same steps."""
    points = _swept(table, "triples/") | {float(table["scenes"]): table[ADAPTER]}
    title = f"{title_of(name, table)}: mean mark by the number of triples"
    return _curve(name, table, title, points, "triples trained on, the steps being the same (logarithmic)", True)


def _curve(name: str, table: Figures, title: str, points: dict[float, Figures], label: str, logarithmic: bool) -> Sheet:
    ordered = sorted(points.items())
    told = ", ".join(f"{x:g}: {_percent(row['mean'])}" for x, row in ordered)
    levels = f"base/narrative {_percent(table[BASE]['mean'])}, base/keyword {_percent(table[CEILING]['mean'])}"
    sheet = Sheet(title, f"{title}, with 95 % intervals. {told}; {levels}.", 360, _source(name))
    sheet.text(GAP, 54, _about(table), "fine")
    left, right, top, bottom = GAP + 50, WIDTH - GAP - 120, 74, 300
    up = _shares([*points.values(), table[BASE], table[CEILING]], bottom, top)
    for value, words in _percents(up):
        sheet.line("rule", left, up(value), right, up(value))
        sheet.text(left - 10, up(value) + 4, words, "fine", "end")
    room = 30  # so that no interval stands on the edge
    across = Scale(ordered[0][0], ordered[-1][0], left + room, right - room, logarithmic)
    for x, _ in ordered:
        sheet.text(across(x), bottom + 20, f"{x:g}", "fine", "middle")
    sheet.text((left + right) / 2, bottom + 42, label, "fine", "middle")
    for row, family in ((BASE, "base"), (CEILING, "keyword")):
        y = up(table[row]["mean"])
        sheet.line(f"{family} level", left, y, right, y)
        sheet.text(right + 8, y + 4, row, "fine")
    sheet.curve(
        across,
        up,
        [
            (x, Dot("base" if row is table[BASE] else "adapter", row["mean"], _interval(row, "mean")))
            for x, row in ordered
        ],
    )
    return sheet


def read(source: Path) -> dict[str, Figures]:
    """The figures of every JSON file in the folder `source`, by its name. ConfigError for a file that is none."""
    tables = {}
    for file in sorted(source.glob("*.json"), key=lambda file: file.stem):
        try:
            table = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{file} is no JSON of figures: {error}. Run the study again.") from None
        if isinstance(table, dict):
            tables[file.stem] = table
    return tables


def _ways(table: Figures) -> dict[str, Figures]:
    return {
        name: row
        for name, row in table.items()
        if isinstance(row, dict) and "mean" in row and not name.startswith(SWEPT)
    }


def _swept(table: Figures, prefix: str) -> dict[float, Figures]:
    return {float(name.removeprefix(prefix)): row for name, row in table.items() if name.startswith(prefix)}


def _attributes(row: Figures) -> list[str]:
    return [name for name, value in row.items() if isinstance(value, (int, float)) and name not in _NO_ATTRIBUTES]


def _interval(row: Figures, name: str) -> tuple[float, float] | None:
    found = row.get("interval") if name == "mean" else row.get("intervals", {}).get(name)
    return (found[0], found[1]) if found else None


def _family(way: str) -> str:
    if way in (BASE, CEILING):
        return "base" if way == BASE else "keyword"
    return "adapter" if way.startswith("adapter/") else "other"


def _shares(rows: list[Figures], start: float, end: float) -> Scale:
    """A scale for means and intervals, to whole tenths."""
    bounds = [bound for row in rows for bound in (row["mean"], *(_interval(row, "mean") or ()))]
    low, high = math.floor(min(bounds) * 10) / 10, math.ceil(max(bounds) * 10) / 10
    return Scale(low, max(high, low + 0.1), start, end)


def _percents(scale: Scale) -> list[tuple[float, str]]:
    first, last = round(scale.low * 10), round(scale.high * 10)
    every = 1 if last - first <= 4 else 2
    return [(tenth / 10, f"{tenth * 10} %") for tenth in range(last, first - 1, -every)][::-1]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _kid(distance: float, sign: str = "") -> str:
    return f"{distance:{sign}.3g}".replace("-", "\N{MINUS SIGN}")


def _step(span: float) -> float:
    """A round step that divides `span` into 3 to 7 parts."""
    if span <= 0:
        return 1.0
    size = 10.0 ** math.floor(math.log10(span / 3))
    return next(size * factor for factor in (1, 2, 5, 10) if span / (size * factor) <= 7)


def _points(share: float) -> str:
    return f"{100 * share:+.0f}".replace("-", "\N{MINUS SIGN}")


def _about(table: Figures) -> str:
    told = [f"{table['style']}"] if "style" in table else []
    told += [f"{table['prompts']} prompts"] if "prompts" in table else []
    return ", ".join(told)


def _source(*names: str) -> str:
    return f"{COMMAND}, from {', '.join(f'{name}.json' for name in names)}"
