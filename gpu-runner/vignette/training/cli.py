"""`vignette adapter train`: its arguments and what it says."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from vignette.training.options import ALIGNMENTS, BUILT, DISTILLATIONS, PUBLISHED, Options
from vignette.training.stopping import stop_on_signals

# Group, then option: help. Types and defaults come from Options.
HELP: dict[str, dict[str, str]] = {
    "data and model": {
        "resolution": "picture side in pixels; 0 takes the model's own",
        "cache": "folder for cached latents, prompts, teacher and predictions (default: cache/ in the output)",
        "start": "begin from the weights of this adapter",
    },
    "adapter": {
        "layout": "sequence (corrected) or token (published)",
        "num_layers": "transformer blocks",
        "num_heads": "attention heads",
        "feedforward_size": "inner width of the blocks (default: four times the text encoder's)",
        "dropout": "dropout while training",
        "eta": "mixing weight, part of the checkpoint",
        "mask_padding": "hide padding from the adapter's attention",
        "adapt_negative": "adapt the negative prompt too; needs --caption-drop",
    },
    "losses": {
        "denoise_weight": "weight of the denoising loss",
        "match_weight": "weight of matching the UNet's prediction under the keyword prompt",
        "match_draws": "cache this many keyword predictions per picture; 0 asks the UNet a second time in every step"
        " (default: as many as the run sees its data times, from 1 to 4)",
        "align": f"distance to the keyword prompt's states: {', '.join(ALIGNMENTS)}",
        "align_weight": "weight of the alignment",
        "align_steps": "first steps with alignment and distillation alone, which need no UNet",
        "distil": f"distance to the teacher: {', '.join(DISTILLATIONS)}",
        "distil_weight": "weight of the distillation",
        "snr_gamma": "gamma of min-SNR weighting of the denoising loss; 0 is none",
        "caption_drop": "share of samples with empty prompts",
        "keyword_share": "share of samples whose narrative is the keyword prompt itself",
    },
    "teacher": {
        "teacher": "folder, hub id or .gguf file of a causal language model",
        "teacher_layer": "mean (of layer-normalised layers), last, or a layer's number",
        "teacher_tokens": "distil every token (with --distil attention) instead of a sentence vector",
    },
    "optimisation": {
        "steps": "optimiser steps",
        "batch_size": "samples per step over all processes",
        "micro_batch_size": "most samples in one UNet call; more are accumulated",
        "learning_rate": "peak of AdamW's learning rate",
        "muon_learning_rate": "peak of Muon's learning rate for weight matrices, e.g. 0.02; 0 leaves them to AdamW",
        "weight_decay": "weight decay of both",
        "warmup_steps": "steps of linear warm-up",
        "schedule": "cosine, linear or constant after the warm-up",
        "max_grad_norm": "longest gradient",
        "ema_decay": "decay of the averaged weights; 0 keeps none",
        "precision": "auto, fp32 or bf16",
        "gradient_checkpointing": "recompute the UNet's activations: less memory, more time",
        "seed": "of everything random",
    },
    "output": {
        "save_every": "steps between checkpoints",
        "keep": "checkpoints kept",
        "sample_every": "steps between grids of pictures; 0 draws none",
        "sample_count": "rows of a grid",
        "sample_steps": "denoising steps of a picture",
        "sample_guidance": "guidance scale of a picture",
    },
}


def add_parser(actions: Any) -> None:
    """Registers `train` among the actions of `vignette adapter`."""
    parser = actions.add_parser(
        "train",
        help="train an adapter on narrative / keyword prompt / picture triples",
        description="Trains a SUR-adapter for a frozen Stable Diffusion 1.x, 2.x or XL. The same command again goes on"
        " from the last checkpoint. Several GPUs: accelerate launch -m vignette adapter train …",
    )
    parser.add_argument("--model", required=True, help="diffusers folder, or the id of a model in --models")
    parser.add_argument(
        "--data", type=Path, required=True, help="imagefolder with metadata.jsonl, parquet or WebDataset"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for checkpoints, logs and the adapter")
    parser.add_argument(
        "--models", type=Path, default=None, help="models.toml (default: VIGNETTE_MODELS, or the bundled one)"
    )
    parser.add_argument(
        "--recipe",
        choices=("corrected", "published"),
        default="corrected",
        help="defaults of the rest; with --start, which keeps its build, of all but the adapter's layout and sizes",
    )
    known = {field.name: field for field in fields(Options)}
    for group, options in HELP.items():
        section = parser.add_argument_group(group)
        for name, text in options.items():
            field = known[name]
            flag = f"--{name.replace('_', '-')}"
            default = None if field.default is MISSING else field.default
            # Unset ones stay out of the namespace, so that a recipe knows what was asked for.
            if field.type == "bool":
                action = argparse.BooleanOptionalAction
                section.add_argument(
                    flag, action=action, default=argparse.SUPPRESS, help=f"{text} (default: {default})"
                )
                continue
            shown = "" if default is None else f" (default: {default})"
            section.add_argument(
                flag,
                type=_type(str(field.type)),
                default=argparse.SUPPRESS,
                help=text + shown,
                metavar=name.split("_")[-1].upper(),
            )
    parser.set_defaults(run=run)


def options_from(arguments: argparse.Namespace) -> Options:
    """The recipe's defaults, then what was asked for. A start is built already: what the recipe says of that is left out."""
    names = {field.name for field in fields(Options)}
    asked = {key: value for key, value in vars(arguments).items() if key in names}
    recipe = PUBLISHED if arguments.recipe == "published" else {}
    if "start" in asked:
        recipe = {name: value for name, value in recipe.items() if name not in BUILT}
    model = model_folder(arguments.model, arguments.models)
    return Options(**{**recipe, **asked, "model": model, "asked": frozenset(asked)})


def run(arguments: argparse.Namespace) -> int:
    """Trains; 0 when finished, 1 when a loss became NaN, 130 when interrupted."""
    options = options_from(arguments)
    asked_to_stop = stop_on_signals()
    import torch

    from vignette.training.run import train
    from vignette.training.trainer import TrainingStopped

    try:
        folder = train(options, os.environ.get("VIGNETTE_DEVICE") or "auto", lambda: bool(asked_to_stop))
    except TrainingStopped as error:
        print(f"vignette: {error}", file=sys.stderr)
        return 1
    except torch.OutOfMemoryError as error:
        print(
            f"vignette: {str(error).splitlines()[0]} A smaller --micro-batch-size than {options.micro_batch_size} (the rest"
            " is accumulated), then --gradient-checkpointing, then a smaller --resolution need less. The same command goes"
            " on from the last checkpoint.",
            file=sys.stderr,
        )
        return 1
    if os.environ.get("RANK", "0") == "0":
        print(f"{folder}: trained." if folder else "Stopped after a checkpoint; the same command goes on from it.")
    return 0 if folder else 130


def model_folder(given: str, models: Path | None) -> Path:
    """What `--model` names. An id comes before a folder of that name, which may lie in the working directory by chance."""
    from vignette.cli import models_file
    from vignette.engine.catalogue import read_catalogue
    from vignette.errors import ConfigError, InvalidInput

    folder = Path(given).expanduser()
    if "/" in given:
        return folder
    try:
        return read_catalogue(models or models_file()).model(given).path
    except InvalidInput as error:
        if folder.exists():
            return folder
        raise ConfigError(f"--model: there is no folder {given}, and no such model: {error.message}") from None


def _type(annotation: str) -> Any:
    kinds = {"int": int, "float": float, "Path": Path, "str": str}
    return kinds[annotation.removesuffix(" | None")]
