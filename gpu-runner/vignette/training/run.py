"""One training run from options to a finished adapter: data, caches, adapter, loop, export."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import diffusers
import torch
from accelerate import Accelerator

from vignette.engine.loader import pick_device
from vignette.errors import ConfigError
from vignette.training import checkpoint
from vignette.training.batches import EMPTY, Batches
from vignette.training.caches import CHUNK, Caches, Share
from vignette.training.data import Example, read_examples
from vignette.training.frozen import FrozenModel
from vignette.training.options import Options
from vignette.training.samples import Samples
from vignette.training.start import first_adapter
from vignette.training.store import write_text
from vignette.training.teacher import Teacher
from vignette.training.trainer import Trainer


def train(options: Options, device: str = "auto", interrupted: Callable[[], bool] = lambda: False) -> Path | None:
    """
    Trains an adapter and writes it to `options.output / "adapter"`.

    Args:
        options: What to do.
        device: `auto`, `cuda`, `mps` or `cpu`; under `accelerate launch` each process takes its own GPU.
        interrupted: Asked after every step; `True` saves a checkpoint and stops.

    Returns:
        The adapter's folder, or `None` if it was interrupted: the same options go on from there.

    Raises:
        ConfigError: Data, model, teacher, starting weights or an earlier run in `output` that do not fit.
        TrainingStopped: A loss became NaN.
    """
    for option, folder in (("-o", options.output), ("--cache", options.cache or options.output)):
        _check_folder(option, folder)
    examples = read_examples(options.data)
    where = pick_device(device)
    if where.type == "cuda" and where.index is not None:
        raise ConfigError(
            f"VIGNETTE_DEVICE={device} names one device, which training leaves to accelerate: say cuda, and"
            f" CUDA_VISIBLE_DEVICES={where.index} for that GPU alone."
        )
    accelerator = Accelerator(cpu=where.type == "cpu")
    if options.batch_size < accelerator.num_processes:
        raise ConfigError(
            f"--batch-size {options.batch_size} is below the {accelerator.num_processes} processes; each needs a sample."
        )
    bf16 = options.precision == "bf16" or (options.precision == "auto" and _has_bf16(accelerator.device))
    frozen = FrozenModel(options.model, accelerator.device, torch.bfloat16 if bf16 else torch.float32)
    draws = options.draws(len(examples))
    options = replace(options, resolution=options.resolution or frozen.resolution, match_draws=draws)
    main = accelerator.is_main_process
    if main:
        _tell(examples, frozen)
    share = Share(accelerator.process_index, accelerator.num_processes, accelerator.wait_for_everyone)
    root = options.cache or options.output / "cache"
    caches = Caches(root, frozen, options.resolution, draws, options.seed, share, min(CHUNK, options.micro_batch_size))
    # The cheap checks come first: whatever is wrong shows before hours of encoding.
    teacher_dim, contents = None, {"model": frozen.hash("text", "vae", "unet"), "data": _digest(examples)}
    teacher = None
    if options.teacher and options.distil_weight:
        teacher = Teacher(options.teacher, options.teacher_layer, options.teacher_tokens, accelerator.device)
        teacher_dim, contents["teacher"] = teacher.width, str(teacher.recipe()["teacher"])
    same = checkpoint.identity(options, contents)
    if last := checkpoint.latest(options.checkpoints):
        checkpoint.check(last, same)
    torch.manual_seed(options.seed)
    adapter = first_adapter(options, frozen, teacher_dim)
    if teacher is not None:
        caches.fill_teacher(teacher, [e.narrative for e in examples])
        teacher = None
    caches.fill_prompts([EMPTY, *(text for e in examples for text in (e.narrative, e.keywords))])
    if options.uses_unet:
        caches.fill_latents(examples)
        if draws:
            caches.fill_predictions(examples)
    samples = None
    if main and options.sample_every and options.sample_count:
        samples = Samples(caches, examples[: options.sample_count], options.sample_steps, options.sample_guidance)
    else:
        frozen.release("vae")
    if options.uses_unet and options.gradient_checkpointing:
        frozen.part("unet").enable_gradient_checkpointing()
    batches = Batches(examples, caches, options)
    trainer = Trainer(options, frozen, adapter, batches, accelerator, same, samples, interrupted)
    done = trainer.run()
    if done < options.steps:
        return None
    folder = options.output / "adapter"
    if main:
        _export(trainer, folder, same, len(examples))
    accelerator.wait_for_everyone()
    return folder


def _check_folder(option: str, folder: Path) -> None:
    """Raises ConfigError where a folder that a run writes to cannot be made, since a file has its name or its parent's."""
    there = next((place for place in (folder, *folder.parents) if place.exists()), None)
    if there is not None and not there.is_dir():
        raise ConfigError(f"{there} is a file; give the name of a folder with {option}.")


def _export(trainer: Trainer, folder: Path, same: dict[str, object], examples: int) -> None:
    if trainer.ema is not None:
        checkpoint.save_average(trainer.adapter, trainer.ema, folder)
    else:
        trainer.adapter.save_pretrained(folder)
    asked = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(trainer.options).items()}
    about = {
        "options": {k: v for k, v in asked.items() if k not in ("output", "cache", "asked")},
        "run": same,
        "examples": examples,
        "processes": trainer.accelerator.num_processes,
        "versions": {"torch": torch.__version__, "diffusers": diffusers.__version__},
    }
    write_text(folder / "training.json", json.dumps(about, indent=1) + "\n")


def _tell(examples: Sequence[Example], frozen: FrozenModel) -> None:
    narratives, keywords = (
        sum(map(frozen.cut, texts)) for texts in zip(*((e.narrative, e.keywords) for e in examples), strict=True)
    )
    print(f"{len(examples)} examples.", file=sys.stderr)
    if narratives or keywords:
        print(
            f"{narratives} narratives and {keywords} keyword prompts are longer than {frozen.max_length} tokens; the"
            " model never reads their ends.",
            file=sys.stderr,
        )


def _digest(examples: Sequence[Example]) -> str:
    digest = hashlib.sha256()
    for e in examples:
        digest.update(json.dumps([e.narrative, e.keywords, e.digest]).encode())
    return digest.hexdigest()


def _has_bf16(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
