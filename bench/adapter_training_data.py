"""What the adapter's bench trains on: a model in its full size, a teacher and triples, all with random contents, on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import CLIPTokenizer, LlamaConfig, LlamaModel

from runner_models import MODELS_TOML, bench_model, diffusers_pipeline
from vignette.engine.catalogue import read_catalogue

NARRATIVES = (
    "the night my grandmother's two cats fell asleep on the beach",
    "could you draw the three birds that flew over our meadow last spring",
    "once a frog as green as grass sat in the snow and waited",
    "my brother's dog jumped over a balloon when it was dark",
)
KEYWORDS = "2cat, purple cat, sleeping, beach background, best quality"
# HuggingFaceTB/SmolLM2-135M, config.json.
SMOLLM2: dict[str, Any] = {
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
}


def model_folder(name: str, folder: Path) -> Path:
    """The miniature's own folder, or one of `name` in full size with random weights."""
    if name == "miniature":
        return read_catalogue(MODELS_TOML).default.path
    # Half of the disk; the trainer reads it in the precision that it wants.
    diffusers_pipeline(bench_model(name, torch.device("cpu"), torch.bfloat16)).save_pretrained(folder)
    return folder


def teacher_folder(folder: Path) -> Path:
    """A language model of SmolLM2-135M's shape with the miniature's tokenizer."""
    CLIPTokenizer.from_pretrained(read_catalogue(MODELS_TOML).default.path / "tokenizer").save_pretrained(folder)
    torch.manual_seed(1)
    LlamaModel(LlamaConfig(vocab_size=49152, **SMOLLM2)).save_pretrained(folder)
    return folder


def data_folder(folder: Path, count: int, side: int) -> Path:
    """`count` triples; every picture and prompt is another."""
    folder.mkdir()
    rows = []
    for k in range(count):
        pixels = np.random.default_rng(k).integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.png")
        text = f"{NARRATIVES[k % len(NARRATIVES)]}, {k}"
        rows.append(json.dumps({"file_name": f"{k}.png", "text": text, "prompt": f"{KEYWORDS}, {k}"}))
    (folder / "metadata.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder
