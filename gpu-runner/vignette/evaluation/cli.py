"""`vignette evaluate …`: arguments to an evaluation, everything checked before the first picture is drawn."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vignette.errors import ConfigError
from vignette.evaluation.arguments import kid_parser, parser
from vignette.evaluation.cases import MINIATURE, NARRATIVES, Case, choose, miniature_cases, read_cases
from vignette.evaluation.instruments.asked import JUDGE, Asked, load_instruments

if TYPE_CHECKING:
    from vignette.engine.catalogue import Catalogue
    from vignette.evaluation.reference import Reference
    from vignette.evaluation.run import Evaluation
    from vignette.evaluation.variants import Variant
    from vignette.miniature.world import World

MINIATURE_CASES = 300


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status: 0 done, 2 a wrong argument or file, 130 interrupted."""
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        if given[:1] == ["kid"]:
            return _kid(kid_parser().parse_args(given[1:]))
        return _evaluate(parser().parse_args(given))
    except ConfigError as error:
        print(f"vignette: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        return 130


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
    asked = load_instruments(arguments, all(case.group == MINIATURE for case in cases), device)
    reference = _reference(arguments, cases, variants, asked)
    return Evaluation(
        variants=tuple(variants),
        cases=tuple(cases),
        seeds=arguments.seeds,
        settings=settings,
        instruments=tuple(asked.instruments),
        baseline=baseline,
        ceiling=ceiling,
        output=arguments.output,
        pictures=pictures,
        device=device,
        title=arguments.title,
        reference=reference,
        shown=arguments.shown,
        failures=arguments.failures,
        absent=tuple(asked.absent),
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


def _reference(
    arguments: argparse.Namespace, cases: Sequence[Case], variants: Sequence[Variant], asked: Asked
) -> Reference | None:
    from vignette.evaluation.reference import TOO_FEW, reference_from

    if arguments.kid_reference is None:
        return None
    if asked.extractor is None:
        raise ConfigError(
            "--kid-reference needs a network for its features: --clip FOLDER, or --judge for the miniature."
        )
    if len(cases) * arguments.seeds < 2:
        asked.absent.append(TOO_FEW)
        return None
    world = _world(arguments) if all(case.group == MINIATURE for case in cases) else None
    folders = [variant.model.path for variant in variants]
    return reference_from(arguments.kid_reference, cases, asked.extractor, asked.features, world=world, folders=folders)


def _kid(arguments: argparse.Namespace) -> int:
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
