"""`vignette evaluate …`: arguments to an evaluation, everything checked before the first picture is drawn."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vignette.cli import MODELS_HELP, models_file
from vignette.errors import ConfigError
from vignette.evaluation.cases import MINIATURE, NARRATIVES, Case, choose, miniature_cases, read_cases

if TYPE_CHECKING:
    import torch

    from vignette.engine.catalogue import Catalogue
    from vignette.evaluation.instruments.base import Instrument
    from vignette.evaluation.reference import Reference
    from vignette.evaluation.run import Evaluation
    from vignette.evaluation.variants import Variant
    from vignette.miniature.world import World

WEIGHTS = Path(__file__).resolve().parents[2] / "miniature" / "weights"
JUDGE = WEIGHTS / "judge"
MINIATURE_CASES = 300
EXAMPLES = """examples:
  vignette evaluate --set miniature --limit 100 -o out/
      the default model: base/narrative, adapter/narrative and base/keywords, read by the miniature's own judge
  vignette evaluate --model sd15 --vqa models/blip-vqa-base --clip models/clip-vit-base-patch32 -o out/
      the written narratives with a model of models.toml, judged by BLIP and CLIP
  vignette evaluate -o out/ --variant model=sd15,prompt=narrative --variant model=sd15,adapter=runs/mine/adapter,scale=0.5,prompt=narrative
      any columns; model and adapter are ids of models.toml or folders
  vignette evaluate kid real.npy drawn.safetensors
      KID of two files of features"""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status: 0 done, 2 a wrong argument or file, 130 interrupted."""
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        return _kid(given[1:]) if given[:1] == ["kid"] else _evaluate(_parser().parse_args(given))
    except ConfigError as error:
        print(f"vignette: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vignette evaluate",
        description="Compare models, adapters, scales and kinds of prompt on the same prompts and seeds.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what is compared")
    what.add_argument("--model", help="id or folder; without --variant: base, default adapter and keyword ceiling")
    what.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="KEY=VALUE,…",
        help="of model, adapter (id, folder, default, none), scale, prompt (narrative, keywords), name",
    )
    what.add_argument("--baseline", help="name of the variant that gains count from (default: no adapter, narrative)")
    what.add_argument(
        "--ceiling", help="name of the variant at the distance's other end (default: no adapter, keywords)"
    )
    what.add_argument("--models", type=Path, default=models_file(), help=MODELS_HELP)
    what.add_argument("--set", default="narratives", help="narratives (written, default), miniature, or a JSONL file")
    what.add_argument("--group", action="append", default=[], help="only this group, e.g. action, colour or counting")
    what.add_argument("--limit", type=_positive, help="at most this many prompts of each group")
    what.add_argument("--seeds", type=_positive, default=1, help="pictures per prompt (default 1)")

    how = parser.add_argument_group("how it is drawn (default: as the model's entry says)")
    how.add_argument("--steps", type=_positive)
    how.add_argument("--guidance", type=float)
    how.add_argument("--scheduler")
    how.add_argument("--width", type=_positive)
    how.add_argument("--height", type=_positive)
    how.add_argument("--negative-prompt")
    how.add_argument("--device", default=os.environ.get("VIGNETTE_DEVICE") or "auto", help="auto, cpu, cuda or mps")

    measured = parser.add_argument_group(
        "what is measured (weights: local folders of Transformers models, safetensors)"
    )
    measured.add_argument("--vqa", type=Path, metavar="FOLDER", help="visual question answering judge: BLIP or ViLT")
    measured.add_argument("--clip", type=Path, metavar="FOLDER", help="CLIPScore and zero-shot judge: CLIP, SigLIP")
    measured.add_argument(
        "--detector", type=Path, metavar="FOLDER", help="counting judge: OWL-ViT, OWLv2, Grounding DINO"
    )
    measured.add_argument(
        "--judge", type=Path, metavar="FOLDER", help="the miniature's judge (default for its set: the bundled one)"
    )
    measured.add_argument(
        "--quality", type=_names, default=(), metavar="NAMES", help="brisque, or pyiqa's metrics: clipiqa,musiq"
    )
    measured.add_argument(
        "--kid-reference", metavar="WHAT", help="folder of pictures, .npy or .safetensors, or renders (miniature)"
    )

    out = parser.add_argument_group("where it goes")
    out.add_argument(
        "-o", "--output", type=Path, required=True, help="folder of the report; a second run goes on in it"
    )
    out.add_argument("--pictures", type=Path, help="folder of the pictures (default: OUTPUT/pictures); may be shared")
    out.add_argument("--title", default="Evaluation")
    out.add_argument("--shown", type=int, default=24, help="prompts in the gallery")
    out.add_argument("--failures", type=int, default=12, help="prompts in the gallery of failures")
    return parser


