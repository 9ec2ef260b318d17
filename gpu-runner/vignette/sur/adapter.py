"""`SURAdapter`, the model that the rest of Vignette loads, trains and calls."""

from __future__ import annotations

import math
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

from vignette.sur.checkpoint import read_adapter, write_atomically
from vignette.sur.sequence_layout import SequenceEncoder
from vignette.sur.text_encoder import numbers
from vignette.sur.token_layout import TokenEncoder


class SURAdapter(ModelMixin, ConfigMixin):  # type: ignore[misc]  # both bases name the configuration file
    r"""
    Semantic Understanding and Reasoning adapter (Zhong et al., ACM MM 2023, https://arxiv.org/abs/2305.05189).

    It takes the text encoder's last hidden states of a narrative prompt and returns states of the same shape that the
    frozen UNet reads as if the prompt had been a good list of keywords. One prompt never sees another: the result for
    a row of the batch is the same alone or in any company.

    Args:
        hidden_size (`int`): Width D of the text encoder, 768 for Stable Diffusion 1.x, 1024 for 2.x.
        layout (`str`, defaults to `"sequence"`): `"sequence"` is the corrected design, attention over the tokens of
            one prompt and identity at step 0. `"token"` is faithful to the published checkpoints, whose encoder
            attention was trained on length 1 (see [`~vignette.sur.token_layout.TokenEncoder`]).
        num_layers (`int`, defaults to 2): Transformer blocks.
        num_heads (`int`, defaults to 8): Attention heads; has to divide `hidden_size`. Unused by the token layout.
        feedforward_size (`int`, *optional*, defaults to `4 * hidden_size`): Inner width of the blocks' MLPs.
        dropout (`float`, defaults to 0.0): Dropout while training, in [0, 1). Never active in `eval()`.
        eta (`float`, defaults to 1.0): Mixing weight in [0, 1], part of the checkpoint.
        default_scale (`float`, defaults to 1.0): The `scale` that a caller should use when nobody names one.
        adapt_negative (`bool`, defaults to `False`): Whether it was trained to see the negative prompt too.
        mask_padding (`bool`, defaults to `True`): Whether the sequence layout hides padding from its attention. With
            `False` an `attention_mask` changes nothing, so callers may pass it always.
        max_length (`int`, defaults to 77): Most tokens in a prompt, L. Unused by the token layout.
        teacher_dim (`int`, *optional*): Width of a language model's sentence vector. With it the checkpoint carries
            the projection used in distillation, so that training can be resumed; inference never calls it.
        text_encoder (`list[str]`, *optional*): Which text encoders it was trained for, as
            [`~vignette.sur.text_encoder.identify`] writes them. Without it nothing but their width is known.
    """

    @register_to_config
    def __init__(
        self,
        hidden_size: int,
        layout: Literal["token", "sequence"] = "sequence",
        num_layers: int = 2,
        num_heads: int = 8,
        feedforward_size: int | None = None,
        dropout: float = 0.0,
        eta: float = 1.0,
        default_scale: float = 1.0,
        adapt_negative: bool = False,
        mask_padding: bool = True,
        max_length: int = 77,
        teacher_dim: int | None = None,
        text_encoder: list[str] | None = None,
    ) -> None:
        super().__init__()
        if layout not in ("token", "sequence"):
            raise ValueError(f"layout must be 'token' or 'sequence', not {layout!r}.")
        if not (math.isfinite(eta) and 0.0 <= eta <= 1.0):
            raise ValueError(f"eta must lie between 0 and 1, not {eta}.")
        if layout == "sequence" and hidden_size % num_heads:
            raise ValueError(f"num_heads ({num_heads}) has to divide hidden_size ({hidden_size}).")
        for mark in text_encoder or ():
            numbers(mark)
        inner = 4 * hidden_size if feedforward_size is None else feedforward_size
        self.encoder: TokenEncoder | SequenceEncoder
        if layout == "token":
            self.encoder = TokenEncoder(hidden_size, num_layers, inner, dropout)
        else:
            self.encoder = SequenceEncoder(hidden_size, num_layers, num_heads, inner, dropout, max_length)
        self.teacher_head = nn.Linear(hidden_size, teacher_dim) if teacher_dim else None

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        scale: float | torch.Tensor = 1.0,
    ) -> torch.Tensor:
        """
        Args:
            hidden_states (`torch.Tensor` of shape `[B, L, D]`): The text encoder's last hidden states.
            attention_mask (`torch.Tensor` of shape `[B, L]`, *optional*): The tokenizer's mask, 0 at padding.
            scale (`float` or `torch.Tensor` of shape `[B]`, defaults to 1.0): Strength per prompt, in units of the
                trained one. 0 gives `hidden_states` back.

        Returns:
            `torch.Tensor` of shape `[B, L, D]`, dtype of `hidden_states`.

        Raises:
            ValueError: A shape that does not fit the configuration, or training with `mask_padding` without a mask.
        """
        self._check(hidden_states, attention_mask, scale)
        if isinstance(scale, torch.Tensor):
            scale = scale.to(hidden_states).reshape(-1, 1, 1)
        weight = scale * self.config["eta"]
        if self.config["layout"] == "token":
            return weight * self.encoder(hidden_states) + (1 - weight) * hidden_states
        mask = attention_mask if self.config["mask_padding"] else None
        return hidden_states + weight * self.encoder(hidden_states, mask)

    def sentence_for_teacher(self, adapted: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """Mean of the adapted tokens that are no padding, `[B, L, D]`, in the teacher's space, `[B, teacher_dim]`."""
        if self.teacher_head is None:
            raise ValueError("This adapter has no teacher_head: build it with teacher_dim=<width of the teacher>.")
        if attention_mask is None:
            return self.teacher_head(adapted.mean(dim=1))
        kept = attention_mask.to(adapted).unsqueeze(-1)
        return self.teacher_head((adapted * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1))

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> SURAdapter:
        """
        Loads `config.json` and safetensors from a local folder, in `eval()` mode, and insists that every weight is
        there, none is left over, all are finite and belong to that `config.json`; `from_pretrained` would only log a
        warning.

        Raises:
            ValueError: Missing, cut or damaged files, or weights that do not fit the configuration.
        """
        return read_adapter(cls, Path(folder))

    def save_pretrained(self, save_directory: str | PathLike[str], **rest: Any) -> None:  # type: ignore[override]
        """
        Writes `config.json`, which names the weights by their SHA-256, and safetensors beside the folder, then renames
        them into it one by one: whatever interrupts, the old adapter is there, the new one, or what [`load`] refuses.
        Arguments are those of diffusers' `ModelMixin.save_pretrained`.
        """
        if rest.get("safe_serialization") is False:
            raise ValueError("A SUR-adapter is saved as safetensors only; leave safe_serialization out.")
        write = super().save_pretrained
        write_atomically(lambda scratch: write(str(scratch), **rest), Path(save_directory))

    def _check(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None, scale: float | torch.Tensor
    ) -> None:
        width = self.config["hidden_size"]
        if hidden_states.ndim != 3 or hidden_states.shape[-1] != width:
            raise ValueError(
                f"hidden_states must be [batch, tokens, {width}], not {list(hidden_states.shape)}: "
                "this adapter was made for a text encoder of another width."
            )
        batch, length = hidden_states.shape[:2]
        if self.config["layout"] == "sequence" and length > self.config["max_length"]:
            raise ValueError(
                f"hidden_states has {length} tokens, this adapter takes at most {self.config['max_length']}."
            )
        if attention_mask is not None and tuple(attention_mask.shape) != (batch, length):
            raise ValueError(f"attention_mask must be [{batch}, {length}], not {list(attention_mask.shape)}.")
        if (
            attention_mask is None
            and self.training
            and self.config["layout"] == "sequence"
            and self.config["mask_padding"]
        ):
            raise ValueError(
                "This adapter hides padding (mask_padding=True), so training it needs the tokenizer's attention_mask."
            )
        if isinstance(scale, torch.Tensor) and scale.numel() not in (1, batch):
            raise ValueError(f"scale must be a number or [{batch}], not {list(scale.shape)}.")
