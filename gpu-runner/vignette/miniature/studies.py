"""All of docs/study.md by one command: every set of sentences studied, the ways beside each other, then plots and tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vignette.errors import ConfigError
from vignette.reading import cli as reading

from . import plots, study, tables, variants
from .language import Words
from .world import SECOND

STYLES = SECOND.styles
NARRATIVES_READ = 300


@dataclass(frozen=True)
class Sentences:
    """One set of sentences, how many of it are drawn, and in which style; with `file` those of a JSONL file, else of a language."""

    prompts: int
    language: str = "second"
    vocabulary: Words = "rare"
    file: str | None = None
    style: str = STYLES[0]


def in_style(name: str, style: str) -> str:
    """The name of what belongs to `style`; the first style's has no addition."""
    return name if style == STYLES[0] else f"{name}-{style}"


# By the name of the file that the figures go to.
SETS = {
    in_style(name, style): replace(sentences, style=style)
    for style in STYLES
    for name, sentences in {
        "known-words": Sentences(100, vocabulary="known"),
        "rare-words": Sentences(200),
        "unheard-words": Sentences(100, vocabulary="unheard"),
        "other-hands": Sentences(200, file="by-hand-second.jsonl"),
        "all-forms": Sentences(200, file="by-hand-third.jsonl"),
    }.items()
}
SHEETS_OF = tuple(in_style("rare-words", style) for style in STYLES)


def run(
    root: Path,
    work: Path,
    figures: Path,
    pictures: Path,
    documents: Sequence[Path],
    teacher: Path | None,
    most: int | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """
    Study the weights in `root`/weights with every set, how they are read and, with a `teacher`, every way of training; write
    figures as JSON into `figures`, sheets and plots below `pictures`, and the numbers into the tables of `documents`.

    Args:
        work: Folder that keeps every picture drawn, and the variants' triples, caches and checkpoints.
        teacher: Folder or .gguf file of a causal language model; None leaves the variants' figures as they are.
        most: At most so many narratives a set, for a trial.
        stop: Whether to stop the variants, which are the longest part.

    Raises:
        ConfigError: A teacher that cannot be read, or a document with places for figures that are not there.
        Stopped: `stop` said so; the same command goes on from there.
    """
    weights = root / "weights"
    drawn = pictures / "study"
    for folder in (figures, drawn):
        folder.mkdir(parents=True, exist_ok=True)
    for name, asked in SETS.items():
        print(f"== {name}", flush=True)
        study.run(
            weights,
            min(asked.prompts, most or asked.prompts),
            figures / f"{name}.json",
            pictures / f"{in_style('study', asked.style)}.png" if name in SHEETS_OF else None,
            None,
            asked.language,
            asked.style,
            asked.vocabulary,
            root / asked.file if asked.file else None,
            work,
        )
    print("== reading", flush=True)
    count = min(NARRATIVES_READ, most or NARRATIVES_READ)
    if reading.main(["measure", "--prompts", str(count), "--output", str(figures / "reading.json")]):
        raise ConfigError("The readings could not be measured; the line above says why.")
    if teacher is not None:
        for style in STYLES:
            name = in_style("variants", style)
            print(f"== {name}", flush=True)
            plan = variants.Plan(teacher=teacher, style=style, sweeps=style == STYLES[0])
            variants.run(weights, work, plan, figures / f"{name}.json", drawn / f"{name}-failures.png", stop)
    plots.draw(figures, drawn)
    for document in documents:
        print(f"{tables.fill(document, figures)} tables in {document}", flush=True)
