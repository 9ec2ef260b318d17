"""Small training data, a language model and an SDXL with random weights, and options that fit them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tests.tiny import SD15, write_tokenizer
from vignette.training.options import Options

ROWS = [(f"a story of {n} cats", f"{n}cat, red cat") for n in ("one", "two", "three", "four", "five", "six")]


def picture(seed: int, size: tuple[int, int] = (40, 36)) -> bytes:
    array = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG")
    return out.getvalue()


def write_imagefolder(folder: Path, rows: list[Any] | None = None) -> Path:
    """`rows` replace the metadata; pictures 0.png to 5.png are there anyway."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(len(ROWS)):
        (folder / f"{i}.png").write_bytes(picture(i))
    rows = (
        [{"file_name": f"{i}.png", "text": t, "prompt": p} for i, (t, p) in enumerate(ROWS)] if rows is None else rows
    )
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "metadata.jsonl").write_text("".join(line + "\n" for line in lines))
    return folder


def write_shard(file: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(file, "w") as shard:
        for name, raw in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            shard.addfile(info, io.BytesIO(raw))
    return file


def write_teacher(folder: Path, *, width: int = 24, seed: int = 0) -> Path:
    """A Llama of three layers that knows a few words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = ["<unk>", "</s>", "a", "story", "of", "one", "two", "three", "four", "five", "six", "cats"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>").save_pretrained(folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=64,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def write_xl(folder: Path, *, seed: int = 3) -> Path:
    """A `StableDiffusionXLPipeline` folder: encoders 32 and 24 wide, pooled vector 16 wide, pictures of 32 pixels."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(seed)
    tokenizer = write_tokenizer(folder / "tokenizer-source")

    def config(width: int) -> CLIPTextConfig:
        return CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=64,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=77,
            projection_dim=16,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )

    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=56,
        attention_head_dim=2,
        norm_num_groups=4,
        addition_embed_type="text_time",
        addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=16 + 6 * 4,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
    )
    StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(config(32)),
        text_encoder_2=CLIPTextModelWithProjection(config(24)),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet,
        scheduler=DDIMScheduler(**SD15),
    ).save_pretrained(folder, safe_serialization=True)
    return folder


def small(model: Path, data: Path, output: Path, **more: Any) -> Options:
    """Options for the tiny models; no pictures are drawn unless asked for."""
    given: dict[str, Any] = {
        "steps": 4,
        "batch_size": 4,
        "micro_batch_size": 2,
        "learning_rate": 1e-3,
        "warmup_steps": 2,
        "num_heads": 4,
        "num_layers": 1,
        "sample_every": 0,
        "sample_steps": 2,
        "precision": "fp32",
    }
    return Options(model=model, data=data, output=output, **{**given, **more})


def losses_of(output: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (output / "losses.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "samples_per_second"} for line in lines]
