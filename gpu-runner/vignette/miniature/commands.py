"""What `vignette miniature …` does, a function a command; each takes the parsed arguments and returns the exit status."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

from vignette.errors import ConfigError

from .paths import ROOT
from .world import WORLDS, World

# What has to train on when weights are to know more things: all else depends on it.
GROWING = ("judge", "text", "vocabulary", "unet", "adapter")


def _check_training(args: argparse.Namespace, only: list[str]) -> World:
    """The world to learn. Stages, weights, a style and a world that do not go together are refused, by the option's name."""
    from .growth import covers
    from .judge_net import world_of
    from .train import STAGES

    if args.stage not in STAGES:
        raise ConfigError(f"--stage must be one of {', '.join(STAGES)}, not {args.stage!r}.")
    if only and (set(only) - set(STAGES) or not args.continue_from):
        raise ConfigError(f"--only takes some of {', '.join(STAGES)}, and needs --continue-from.")
    if args.scale <= 0:
        raise ConfigError(f"--scale must be above 0, not {args.scale}.")
    start = args.continue_from
    if start and not (start / "day" / "model_index.json").is_file():
        raise ConfigError(f"--continue-from {start} holds no exported weights (day/model_index.json is missing).")
    known = world_of(start / "judge") if start else WORLDS[args.edition or "first"]
    world = WORLDS[args.edition] if args.edition else known
    if known != world and not covers(world, known):
        raise ConfigError(f"--continue-from {start} knows the {known.name} edition; add --edition {known.name}.")
    if known != world and ((only and not set(GROWING) <= set(only)) or args.style):
        raise ConfigError(
            f"--continue-from {start} knows the {known.name} edition; to know another, {', '.join(GROWING)} must be among"
            " --only, and --style left out."
        )
    further = world.styles[1:]
    if args.style and (args.style not in further or not start):
        raise ConfigError(
            f"--style takes {' or '.join(further)}, and needs --continue-from; to train the {world.styles[0]} style,"
            " which others begin as, leave it out."
        )
    if args.style and (args.new_words or args.new_latents):
        raise ConfigError(
            "--style trains one style on what all have in common; leave out --new-words and --new-latents."
        )
    there = args.target / "judge"
    if (there / "config.json").is_file() and (kept := world_of(there)) != world:
        raise ConfigError(f"--target {args.target} holds weights of the {kept.name} edition; name another folder.")
    return world


def _numbers_of_recipe(args: argparse.Namespace) -> dict[str, float]:
    """The numbers of a recipe that options set, each checked."""
    from .recipe import STEPS

    names = ("scenes", *(f"{name}_steps" for name in STEPS), "batch_scale", "rate", "pairs")
    asked = {name: value for name in names if (value := getattr(args, name)) is not None}
    for name, value in asked.items():
        least = 0 if name == "adapter_steps" else 0.001 if name in ("batch_scale", "rate") else 1
        if value < least:
            raise ConfigError(f"--{name.replace('_', '-')} must be at least {least}, not {value}.")
    return asked


def train(args: argparse.Namespace) -> int:
    """Every stage of the training, or the one asked for."""
    from .recipe import RECIPES
    from .train import Training

    only = [name.strip() for name in args.only.split(",") if name.strip()]
    numbers = _numbers_of_recipe(args)
    recipe = RECIPES[_check_training(args, only).name]
    if args.scale != 1.0:
        recipe = recipe.scaled(args.scale)
    recipe = replace(recipe, **numbers)
    training = Training(
        args.work, recipe, args.device, args.continue_from, args.new_words, args.new_latents, args.compile, only, args.style
    )  # fmt: skip
    training.run(args.stage, args.target)
    return 0


def surd(args: argparse.Namespace) -> int:
    """The world as SURD triples."""
    from .judge_net import Judge
    from .triples import write

    if args.count < 1:
        raise ConfigError(f"--count must be at least 1, not {args.count}.")
    try:
        world = WORLDS[args.edition] if args.edition else Judge.load(ROOT / "weights" / "judge").world
        write(args.output, args.count, args.seed, world, args.style)
    except (FileExistsError, ValueError) as error:
        raise ConfigError(f"{error}.") from error
    print(f"{args.count} triples in {args.output}, for `vignette adapter train --data {args.output}`.")
    return 0


def variants(args: argparse.Namespace) -> int:
    """Ways of reading narratives, trained and measured; 130 when stopped."""
    from vignette.training.stopping import stop_on_signals

    from .variants import Plan, run

    plan = Plan(
        args.scenes, args.steps, args.prompts, args.teacher, args.style,
        ways=tuple(args.ways), sweeps=not args.no_sweeps,
    )  # fmt: skip
    seen = stop_on_signals()
    run(args.weights, args.work, plan, args.output, args.sheet, lambda: bool(seen))
    return 0


def studies(args: argparse.Namespace) -> int:
    """Everything in docs/study.md; 130 when stopped."""
    from vignette.training.stopping import stop_on_signals

    from .studies import run

    if args.most is not None and args.most < 1:
        raise ConfigError(f"--most must be at least 1, not {args.most}.")
    seen = stop_on_signals()
    run(
        args.root, args.work, args.figures, args.pictures, args.documents, args.teacher, args.most, lambda: bool(seen)
    )  # fmt: skip
    return 0


def plots(args: argparse.Namespace) -> int:
    """The studies' figures as SVG."""
    from .plots import draw

    print("\n".join(draw(args.input, args.output)))
    return 0


def tables(args: argparse.Namespace) -> int:
    """A document's tables from the studies' figures."""
    from .tables import fill

    print(f"{fill(args.output, args.input)} tables in {args.output}")
    return 0


def showcase(args: argparse.Namespace) -> int:
    """The README's picture."""
    from .showcase import draw

    draw(args.weights, args.output, args.seed, args.style)
    return 0


def study(args: argparse.Namespace) -> int:
    """Judge, model and adapter measured on one set of sentences."""
    from .study import run

    return run(
        args.weights, args.prompts, args.output, args.sheet, args.guidance, args.language, args.style,
        args.vocabulary, args.cases, args.work,
    )  # fmt: skip


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    command.__name__: command for command in (train, study, variants, studies, plots, tables, showcase, surd)
}
