"""Charts as SVG that reads on light and on dark: dots with intervals, and curves. The same figures give the same bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

WIDTH = 860
GAP = 24
# Plain properties and no variables, since not every viewer of SVG knows those.
STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; } .strong { font-weight: 600; } .fine { font-size: 12px; fill: #59636e; }
.paper { fill: #ffffff; stroke: #d1d9e0; } .rule { stroke: #d1d9e0; }
.base { stroke: #6e7781; fill: #ffffff; } .adapter { stroke: #0860c4; fill: #0860c4; }
.keyword { stroke: #1f2328; fill: #1f2328; } .other { stroke: #b04a00; fill: #b04a00; }
.whisker { stroke-width: 2; } .mark { stroke-width: 2; } .curve { stroke-width: 2; fill: none; }
.level { stroke-width: 1.5; stroke-dasharray: 6 4; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .fine { fill: #9da7b1; }
  .paper { fill: #0d1117; stroke: #3d444d; } .rule { stroke: #3d444d; }
  .base { stroke: #9da7b1; fill: #0d1117; } .adapter { stroke: #6cb2ff; fill: #6cb2ff; }
  .keyword { stroke: #e6edf3; fill: #e6edf3; } .other { stroke: #f0995a; fill: #f0995a; }
  .curve { fill: none; }
}
"""


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` on pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = (math.log(v) if self.logarithmic else v for v in (self.low, self.high, value))
        return self.start + (at - low) / ((high - low) or 1) * (self.end - self.start)


@dataclass(frozen=True)
class Dot:
    """A value with its interval, if it has one, drawn as `family`: base, adapter, keyword or other."""

    family: str
    value: float
    interval: tuple[float, float] | None = None


class Sheet:
    """A drawing of `WIDTH` by `height` pixels; `description` says in words what it shows, `source` what it was made from."""

    def __init__(self, title: str, description: str, height: float, source: str):
        self.root = ElementTree.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "viewBox": f"0 0 {WIDTH} {height:g}",
                "width": str(WIDTH),
                "height": f"{height:g}",
                "role": "img",
                "aria-labelledby": "title description",
            },
        )
        self.root.append(ElementTree.Comment(f" {source.replace('--', '- -')} "))
        ElementTree.SubElement(self.root, "title", id="title").text = title
        ElementTree.SubElement(self.root, "desc", id="description").text = description
        ElementTree.SubElement(self.root, "style").text = STYLE
        self._add("rect", "paper", x=0.5, y=0.5, width=WIDTH - 1, height=height - 1, rx=6)
        self.text(GAP, 32, title, "title")

    def _add(self, tag: str, style: str, **attributes: float) -> ElementTree.Element:
        numbers = {name: f"{round(value, 2):g}" for name, value in attributes.items()}
        return ElementTree.SubElement(self.root, tag, {"class": style, **numbers})

    def text(self, x: float, y: float, words: str, style: str = "", anchor: str = "start") -> None:
        """Write `words` with their baseline at `y`."""
        element = self._add("text", style, x=x, y=y)
        element.set("text-anchor", anchor)
        element.text = words

    def line(self, style: str, x1: float, y1: float, x2: float, y2: float) -> None:
        """Draw a straight line."""
        self._add("line", style, x1=x1, y1=y1, x2=x2, y2=y2)

    def mark(self, family: str, x: float, y: float) -> None:
        """Draw the family's mark; shapes differ as well as colours."""
        if family == "base":
            self._add("circle", f"mark {family}", cx=x, cy=y, r=4.5)
        elif family == "keyword":
            self._add("rect", f"mark {family}", x=x - 4, y=y - 4, width=8, height=8)
        else:
            corners = ((0, -6), (6, 0), (0, 6), (-6, 0)) if family == "adapter" else ((0, -5), (6, 5), (-6, 5))
            points = " ".join(f"{round(x + dx, 2):g},{round(y + dy, 2):g}" for dx, dy in corners)
            self._add("polygon", f"mark {family}").set("points", points)

    def legend(self, y: float, entries: Sequence[tuple[str, str]]) -> None:
        """Name the families, `(family, words)`, in a line."""
        x = float(GAP)
        for family, words in entries:
            self.mark(family, x + 6, y - 4)
            self.text(x + 18, y, words, "fine")
            x += 36 + 6.5 * len(words)

    def ticks(self, scale: Scale, values: Sequence[tuple[float, str]], top: float, bottom: float) -> None:
        """Draw upright rules at `(value, words)`, with the words below them."""
        for value, words in values:
            self.line("rule", scale(value), top, scale(value), bottom)
            self.text(scale(value), bottom + 18, words, "fine", "middle")

    def dot(self, scale: Scale, y: float, dot: Dot) -> None:
        """Draw a value with its interval on a line across."""
        if dot.interval:
            self.line(f"whisker {dot.family}", scale(dot.interval[0]), y, scale(dot.interval[1]), y)
        self.mark(dot.family, scale(dot.value), y)

    def curve(self, across: Scale, up: Scale, points: Sequence[tuple[float, Dot]]) -> None:
        """Draw `(x, value)` joined by lines, with upright intervals."""
        path = " ".join(f"{round(across(x), 2):g},{round(up(dot.value), 2):g}" for x, dot in points)
        self._add("polyline", f"{points[-1][1].family} curve").set("points", path)
        for x, dot in points:
            if dot.interval:
                self.line(f"whisker {dot.family}", across(x), up(dot.interval[0]), across(x), up(dot.interval[1]))
            self.mark(dot.family, across(x), up(dot.value))

    def write(self, path: Path) -> None:
        """Write the drawing, one element a line."""
        ElementTree.indent(self.root)
        path.write_text(ElementTree.tostring(self.root, encoding="unicode") + "\n", encoding="utf-8")
