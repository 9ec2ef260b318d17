"""The SUR-adapter: a small network between a diffusion model's text encoder and its UNet (https://arxiv.org/abs/2305.05189)."""

from vignette.sur.adapter import SURAdapter

__all__ = ["SURAdapter"]