def _evaluate(arguments: argparse.Namespace) -> int:
    from vignette.evaluation.run import run

    evaluation = build(arguments)
    for sentence in evaluation.absent:
        print(f"Not measured: {sentence}", file=sys.stderr)
    run(evaluation, _bar, print)
    return 0


def build(arguments: argparse.Namespace) -> Evaluation:
    """Arguments to an evaluation, with all instruments loaded. Raises ConfigError for whatever does not fit."""
    from vignette.engine.catalogue import read_catalogue
    from vignette.engine.loader import pick_device
    from vignette.evaluation.drawing import Settings, plan
    from vignette.evaluation.run import Evaluation
    from vignette.evaluation.variants import pick_reference

    cases = _cases(arguments)
    variants = _variants(arguments, read_catalogue(arguments.models))
    baseline = pick_reference(variants, arguments.baseline, "baseline", "narrative")
    ceiling = pick_reference(variants, arguments.ceiling, "ceiling", "keywords")
    settings = Settings(
        arguments.steps,
        arguments.guidance,
        arguments.scheduler,
        arguments.width,
        arguments.height,
        arguments.negative_prompt,
    )
    device = pick_device(arguments.device)
    plan(variants, cases[:1], 1, settings, device)  # a wrong size or scheduler is told before weights are read
    pictures = arguments.pictures or arguments.output / "pictures"
    for folder in (arguments.output, pictures):
        _make(folder)
    instruments, reference, absent = _instruments(arguments, cases, variants, device)
    return Evaluation(
        variants=tuple(variants),
        cases=tuple(cases),
        seeds=arguments.seeds,
        settings=settings,
        instruments=tuple(instruments),
        baseline=baseline,
        ceiling=ceiling,
        output=arguments.output,
        pictures=pictures,
        device=device,
        title=arguments.title,
        reference=reference,
        shown=arguments.shown,
        failures=arguments.failures,
        absent=tuple(absent),
    )


def _cases(arguments: argparse.Namespace) -> list[Case]:
    if arguments.set == MINIATURE:
        return choose(
            miniature_cases(arguments.limit or MINIATURE_CASES, _world(arguments)), arguments.group, arguments.limit
        )
    file = NARRATIVES if arguments.set == "narratives" else Path(arguments.set).expanduser()
    return choose(read_cases(file), arguments.group, arguments.limit)


def _world(arguments: argparse.Namespace) -> World:
    """The miniature's world as its judge knows it, whose scenes alone it can read."""
    from vignette.evaluation.instruments.miniature import MiniatureJudge

    return MiniatureJudge(arguments.judge or JUDGE).judge.world


def _variants(arguments: argparse.Namespace, catalogue: Catalogue) -> list[Variant]:
    from vignette.evaluation.variants import check_names, default_variants, parse_variant

    if arguments.variant and arguments.model:
        raise ConfigError("--model goes without --variant; write model=… into each --variant instead.")
    variants = [parse_variant(text, catalogue) for text in arguments.variant]
    variants = variants or default_variants(arguments.model, catalogue)
    check_names(variants)
    return variants


