"""The options of `vignette surd`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vignette.surd.dedupe import FARTHEST
from vignette.surd.record import NSFW_LEVELS


def parser() -> argparse.ArgumentParser:
    """Both commands' options."""
    top = argparse.ArgumentParser(
        prog="vignette surd",
        description="Data sets of narrative, keyword prompt and picture, to train SUR-adapters on.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    build = commands.add_parser("build", help="collect, caption and clean; the same command goes on after a break")
    build.add_argument("output", type=Path, metavar="FOLDER", help="new, empty, or an earlier build's")
    build.add_argument("--name", help="the data set's name (default: the folder's)")
    _add_sources(build.add_argument_group("sources, at least one; of duplicates the first stays"))
    _add_models(build.add_argument_group("models"))
    _add_thresholds(build.add_argument_group("cleaning"))
    engine = build.add_argument_group("engine")
    engine.add_argument("--engine", choices=("local", "ray"), default="local")
    engine.add_argument("--ray-address", metavar="ADDRESS", help="a running cluster: auto, or ray://host:port")
    engine.add_argument("--workers", type=_positive, help="Ray's processes per stage (default: one per GPU or core)")

    inspect = commands.add_parser("inspect", help="write a contact sheet, one HTML file")
    inspect.add_argument("folder", type=Path, metavar="FOLDER")
    inspect.add_argument("-o", "--output", type=Path, default=Path("contact-sheet.html"), metavar="FILE")
    inspect.add_argument("--rows", type=_positive, default=120, help="most rows shown (default: %(default)s)")
    inspect.add_argument("--seed", type=int, default=0, help="which rows, if there are more")
    inspect.add_argument("--dropped", action="store_true", help="what the build dropped, and why")
    return top


def _add_sources(group: Any) -> None:
    group.add_argument("--from-folder", type=Path, nargs="+", default=[], help="pictures with .txt or .json sidecars")
    group.add_argument("--sidecar", choices=("prompt", "text"), default="prompt", help="what a .txt holds")
    group.add_argument("--from-parquet", type=Path, nargs="+", default=[], metavar="FILE")
    group.add_argument("--column", nargs="+", default=[], type=_column, metavar="NAME=COLUMN", help="parquet columns")
    group.add_argument(
        "--from-civitai", type=Path, nargs="+", default=[], metavar="FILE", help="saved API pages (JSON)"
    )
    group.add_argument(
        "--from-civitai-live", type=_positive, metavar="PAGES", help="ask Civitai; CIVITAI_API_KEY if set"
    )
    group.add_argument("--civitai-filter", nargs="+", default=[], type=_column, metavar="NAME=VALUE")
    group.add_argument(
        "--from-gallery", type=Path, nargs="+", default=[], metavar="FILE", help="JSON lines of the bots"
    )
    group.add_argument("--license", default="unknown", help="of local pictures that name none")
    group.add_argument("--image-host", nargs="+", default=[], metavar="HOST", help="may be asked for pictures")
    group.add_argument(
        "--requests-per-second", type=_up_to(1000), default=1.0, metavar="N", help="of Civitai's API (default 1)"
    )
    group.add_argument(
        "--pictures-per-second", type=_up_to(1000), default=4.0, metavar="N", help="of all hosts (default 4)"
    )


def _add_models(group: Any) -> None:
    group.add_argument("--captioner", metavar="MODEL", help="image-to-text model for pictures without a narrative")
    group.add_argument("--captioner-revision", metavar="REVISION")
    group.add_argument("--caption-prompt", default="", help="how captions begin, or a chat model's instruction")
    group.add_argument("--caption-tokens", type=_positive, default=64, help="longest caption (default: %(default)s)")
    group.add_argument("--recaption", action="store_true", help="caption pictures that have a narrative too")
    group.add_argument("--clip", metavar="MODEL", help="CLIP or SigLIP, to score how words fit pictures")
    group.add_argument("--clip-revision", metavar="REVISION")
    group.add_argument(
        "--batch-size", type=_positive, default=16, help="pictures per model call (default: %(default)s)"
    )


def _add_thresholds(group: Any) -> None:
    group.add_argument("--min-side", type=int, default=256, help="pixels of the shorter side (default: %(default)s)")
    group.add_argument("--max-aspect", type=float, default=3.0, help="longer by shorter side (default: %(default)s)")
    group.add_argument("--nsfw", choices=tuple(NSFW_LEVELS), default="none", help="highest level kept (default: none)")
    group.add_argument(
        "--drop-unrated",
        action=argparse.BooleanOptionalAction,
        help="pictures whose source gives no rating (default: drop those from the web, unless a detector looks at them)",
    )
    group.add_argument(
        "--nsfw-detector", metavar="NAME", help="looks at the pictures: nudenet, or module:factory; finds are rated x"
    )
    group.add_argument(
        "--nsfw-score",
        type=_up_to(1),
        default=0.5,
        metavar="SCORE",
        help="from which a find counts (default: %(default)s)",
    )
    group.add_argument("--language", default="en", help="ISO 639-1 code, or any (default: en)")
    group.add_argument(
        "--near-duplicates", type=_near, default=4, metavar="BITS", help="of 64 that may differ, or off (default: 4)"
    )
    group.add_argument("--min-clip-text", type=float, metavar="COSINE", help="least for the narrative; needs --clip")
    group.add_argument("--min-clip-prompt", type=float, metavar="COSINE", help="least for the prompt; needs --clip")


def _positive(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"must be a number of at least 1, not {value!r}")
    return int(value)


def _up_to(most: float) -> Callable[[str], float]:
    """Reads a number above 0."""

    def read(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = 0.0
        if not 0 < number <= most:
            raise argparse.ArgumentTypeError(f"must be above 0 and at most {most:g}, not {value!r}")
        return number

    return read


def _near(value: str) -> int | None:
    if value == "off":
        return None
    if not value.isdecimal() or int(value) > FARTHEST:
        raise argparse.ArgumentTypeError(
            f"must be off or a number from 0 to {FARTHEST}, not {value!r}; with more, each picture is compared with nearly"
            " every other, and pictures that only resemble each other count as the same"
        )
    return int(value)


def _column(value: str) -> tuple[str, str]:
    name, equals, column = value.partition("=")
    if not (name and equals and column):
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, not {value!r}")
    return name, column
