"""Single files of Stable Diffusion 2.x and XL, whose text encoders have OpenCLIP's names."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from tests.drawing import assert_same, draw, request
from tests.test_loader_single_file import unet_name, vae_name
from tests.tiny import SD2_UNET, SD15, write_model
from tests.tiny_training import write_xl
from vignette.engine.catalogue import ModelSpec
from vignette.engine.loader import load_model

CPU = torch.device("cpu")
LAYER = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
WHOLE = {
    "embeddings.position_embedding.weight": "positional_embedding",
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "final_layer_norm.weight": "ln_final.weight",
    "final_layer_norm.bias": "ln_final.bias",
}
ADDED = {"add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2"}


def open_clip(file: Path, prefix: str) -> dict[str, torch.Tensor]:
    """transformers' weights with OpenCLIP's names and its joined query, key and value."""
    given = {key.removeprefix("text_model."): value for key, value in load_file(file).items()}
    found = {new: given[old] for old, new in WHOLE.items()}
    if "text_projection.weight" in given:
        found["text_projection"] = given["text_projection.weight"].T
    layers = {int(key.split(".")[2]) for key in given if key.startswith("encoder.layers.")}
    for layer in layers:
        old, new = f"encoder.layers.{layer}", f"transformer.resblocks.{layer}"
        for kind in ("weight", "bias"):
            found |= {f"{new}.{theirs}.{kind}": given[f"{old}.{ours}.{kind}"] for ours, theirs in LAYER.items()}
            joined = [given[f"{old}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            found[f"{new}.attn.in_proj_{kind}"] = torch.cat(joined)
    return {f"{prefix}{key}": value for key, value in found.items()}


def pictures_part(folder: Path) -> dict[str, torch.Tensor]:
    """UNet and VAE with Stability's names."""
    found = {}
    for key, value in load_file(folder / "unet/diffusion_pytorch_model.safetensors").items():
        added = next((name for name in ADDED if key.startswith(f"{name}.")), None)
        name = f"model.diffusion_model.{key.replace(added, ADDED[added])}" if added else unet_name(key)
        found[name] = value
    for key, value in load_file(folder / "vae/diffusion_pytorch_model.safetensors").items():
        attention = ".attentions.0.to_" in key and value.ndim == 2
        found[vae_name(key)] = value[:, :, None, None] if attention else value
    return found


def assert_the_file_draws_the_same(folder: Path, weights: dict[str, torch.Tensor], file: Path) -> None:
    save_file({key: value.clone().contiguous() for key, value in weights.items()}, file)
    single, whole = (
        load_model(spec, CPU)
        for spec in (ModelSpec(id="tiny", path=file, config=folder), ModelSpec(id="tiny", path=folder))
    )
    assert_same(draw(single, request()).pictures(), draw(whole, request()).pictures())


def test_stable_diffusion_2(tmp_path: Path) -> None:
    schedule = SD15 | {"prediction_type": "v_prediction"}
    folder = write_model(tmp_path / "sd2", scheduler=schedule, unet_config=SD2_UNET, pad="!")
    text = open_clip(folder / "text_encoder/model.safetensors", "cond_stage_model.model.")
    assert_the_file_draws_the_same(folder, pictures_part(folder) | text, tmp_path / "model.safetensors")


def test_stable_diffusion_xl(tmp_path: Path) -> None:
    folder = write_xl(tmp_path / "xl")
    first = {
        f"conditioner.embedders.0.transformer.text_model.{key.removeprefix('text_model.')}": value
        for key, value in load_file(folder / "text_encoder/model.safetensors").items()
    }
    second = open_clip(folder / "text_encoder_2/model.safetensors", "conditioner.embedders.1.model.")
    assert_the_file_draws_the_same(folder, pictures_part(folder) | first | second, tmp_path / "model.safetensors")