def _instruments(
    arguments: argparse.Namespace, cases: Sequence[Case], variants: Sequence[Variant], device: torch.device
) -> tuple[list[Instrument], Reference | None, list[str]]:
    found: list[Any] = []
    absent: list[str] = []
    extractor: Any = None
    features = ""
    miniature = all(case.group == MINIATURE for case in cases)
    if miniature or arguments.judge:
        from vignette.evaluation.instruments.miniature import MiniatureJudge

        judge = MiniatureJudge(arguments.judge or JUDGE)
        found.append(judge)
        extractor, features = judge.features, "the miniature judge's backbone"
        if miniature and not arguments.clip:
            from vignette.evaluation.instruments.clip import ClipScore
            from vignette.evaluation.instruments.miniature import MiniatureEmbedder

            found.append(ClipScore(MiniatureEmbedder(WEIGHTS)))
    if arguments.vqa:
        from vignette.evaluation.instruments.vqa import VqaJudge

        found.append(VqaJudge(arguments.vqa, device))
    if arguments.clip:
        from vignette.evaluation.instruments.clip import ClipJudge, ClipScore
        from vignette.evaluation.instruments.embedder import ClipEmbedder

        embedder = ClipEmbedder(arguments.clip, device)
        found += [ClipJudge(embedder), ClipScore(embedder)]
        if extractor is None:
            extractor, features = (
                (lambda images: embedder.images(images).numpy()),
                f"{arguments.clip.name}'s embeddings",
            )
    if arguments.detector:
        from vignette.evaluation.instruments.detector import DetectorJudge

        found.append(DetectorJudge(arguments.detector, device))
    if arguments.quality:
        from vignette.evaluation.instruments.quality import ImageQuality

        found.append(ImageQuality(arguments.quality, device))
    if not miniature:
        for flag, value, what in (
            ("--vqa", arguments.vqa, "action, colour and counting judged by questions"),
            ("--clip", arguments.clip, "CLIPScore and the zero-shot judge"),
            ("--detector", arguments.detector, "counting by boxes"),
        ):
            if not value:
                absent.append(f"{what}: name a model's folder with {flag}.")
    return found, _reference(arguments, cases, variants, extractor, features, miniature), absent


def _reference(
    arguments: argparse.Namespace,
    cases: Sequence[Case],
    variants: Sequence[Variant],
    extractor: Any,
    features: str,
    miniature: bool,
) -> Reference | None:
    from vignette.evaluation.reference import reference_from

    if arguments.kid_reference is None:
        return None
    if extractor is None:
        raise ConfigError(
            "--kid-reference needs a network for its features: --clip FOLDER, or --judge for the miniature."
        )
    world = _world(arguments) if miniature else None
    folders = [variant.model.path for variant in variants]
    return reference_from(arguments.kid_reference, cases, extractor, features, world=world, folders=folders)


def _kid(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="vignette evaluate kid", description="KID of two files of features [N, D].")
    parser.add_argument("real", type=Path, help=".npy or .safetensors")
    parser.add_argument("drawn", type=Path, help=".npy or .safetensors, as wide as the other")
    parser.add_argument("--subset-size", type=_positive, default=1000)
    parser.add_argument("--subsets", type=_positive, default=100)
    arguments = parser.parse_args(argv)
    from vignette.evaluation.kid import kid, read_features

    real, drawn = read_features(arguments.real), read_features(arguments.drawn)
    try:
        result = kid(real, drawn, subsets=arguments.subsets, subset_size=arguments.subset_size)
    except ValueError as error:
        raise ConfigError(f"{arguments.real} and {arguments.drawn}: {error}") from None
    print(f"KID {result.mean:.6g} ± {result.deviation:.2g} ({result.subsets} subsets of {result.subset_size})")
    return 0


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(f"--output {folder} cannot be written to: {error.strerror}.") from None


def _bar(title: str, total: int) -> Any:
    from tqdm import tqdm

    return tqdm(desc=title, total=total, unit="picture", disable=total == 0)


def _names(value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))


def _positive(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"must be a number of at least 1, not {value!r}")
    return int(value)
