"""Random captioners and CLIP models, small enough to run in milliseconds."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipProcessor,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
)

from tests.tiny import write_tokenizer

SIDE = 16
SIZE = {"height": SIDE, "width": SIDE}
WORDS = ["a", "an", "the", "of", "two", "three", "cat", "dog", "bird", "is", "are", "asleep", "on", "in", "and", "with"]
WORDS += ["red", "green", "blue", "beach", "meadow", "picture"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]"]
TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


def write_blip(folder: Path) -> Path:
    """A BLIP captioner whose captions are random words, other ones for other pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join([*SPECIAL, *WORDS]))
    tokenizer = BertTokenizer(vocab=str(folder / "vocab.txt"), additional_special_tokens=["[DEC]"])
    text = {**TOWER, "vocab_size": len(SPECIAL) + len(WORDS), "encoder_hidden_size": 16, "max_position_embeddings": 64}
    text |= {"bos_token_id": 5, "sep_token_id": 3, "eos_token_id": 3, "pad_token_id": 0, "projection_dim": 16}
    # The default spread is so small that a random model would not see the picture.
    vision = {**TOWER, "image_size": SIDE, "patch_size": 8, "initializer_range": 0.5}
    text["initializer_range"] = 0.5
    torch.manual_seed(1)
    model = BlipForConditionalGeneration(BlipConfig(text_config=text, vision_config=vision, projection_dim=16))
    model.save_pretrained(folder)
    BlipProcessor(BlipImageProcessor(size=SIZE), tokenizer).save_pretrained(folder)
    return folder


def write_clip(folder: Path) -> Path:
    """A CLIP model with both towers, and its processor."""
    tokenizer = write_tokenizer(folder)
    text = {**TOWER, "vocab_size": len(tokenizer), "max_position_embeddings": 77}
    text |= {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    vision = {**TOWER, "image_size": SIDE, "patch_size": 8}
    torch.manual_seed(6)
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)).save_pretrained(folder)
    images = CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=SIZE)
    CLIPProcessor(images, tokenizer).save_pretrained(folder)
    return folder
