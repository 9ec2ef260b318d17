"""Random captioners and CLIP models, small enough to run in milliseconds."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
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
    CLIPVisionConfig,
    GitConfig,
    GitForCausalLM,
    GitProcessor,
    GPT2Config,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
    ViTImageProcessor,
)

from tests.tiny import write_tokenizer

SIDE = 16
SIZE = {"height": SIDE, "width": SIDE}
WORDS = ["a", "an", "the", "of", "two", "three", "cat", "dog", "bird", "is", "are", "asleep", "on", "in", "and", "with"]
WORDS += ["red", "green", "blue", "beach", "meadow", "picture"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]"]
VOCABULARY = len(SPECIAL) + len(WORDS)
TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
# The default spread is so small that a random model would not see the picture.
SPREAD = {"initializer_range": 0.5}
VISION = {**TOWER, **SPREAD, "image_size": SIDE, "patch_size": 8}
CHAT = (
    "{% for message in messages %}USER {% for part in message['content'] %}"
    "{{ '<image> ' if part['type'] == 'image' else part['text'] + ' ' }}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}ANSWER{% endif %}"
)


def write_bert(folder: Path) -> BertTokenizer:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join([*SPECIAL, *WORDS]))
    return BertTokenizer(vocab=str(folder / "vocab.txt"), additional_special_tokens=["[DEC]"])


def write_blip(folder: Path) -> Path:
    """A BLIP captioner whose captions are random words, other ones for other pictures."""
    tokenizer = write_bert(folder)
    text = {**TOWER, "vocab_size": VOCABULARY, "encoder_hidden_size": 16, "max_position_embeddings": 64, **SPREAD}
    text |= {"bos_token_id": 5, "sep_token_id": 3, "eos_token_id": 3, "pad_token_id": 0, "projection_dim": 16}
    torch.manual_seed(1)
    model = BlipForConditionalGeneration(BlipConfig(text_config=text, vision_config=VISION, projection_dim=16))
    model.save_pretrained(folder)
    BlipProcessor(BlipImageProcessor(size=SIZE), tokenizer).save_pretrained(folder)
    return folder


def write_git(folder: Path) -> Path:
    """A GIT captioner: one network that reads the picture's patches as if they were words."""
    tokenizer = write_bert(folder)
    special = {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}
    config = GitConfig(**TOWER, **SPREAD, **special, vocab_size=VOCABULARY, vision_config=VISION)
    torch.manual_seed(1)
    GitForCausalLM(config).save_pretrained(folder)
    GitProcessor(CLIPImageProcessor(size=SIZE, crop_size=SIZE), tokenizer).save_pretrained(folder)
    return folder


def write_pair(folder: Path) -> Path:
    """A ViT and a GPT-2 as a captioner, with an image processor and a tokenizer but no processor of both."""
    tokenizer = write_bert(folder)
    decoder = GPT2Config(vocab_size=VOCABULARY, n_embd=16, n_layer=1, n_head=2, n_positions=64, **SPREAD)
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(ViTConfig(**VISION), decoder)
    torch.manual_seed(1)
    model = VisionEncoderDecoderModel(config)
    model.generation_config.update(decoder_start_token_id=2, bos_token_id=2, eos_token_id=3, pad_token_id=0)
    model.save_pretrained(folder)
    ViTImageProcessor(size=SIZE).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_chat(folder: Path) -> Path:
    """A LLaVA, which is told in a conversation what to do and repeats it in front of its answer."""
    words = ["[PAD]", "[UNK]", "[END]", "<image>", "USER", "ANSWER", *WORDS]
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "eos_token": "[END]"}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        additional_special_tokens=["<image>", "USER", "ANSWER"],
        model_input_names=["input_ids", "attention_mask"],
        **special,
    )
    text = LlamaConfig(**TOWER, **SPREAD, vocab_size=len(words), pad_token_id=0, bos_token_id=None, eos_token_id=2)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**VISION), text_config=text, image_token_index=3, vision_feature_layer=-1
    )
    torch.manual_seed(1)
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    LlavaProcessor(
        CLIPImageProcessor(size=SIZE, crop_size=SIZE),
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,  # the CLIP encoder's own, which that strategy leaves out
        chat_template=CHAT,
    ).save_pretrained(folder)
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
