"""Names of the studies' rows: what draws, and from what; and of the studies, as their plots call them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BASE, ADAPTED, CEILING = "base/narrative", "adapter/narrative", "base/keyword"
ADAPTER, PUBLISHED_RECIPE, REWRITING = "adapter/no-LLM", "published-recipe/narrative", "LLM-rewriting/narrative"
# The adapter that comes with the weights: longer trained, on more.
BUNDLED = "adapter/bundled"
# Scenes drawn by no model.
RENDERS = "fresh renders"


def title_of(name: str, figures: Mapping[str, Any]) -> str:
    """`rare-words-ink`, whose `figures` are of the style "ink", as "Rare words, ink"; any other name as its words."""
    style = figures.get("style")
    words = name.removesuffix(f"-{style}")
    return words.replace("-", " ").capitalize() + ("" if words == name else f", {style}")
