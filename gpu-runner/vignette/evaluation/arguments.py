"""The options of `vignette evaluate`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vignette.cli import MODELS_HELP, models_file

EXAMPLES = """examples:
  vignette evaluate --set miniature --limit 100 -o out/
      the default model: base/narrative, adapter/narrative and base/keywords, read by the miniature's own judge
  vignette evaluate --model sd15 --vqa models/blip-vqa-base --clip models/clip-vit-base-patch32 -o out/
      the written narratives with a model of models.toml, judged by BLIP and CLIP
  vignette evaluate -o out/ --variant model=sd15,prompt=narrative --variant model=sd15,adapter=runs/mine/adapter,scale=0.5,prompt=narrative
      any columns; model and adapter are ids of models.toml or folders
  vignette evaluate kid real.npy drawn.safetensors
      KID of two files of features"""


def parser() -> argparse.ArgumentParser:
    """What a comparison is asked with."""
    top = argparse.ArgumentParser(
        prog="vignette evaluate",
        description="Compare models, adapters, scales and kinds of prompt on the same prompts and seeds.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_compared(top.add_argument_group("what is compared"))
    _add_drawing(top.add_argument_group("how it is drawn (default: as the model's entry says)"))
    _add_measured(
        top.add_argument_group("what is measured (weights: local folders of Transformers models, safetensors)")
    )
    _add_output(top.add_argument_group("where it goes"))
    return top


def kid_parser() -> argparse.ArgumentParser:
    """What KID of two files is asked with."""
    top = argparse.ArgumentParser(prog="vignette evaluate kid", description="KID of two files of features [N, D].")
    top.add_argument("real", type=Path, help=".npy or .safetensors")
    top.add_argument("drawn", type=Path, help=".npy or .safetensors, as wide as the other")
    top.add_argument("--subset-size", type=_at_least(1), default=1000)
    top.add_argument("--subsets", type=_at_least(1), default=100)
    return top


def _add_compared(group: Any) -> None:
    group.add_argument("--model", help="id or folder; without --variant: base, default adapter and keyword ceiling")
    group.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="KEY=VALUE,…",
        help="of model, adapter (id, folder, default, none), scale, prompt (narrative, keywords), name",
    )
    group.add_argument("--baseline", help="name of the variant that gains count from (default: no adapter, narrative)")
    group.add_argument(
        "--ceiling", help="name of the variant at the distance's other end (default: no adapter, keywords)"
    )
    group.add_argument("--models", type=Path, default=models_file(), help=MODELS_HELP)
    group.add_argument("--set", default="narratives", help="narratives (written, default), miniature, or a JSONL file")
    group.add_argument("--group", action="append", default=[], help="only this group, e.g. action, colour or counting")
    group.add_argument("--limit", type=_at_least(1), help="at most this many prompts of each group")
    group.add_argument("--seeds", type=_at_least(1), default=1, help="pictures per prompt (default 1)")


def _add_drawing(group: Any) -> None:
    group.add_argument("--steps", type=_at_least(1))
    group.add_argument("--guidance", type=float)
    group.add_argument("--scheduler")
    group.add_argument("--width", type=_at_least(1))
    group.add_argument("--height", type=_at_least(1))
    group.add_argument("--negative-prompt")
    group.add_argument("--device", default=os.environ.get("VIGNETTE_DEVICE") or "auto", help="auto, cpu, cuda or mps")


def _add_measured(group: Any) -> None:
    group.add_argument("--vqa", type=Path, metavar="FOLDER", help="visual question answering judge: BLIP or ViLT")
    group.add_argument("--clip", type=Path, metavar="FOLDER", help="CLIPScore and zero-shot judge: CLIP, SigLIP")
    group.add_argument("--detector", type=Path, metavar="FOLDER", help="counting judge: OWL-ViT, OWLv2, Grounding DINO")
    group.add_argument(
        "--judge", type=Path, metavar="FOLDER", help="the miniature's judge (default for its set: the bundled one)"
    )
    group.add_argument(
        "--quality", type=_names, default=(), metavar="NAMES", help="brisque, or pyiqa's metrics: clipiqa,musiq"
    )
    group.add_argument(
        "--kid-reference", metavar="WHAT", help="folder of pictures, .npy or .safetensors, or renders (miniature)"
    )


def _add_output(group: Any) -> None:
    group.add_argument(
        "-o", "--output", type=Path, required=True, help="folder of the report; a second run goes on in it"
    )
    group.add_argument("--pictures", type=Path, help="folder of the pictures (default: OUTPUT/pictures); may be shared")
    group.add_argument("--title", default="Evaluation")
    group.add_argument("--shown", type=_at_least(0), default=24, help="prompts in the gallery")
    group.add_argument("--failures", type=_at_least(0), default=12, help="prompts in the gallery of failures")


def _names(value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))


def _at_least(least: int) -> Callable[[str], int]:
    """Reads a whole number that is not less."""

    def read(value: str) -> int:
        if not value.isdecimal() or int(value) < least:
            raise argparse.ArgumentTypeError(f"must be a number of at least {least}, not {value!r}")
        return int(value)

    return read
