"""The frozen diffusion model that an adapter is trained for: Stable Diffusion 1.x, 2.x or XL from a diffusers folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vignette.engine.components import KINDS, require_weights
from vignette.engine.fit import check_tokenizer, check_unet, read_config
from vignette.engine.folders import load_part, read_json
from vignette.errors import ConfigError
from vignette.sur.text_encoder import identify_files
from vignette.training.store import hash_files

ENCODERS = (("text_encoder", "tokenizer"), ("text_encoder_2", "tokenizer_2"))


@dataclass(frozen=True)
class EncodedPrompts:
    """`states` `[B, L, D]`, both encoders side by side for SDXL; `mask` `[B, L]`; `pooled` `[B, P]` for SDXL only."""

    states: torch.Tensor
    mask: torch.Tensor
    pooled: torch.Tensor | None


class FrozenModel:
    """
    The parts of one model, loaded when they are first needed and released by `release`, all without gradients.

    Args:
        folder: A diffusers folder of `StableDiffusionPipeline` or `StableDiffusionXLPipeline` with safetensors.
        device: Where the parts run.
        dtype: Of the UNet. Text encoders and VAE run in float32: what they give is computed once and cached, and the
            VAE of SDXL overflows in float16.

    Raises:
        ConfigError: No such folder, another kind of pipeline, a part that is missing, cut off, pickled or of another model.
    """

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        self.folder, self.device, self.dtype = folder, device, dtype
        self._parts: dict[str, Any] = {}
        index = folder / "model_index.json"
        if not index.is_file():
            raise ConfigError(
                f"{folder} is no diffusers folder (model_index.json is missing). A single file becomes one with"
                " StableDiffusionPipeline.from_single_file(FILE).save_pretrained(FOLDER)."
            )
        about = read_json(index)
        kind = about.get("_class_name")
        if kind not in KINDS:
            raise ConfigError(f"{folder} holds a {kind}; an adapter is trained for {' or '.join(KINDS)}.")
        self.is_xl = KINDS[kind]
        self.zeros_for_empty = self.is_xl and bool(about.get("force_zeros_for_empty_prompt", False))
        self.encoders = ENCODERS if self.is_xl else ENCODERS[:1]
        for part in ("unet", "vae", *(name for name, _ in self.encoders)):
            require_weights(folder / part)
        for _, tokenizer in self.encoders:
            check_tokenizer(folder / tokenizer)
        read_json(folder / "scheduler" / "scheduler_config.json")
        encoders = [read_config(folder, name) for name, _ in self.encoders]
        unet, vae = read_config(folder, "unet"), read_config(folder, "vae")
        # Widths of the encoders' halves of a hidden state: (768,), (1024,) or (768, 1280).
        self.widths = tuple(config["hidden_size"] for config in encoders)
        if unet["cross_attention_dim"] != sum(self.widths):
            raise ConfigError(
                f"{folder}: the UNet reads states {unet['cross_attention_dim']} wide, the text encoders give"
                f" {sum(self.widths)}."
            )
        check_unet(folder, unet, vae, encoders[1]["projection_dim"] if self.is_xl else None)
        self.pixels_per_latent = 2 ** (len(vae["block_out_channels"]) - 1)
        self._side = unet.get("sample_size")

    @property
    def resolution(self) -> int:
        """The side in pixels that the UNet was trained at. Raises ConfigError where its configuration does not say."""
        if not isinstance(self._side, int):
            # The VAE's sample_size is no stand-in: one VAE serves UNets of several sizes.
            raise ConfigError(
                f"{self.folder / 'unet' / 'config.json'} gives no side of a square in latents as sample_size: name the side of"
                " the pictures in pixels with --resolution."
            )
        return self._side * self.pixels_per_latent

    def hash(self, *parts: str) -> str:
        """Content hash of some parts: "text", "vae", "unet"."""
        folders = [self.folder / "vae"] if "vae" in parts else []
        if "unet" in parts:
            folders += [self.folder / "unet", self.folder / "scheduler"]
        if "text" in parts:
            folders += [self.folder / name for pair in self.encoders for name in pair]
        return hash_files(*folders)

    def part(self, name: str) -> Any:
        """One component, frozen and in `eval()`; tokenizers and the scheduler too."""
        if name not in self._parts:
            self._parts[name] = self._load(name)
        return self._parts[name]

    def release(self, *names: str) -> None:
        """Lets go of components whose results are cached."""
        for name in names:
            self._parts.pop(name, None)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def identify(self) -> list[str]:
        """What an adapter's configuration says of the text encoders."""
        return identify_files(self.folder / name for name, _ in self.encoders)

    @property
    def max_length(self) -> int:
        return self.part("tokenizer").model_max_length

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> EncodedPrompts:
        """What diffusers' `encode_prompt` gives: last states of one encoder, or the last but one of SDXL's two."""
        halves, pooled, mask = [], None, None
        for encoder, tokenizer in self.encoders:
            tokens = self.part(tokenizer)(
                list(texts), padding="max_length", max_length=self.max_length, truncation=True, return_tensors="pt"
            )
            if mask is None:
                mask = tokens.attention_mask.to(self.device)
            model = self.part(encoder)
            hidden = mask if getattr(model.config, "use_attention_mask", False) else None
            out = model(tokens.input_ids.to(self.device), attention_mask=hidden, output_hidden_states=self.is_xl)
            halves.append(out.hidden_states[-2] if self.is_xl else out[0])
            pooled = out[0] if encoder == "text_encoder_2" else pooled
        assert mask is not None  # noqa: S101  # there is always an encoder
        return EncodedPrompts(torch.cat(halves, dim=-1), mask, pooled)

    def cut(self, text: str) -> bool:
        """Whether the tokenizer drops the end of a text."""
        ids = self.part("tokenizer")(text, truncation=False).input_ids
        return len(ids) > self.max_length

    @torch.no_grad()
    def encode_pictures(self, pixels: torch.Tensor) -> torch.Tensor:
        """`[B, 3, H, W]` in [-1, 1] to scaled latents `[B, C, H/f, W/f]`, the mode of the posterior."""
        vae = self.part("vae")
        latents = vae.encode(pixels.to(self.device, vae.dtype)).latent_dist.mode()
        return (latents - (vae.config.shift_factor or 0)) * vae.config.scaling_factor

    def predict(
        self, noisy: torch.Tensor, timesteps: torch.Tensor, states: torch.Tensor, pooled: torch.Tensor | None
    ) -> torch.Tensor:
        """One UNet call, `[B, C, h, w]` in float32; gradients flow to `states`."""
        added = None
        if self.is_xl:
            side_y, side_x = (n * self.pixels_per_latent for n in noisy.shape[-2:])
            # Original size, crop offset and target size, as SDXL's micro-conditioning wants them (arXiv 2307.01952).
            sizes = torch.tensor([[side_y, side_x, 0, 0, side_y, side_x]], dtype=self.dtype, device=self.device)
            added = {"text_embeds": pooled.to(self.dtype), "time_ids": sizes.expand(len(noisy), -1)}  # type: ignore[union-attr]
        return self.part("unet")(
            noisy.to(self.dtype), timesteps, states.to(self.dtype), added_cond_kwargs=added, return_dict=False
        )[0].float()

    def _load(self, name: str) -> Any:
        import diffusers
        import transformers

        if name.startswith("tokenizer"):
            return transformers.CLIPTokenizer.from_pretrained(str(self.folder / name), local_files_only=True)
        if name == "scheduler":
            config = read_json(self.folder / "scheduler" / "scheduler_config.json")
            return diffusers.DDIMScheduler.from_config(config)
        kind, dtype = {
            "unet": (diffusers.UNet2DConditionModel, self.dtype),
            "vae": (diffusers.AutoencoderKL, torch.float32),
            "text_encoder": (transformers.CLIPTextModel, torch.float32),
            "text_encoder_2": (transformers.CLIPTextModelWithProjection, torch.float32),
        }[name]
        files = [file.name for file in (self.folder / name).glob("*.safetensors")]
        variant = "fp16" if all(".fp16." in file for file in files) else None
        part = load_part(kind, self.folder / name, dtype, variant)
        return part.to(self.device).eval().requires_grad_(False)
