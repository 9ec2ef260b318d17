"""`vignette miniature …`: train the bundled model from nothing, and measure it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vignette.errors import ConfigError
from vignette.training.stopping import Stopped

from .commands import COMMANDS
from .paths import DOCUMENTS, FIGURES, PLOTS, ROOT
from .recipe import STEPS
from .world import WORLDS


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status: 2 for what cannot be done as asked, 130 when stopped."""
    args = _parser().parse_args(argv)
    try:
        return COMMANDS[args.command](args)
    except ConfigError as error:
        print(f"vignette: {error}", file=sys.stderr)
        return 2
    except Stopped:
        print("vignette: stopped; the same command goes on from there.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vignette miniature", description="The bundled small model: training and study."
    )
    commands = parser.add_subparsers(dest="command", required=True)

    train = commands.add_parser("train", help="train every stage, resuming where the last run stopped")
    train.add_argument(
        "--stage",
        default="export",
        help="stop after this stage: data, vae, judge, decoder, polish, reader, text, vocabulary, unet, adapter, export",
    )
    train.add_argument("--work", type=Path, default=ROOT / "work", help="folder for data and checkpoints (several GB)")
    train.add_argument("--target", type=Path, default=ROOT / "weights", help="where the export goes")
    train.add_argument("--scale", type=float, default=1.0, help="multiplies all step counts, e.g. 0.01 for a trial")
    train.add_argument("--device", default="auto", help="auto, cpu or cuda")
    train.add_argument(
        "--edition",
        choices=tuple(WORLDS),
        help="of the world: 24 things, or 56, whose recipe from nothing is sized for a GPU (default: that of --continue-from,"
        " else first)",
    )
    train.add_argument(
        "--batch-scale", type=float, help="multiplies all batches, e.g. 0.25 for the second edition on a CPU"
    )
    train.add_argument(
        "--continue-from",
        type=Path,
        metavar="FOLDER",
        help="exported weights that every stage starts from; tokenizer and both encoders stay as they are, but for what"
        " a larger --edition asks for",
    )

    train.add_argument(
        "--new-words",
        action="store_true",
        help="with --continue-from: train tokenizer and text encoder anew, and the denoiser on to read them",
    )

    train.add_argument(
        "--new-latents",
        action="store_true",
        help="with --continue-from: train the whole autoencoder on, and the denoiser on to draw its latents",
    )
    train.add_argument(
        "--only",
        metavar="STAGES",
        default="",
        help="with --continue-from: train these stages on, as in decoder,polish, and take the other parts as they are",
    )
    train.add_argument(
        "--style",
        help="with --continue-from: decoder and denoiser of this art style alone, none but the first; what the weights"
        " lack begins as the first style's",
    )
    train.add_argument("--scenes", type=int, help="scenes that are drawn in each style, to train on")
    for name, told in STEPS.items():
        train.add_argument(f"--{name}-steps", type=int, help=f"steps of {told}")
    train.add_argument(
        "--rate",
        type=float,
        help="multiplies the learning rates of denoiser and alignment: below 1 to go on from what is good (default: 1)",
    )
    train.add_argument(
        "--pairs", type=int, help="how often the denoiser sees a scene of two kinds for once another (default: 2)"
    )
    train.add_argument(
        "--compile",
        action="store_true",
        help="put the autoencoder's step through torch.compile: quicker on some processors; needs a C++ compiler",
    )

    study = commands.add_parser("study", help="measure judge, model and adapter; write docs/study data")
    study.add_argument("--weights", type=Path, default=ROOT / "weights")
    study.add_argument("--prompts", type=int, default=300, help="held-out scenes to draw")
    study.add_argument("--output", type=Path, help="write the figures as JSON")
    study.add_argument("--sheet", type=Path, help="write a contact sheet of the first pictures as PNG")
    study.add_argument(
        "--language", choices=("first", "second"), default="second", help="whose held-out sentences (default: second)"
    )
    study.add_argument("--style", default="day", help="whose denoiser draws, day's or ink's (default: day)")
    study.add_argument(
        "--vocabulary",
        choices=("known", "rare", "unheard"),
        default="rare",
        help="words of the second language: those of the text encoder's first lessons, with rare ones that its second "
        "lessons and the adapter's triples tell (default), or with ones that the grammar tells in no training",
    )
    study.add_argument(
        "--set",
        type=Path,
        metavar="FILE",
        dest="cases",
        help="the first --prompts narratives of a JSONL file instead, such as gpu-runner/miniature/by-hand.jsonl",
    )
    study.add_argument(
        "--work",
        type=Path,
        help="keep the pictures in this folder, and draw none twice (`studies` keeps its own in work/studies)",
    )
    study.add_argument("--guidance", type=float, default=None, help="guidance scale (default: the model's)")

    variants = commands.add_parser(
        "variants", help="train and measure ways of reading narratives on the same triples; go on where it was cut off"
    )
    variants.add_argument("--weights", type=Path, default=ROOT / "weights")
    variants.add_argument(
        "--work", type=Path, default=ROOT / "work" / "studies", help="folder for triples, pictures, caches, checkpoints"
    )
    variants.add_argument("--scenes", type=int, default=4000, help="triples (default: 4000)")
    variants.add_argument("--steps", type=int, default=800, help="steps of every training (default: 800)")
    variants.add_argument("--prompts", type=int, default=150, help="held-out narratives to draw (default: 150)")
    variants.add_argument("--teacher", type=Path, help="folder or .gguf file of a causal language model")
    variants.add_argument("--style", default="day", help="whose denoiser draws, day's or ink's (default: day)")
    variants.add_argument(
        "--ways", nargs="+", default=[], metavar="WAY", help="trained variants by name (default: all)"
    )
    variants.add_argument("--no-sweeps", action="store_true", help="leave out other scales and numbers of triples")
    variants.add_argument("-o", "--output", type=Path, required=True, help="write the figures as JSON")
    variants.add_argument("--sheet", type=Path, help="write the pictures of the worst narratives as PNG")

    studies = commands.add_parser(
        "studies",
        help="all of docs/study.md: every set of sentences, the variants, plots and tables; hours; go on where it was cut off",
    )
    studies.add_argument("--root", type=Path, default=ROOT, help="folder of weights/ and by-hand.jsonl")
    studies.add_argument(
        "--work", type=Path, default=ROOT / "work" / "studies", help="folder for pictures and the variants' work"
    )
    studies.add_argument("--teacher", type=Path, help="for the variants, which are left as they are without it")
    studies.add_argument("--most", type=int, help="at most so many narratives a set, for a trial")
    studies.add_argument("--figures", type=Path, default=FIGURES, help="folder for JSON (default: docs/study)")
    studies.add_argument("--pictures", type=Path, default=PLOTS.parent, help="folder (default: docs/images)")
    studies.add_argument(
        "--documents",
        type=Path,
        nargs="+",
        default=DOCUMENTS,
        help="whose tables to fill (default: docs/study.md, docs/reading.md, README.md)",
    )

    plots = commands.add_parser(
        "plots", help="draw the studies' figures as SVG, and print the Markdown that shows them"
    )
    plots.add_argument("-i", "--input", type=Path, default=FIGURES, help="folder of the figures (default: docs/study)")
    plots.add_argument("-o", "--output", type=Path, default=PLOTS, help="folder (default: docs/images/study)")

    tables = commands.add_parser("tables", help="fill a document's tables from the studies' figures")
    tables.add_argument("-i", "--input", type=Path, default=FIGURES, help="folder of the figures (default: docs/study)")
    tables.add_argument(
        "-o", "--output", type=Path, default=FIGURES.with_suffix(".md"), help="document (default: docs/study.md)"
    )

    showcase = commands.add_parser("showcase", help="the README's picture: sentences without and with the adapter")
    showcase.add_argument("--weights", type=Path, default=ROOT / "weights")
    showcase.add_argument("-o", "--output", type=Path, required=True, help="PNG to write")
    showcase.add_argument("--style", default="day", help="whose denoiser draws, day's or ink's (default: day)")
    showcase.add_argument("--seed", type=int, default=1, help="the first column's seed; the others count up")

    surd = commands.add_parser("surd", help="write the world as SURD triples, to try `vignette adapter train` on")
    surd.add_argument("-o", "--output", type=Path, required=True, help="folder for pictures and metadata.jsonl")
    surd.add_argument("--count", type=int, default=2000, help="triples (default 2000)")
    surd.add_argument("--seed", type=int, default=1)
    surd.add_argument(
        "--edition", choices=tuple(WORLDS), help="of the world (default: the one that the bundled weights know)"
    )
    surd.add_argument("--style", default="day", help="art style, day or ink (default: day)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
