"""LoRAs and textual inversions of Stable Diffusion XL: two text encoders, and Stability's names of the UNet's blocks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.drawing import assert_same, draw, request
from tests.tiny_training import write_xl
from vignette.engine.catalogue import EmbeddingSpec, LoraSpec, ModelSpec
from vignette.engine.loader import load_model
from vignette.engine.text import encode_texts

CPU = torch.device("cpu")
TEXT = "encoder_layers_1_self_attn_q_proj"
# By kohya-ss's name: the part, the module's name in it, and its weight's shape.
PLACES: dict[str, tuple[str, str, tuple[int, ...]]] = {
    "lora_unet_input_blocks_3_1_transformer_blocks_0_attn2_to_k": (
        "unet",
        "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k",
        (16, 56),
    ),
    "lora_unet_middle_block_1_transformer_blocks_0_attn1_to_out_0": (
        "unet",
        "mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0",
        (16, 16),
    ),
    "lora_unet_output_blocks_1_1_transformer_blocks_0_attn1_to_q": (
        "unet",
        "up_blocks.0.attentions.1.transformer_blocks.0.attn1.to_q",
        (16, 16),
    ),
    "lora_unet_input_blocks_3_0_in_layers_2": ("unet", "down_blocks.1.resnets.0.conv1", (16, 8, 3, 3)),
    "lora_unet_input_blocks_2_0_op": ("unet", "down_blocks.0.downsamplers.0.conv", (8, 8, 3, 3)),
    "lora_unet_output_blocks_1_0_skip_connection": ("unet", "up_blocks.0.resnets.1.conv_shortcut", (16, 24, 1, 1)),
    "lora_unet_input_blocks_0_0": ("unet", "conv_in", (8, 4, 3, 3)),
    "lora_unet_label_emb_0_2": ("unet", "add_embedding.linear_2", (32, 32)),
    f"lora_te1_text_model_{TEXT}": ("text_encoder", TEXT, (32, 32)),
    f"lora_te2_text_model_{TEXT}": ("text_encoder_2", TEXT, (24, 24)),
}
RANK = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_xl(tmp_path_factory.mktemp("xl"))


def weight_name(keys: list[str], name: str) -> str:
    return next(key for key in keys if key.removeprefix("text_model.").replace(".", "_") == f"{name}_weight")


def test_a_lora_reaches_both_text_encoders_and_the_unet(folder: Path, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    lora: dict[str, torch.Tensor] = {}
    fused = Path(shutil.copytree(folder, tmp_path / "fused"))
    for stem, (part, name, shape) in PLACES.items():
        up = torch.randn(shape[0], RANK, *([1, 1] if len(shape) == 4 else []), generator=generator)
        down = 0.3 * torch.randn(RANK, *shape[1:], generator=generator)
        lora |= {f"{stem}.lora_up.weight": up, f"{stem}.lora_down.weight": down}
        lora[f"{stem}.alpha"] = torch.tensor(float(RANK))
        [file] = (fused / part).glob("*.safetensors")
        weights = load_file(file)
        key = weight_name(list(weights), name.replace(".", "_"))
        change = (up.flatten(1) @ down.flatten(1)).view_as(weights[key])
        save_file(weights | {key: weights[key] + 0.5 * change}, file, metadata={"format": "pt"})
    save_file(lora, tmp_path / "lora.safetensors")
    spec = ModelSpec(id="tiny", path=folder, loras=(LoraSpec(id="ink", path=tmp_path / "lora.safetensors"),))
    model = load_model(spec, CPU)
    drawn = draw(model, request(loras=(("ink", 0.5),))).pictures()
    assert_same(drawn, draw(load_model(ModelSpec(id="tiny", path=fused), CPU), request()).pictures())
    assert (drawn[0] != draw(model, request()).pictures()[0]).any()


def test_a_textual_inversion_has_vectors_for_both(folder: Path, tmp_path: Path) -> None:
    plain = load_model(ModelSpec(id="tiny", path=folder), CPU)
    ids = [i for word in ("cat", "t") for i in plain.tokenizer(word, add_special_tokens=False).input_ids]
    encoders = {"clip_l": plain.text_encoder, "clip_g": plain.text_encoder_2}
    vectors = {name: encoder.get_input_embeddings().weight[ids].clone() for name, encoder in encoders.items()}
    save_file(vectors, tmp_path / "dusk.safetensors")
    embeddings = (EmbeddingSpec(token="<dusk>", path=tmp_path / "dusk.safetensors"),)
    model = load_model(ModelSpec(id="tiny", path=folder, embeddings=embeddings), CPU)
    ours = encode_texts(model, ["a <dusk> b"])["a <dusk> b"]
    theirs = encode_texts(plain, ["a cat t b"])["a cat t b"]
    torch.testing.assert_close(ours.states, theirs.states)
    torch.testing.assert_close(ours.pooled, theirs.pooled)
