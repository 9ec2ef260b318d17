"""The baseline: diffusers' StableDiffusionPipeline, one picture at a time, with the same weights, steps, guidance and adapter.

    PYTHONPATH=gpu-runner gpu-runner/.venv/bin/python bench/sequential.py --models gpu-runner/models.toml --images 16

Prints one JSON line: {images, seconds, images_per_minute, device, steps, guidance_scale, torch, diffusers}.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import time
from pathlib import Path

import diffusers
import torch
from diffusers import StableDiffusionPipeline

from vignette.engine.catalogue import read_catalogue
from vignette.engine.loader import pick_device
from vignette.sur import SURAdapter

WARM_UP = 2


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--prompts", type=json.loads, required=True, help="JSON list, used in turn")
    options = parser.parse_args()

    spec = read_catalogue(options.models).default
    device = pick_device(os.environ.get("VIGNETTE_DEVICE", "auto"))
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    pipe = StableDiffusionPipeline.from_pretrained(spec.path, torch_dtype=dtype, safety_checker=None).to(device)
    pipe.set_progress_bar_config(disable=True)
    adapters = {a.id: SURAdapter.load(a.path).to(device, dtype) for a in spec.adapters}
    adapter = adapters.get(spec.default_adapter) if spec.default_adapter else None

    def draw(seed: int) -> None:
        prompt = options.prompts[seed % len(options.prompts)]
        cond, uncond = pipe.encode_prompt(prompt, device, 1, True, spec.defaults.negative_prompt)
        if adapter is not None:
            tokens = pipe.tokenizer(
                prompt,
                padding="max_length",
                max_length=pipe.tokenizer.model_max_length,
                truncation=True,
                return_tensors="pt",
            )
            cond = adapter(cond, tokens.attention_mask.to(device), spec.defaults.adapter_scale)
        image = pipe(
            prompt_embeds=cond,
            negative_prompt_embeds=uncond,
            width=spec.defaults.width,
            height=spec.defaults.height,
            num_inference_steps=spec.defaults.num_inference_steps,
            guidance_scale=spec.defaults.guidance_scale,
            generator=torch.Generator("cpu").manual_seed(seed),
        ).images[0]
        image.save(io.BytesIO(), "PNG")

    with torch.inference_mode():
        for seed in range(WARM_UP):
            draw(seed)
        began = time.perf_counter()
        for seed in range(options.images):
            draw(2000 + seed)
        seconds = time.perf_counter() - began

    result = {
        "images": options.images,
        "seconds": round(seconds, 2),
        "images_per_minute": round(options.images / seconds * 60, 1),
        "device": str(device),
        "steps": spec.defaults.num_inference_steps,
        "guidance_scale": spec.defaults.guidance_scale,
        "adapter": spec.default_adapter,
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "python": sys.version.split()[0],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
