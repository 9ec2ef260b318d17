"""What the studies' tables are put together from: their columns, shares and intervals in words, and Markdown."""

from __future__ import annotations

from typing import Any

from .judge_net import ATTRIBUTES

Figures = dict[str, Any]
Lines = list[list[str]]
COLUMNS = (*ATTRIBUTES, "mean")


def shares(row: Figures, form: str = "{:.0f} %") -> list[str]:
    return [form.format(100 * row[name]) for name in COLUMNS]


def points(interval: list[float]) -> str:
    return " to ".join(f"{100 * bound:+.1f}" for bound in interval)


def markdown(lines: Lines) -> str:
    head, *rows = (f"| {' | '.join(cells)} |" for cells in lines)
    return "\n".join([head, f"|{'---|' * len(lines[0])}", *rows, ""])
