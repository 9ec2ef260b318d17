"""How well words fit a picture: the cosine between a CLIP-like model's two embeddings, from -1 to 1, not scaled."""

from __future__ import annotations

import hashlib
import os

from vignette.surd.models import identity, sentences
from vignette.surd.stages import Row, Stage, Work, load_upright


def score_stage(model: str, *, revision: str | None = None, batch_size: int = 32) -> Stage:
    """`model`: any dual encoder of transformers (CLIP, SigLIP, AltCLIP, …), as a Hugging Face id or a folder."""
    name = f"score/1 {identity(model, revision)}"
    return Stage(name, make_score, {"model": model, "revision": revision}, batch_size, device=True)


def score_key(digest: str, text: str) -> str:
    return f"{digest}:{hashlib.sha256(text.encode()).hexdigest()}"


def make_score(model: str, revision: str | None) -> Work:
    """`{path, text}` -> `{cosine}`. A text beyond the model's length is cut there, as the image model's encoder does."""
    import torch
    from transformers import AutoModel, AutoProcessor

    from vignette.engine.loader import pick_device

    device = pick_device(os.environ.get("VIGNETTE_DEVICE") or "auto")
    with sentences("--clip", model):
        network = AutoModel.from_pretrained(model, revision=revision, use_safetensors=True).to(device)
        processor = AutoProcessor.from_pretrained(model, revision=revision)
        if not hasattr(network, "logit_scale"):
            raise ValueError("it has no pair of image and text encoders.")
        longest = network.config.text_config.max_position_embeddings
    network.eval()

    @torch.inference_mode()
    def score(rows: list[Row]) -> list[Row]:
        images = [load_upright(row["path"]) for row in rows]
        texts = [row["text"] for row in rows]
        # SigLIP was trained on texts filled up to its length, and reads shorter ones badly.
        padding = "max_length" if "siglip" in network.config.model_type else "longest"
        inputs = processor(
            images=images, text=texts, padding=padding, truncation=True, max_length=longest, return_tensors="pt"
        ).to(device)
        output = network(**inputs)
        cosine = torch.nn.functional.cosine_similarity(output.image_embeds, output.text_embeds)
        return [{"cosine": round(value, 5)} for value in cosine.float().tolist()]

    return score
