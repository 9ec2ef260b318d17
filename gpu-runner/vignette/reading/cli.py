"""`vignette reading …`: how a sentence is understood, and how well sentences are."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vignette.cli import MODELS_HELP, models_file
from vignette.errors import ConfigError, InvalidInput

if TYPE_CHECKING:
    from vignette.engine.loader import LoadedModel

RUNNER = Path(__file__).resolve().parents[2]


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; 0 is success, 2 a wrong argument or file."""
    parser = argparse.ArgumentParser(prog="vignette reading", description="How sentences are understood.")
    commands = parser.add_subparsers(dest="command", required=True)
    say = commands.add_parser("say", help="print how sentences are understood, one JSON line each, without drawing")
    say.add_argument("texts", nargs="+", metavar="TEXT")
    measure = commands.add_parser("measure", help="compare readings of held-out narratives with their true scenes")
    measure.add_argument("--prompts", type=int, default=300, help="held-out narratives (default: 300)")
    measure.add_argument("--outside", type=Path, default=RUNNER / "miniature" / "outside.txt", help="unknown prompts")
    measure.add_argument("--output", type=Path, help="write the figures as JSON")
    for command in (say, measure):
        command.add_argument("--models", type=Path, default=models_file(), help=MODELS_HELP)
        command.add_argument("--model", help="default: the default model")
        command.add_argument("--adapter", help="an adapter's id, or none; default: the model's default adapter")
    arguments = parser.parse_args(argv)
    try:
        return _say(arguments) if arguments.command == "say" else _measure(arguments)
    except (ConfigError, InvalidInput) as error:
        print(f"vignette: {error}", file=sys.stderr)
        return 2


def _load(arguments: argparse.Namespace) -> tuple[LoadedModel, str | None]:
    from vignette.engine.catalogue import read_catalogue
    from vignette.engine.loader import load_model, pick_device

    spec = read_catalogue(arguments.models).model(arguments.model)
    if spec.lexicon is None:
        raise ConfigError(f'The model {spec.id} has no lexicon; add `lexicon = "general"` to it in {arguments.models}.')
    asked = None if arguments.adapter == "none" else arguments.adapter or spec.default_adapter
    adapter = spec.adapter_id(asked)
    return load_model(spec, pick_device(os.environ.get("VIGNETTE_DEVICE") or "auto")), adapter


def _say(arguments: argparse.Namespace) -> int:
    import torch

    from vignette.engine.text import adapt, check_finite, encode_texts

    model, adapter = _load(arguments)
    assert model.reader is not None  # noqa: S101  # _load insists on a lexicon
    with torch.inference_mode():
        for text, encoded in encode_texts(model, arguments.texts).items():
            states = adapt(model, encoded, adapter, model.spec.defaults.adapter_scale)
            check_finite(bool(torch.isfinite(states).all()))
            print(json.dumps({"prompt": text, **vars(model.reader.read(states, text))}, ensure_ascii=False))
    return 0


def _measure(arguments: argparse.Namespace) -> int:
    from vignette.reading.measure import measure, read_outside

    if arguments.prompts < 1:
        raise ConfigError(f"--prompts must be at least 1, not {arguments.prompts}.")
    outside = read_outside(arguments.outside)
    model, adapter = _load(arguments)
    figures = measure(model, adapter, arguments.prompts, outside)
    print(_table(figures["measures"]))
    print("\n".join(f"{name}: {value:.3f}" for name, value in figures["notice"].items()))
    if arguments.output:
        whole = {"weights": model.version, **figures}
        arguments.output.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return 0


def _table(measures: dict[str, dict[str, Any]]) -> str:
    columns = list(next(iter(measures.values())))
    lines = [f"| prompt: measure | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, figures in measures.items():
        lines.append(f"| {name} | " + " | ".join(f"{figures[c]:.3f}" if c in figures else "" for c in columns) + " |")
    return "\n".join(lines)
