"""
The losses, each as one number per sample so that a bad sample can be named and the split over processes changes nothing.

Hidden states are `[B, L, D]`. SDXL's states are two encoders' halves side by side, whose scales differ; `widths` cuts
them apart and every half counts the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

TEMPERATURE = 0.1
EPSILON = 1e-6


def align(
    kind: str,
    adapted: torch.Tensor,
    target: torch.Tensor,
    widths: Sequence[int],
    adapted_mask: torch.Tensor,
    target_mask: torch.Tensor,
) -> torch.Tensor:
    """
    Distance `[B]` of the adapted narrative's states to the keyword prompt's.

    Args:
        kind: "mse" in units of the target's variance over tokens; "words", the same with half of the weight on the keyword
            prompt's own tokens, since most of a prompt's positions are padding; "cosine"; "kl", KL(target || adapted) per token;
            "kl-published", KL(adapted || target) summed over tokens, as the published code has it; "attention",
            which matches tokens by similarity instead of place.
        adapted_mask, target_mask: `[B, L]`, 0 at padding; only "attention" and "words" ask for them.
    """
    halves = zip(adapted.float().split(list(widths), -1), target.float().split(list(widths), -1), strict=True)
    if kind == "attention":
        losses = [matched(x, y, adapted_mask, target_mask) for x, y in halves]
    elif kind == "words":
        losses = [(_mse(x, y) + _mse(x, y, target_mask)) / 2 for x, y in halves]
    else:
        losses = [PLACED[kind](x, y) for x, y in halves]
    return torch.stack(losses).mean(0)


def distil(kind: str, student: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Distance `[B]` of sentence vectors `[B, T]`, the adapter's and the teacher's."""
    return PLACED[kind](student.float()[:, None], target.float()[:, None])


def distil_published(adapted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The published term: the teacher's vector through a frozen random projection, held against every token's states."""
    length, width = adapted.shape[1:]
    # The published projection was neither seeded nor saved; this one is the same in every run.
    generator = torch.Generator().manual_seed(39)
    projection = torch.randn(target.shape[-1], width, generator=generator) * target.shape[-1] ** -0.5
    spread = (target.float() @ projection.to(target.device))[:, None].expand(-1, length, -1)
    return PLACED["kl-published"](adapted.float(), spread)


def matched(
    x: torch.Tensor, y: torch.Tensor, x_mask: torch.Tensor, y_mask: torch.Tensor, temperature: float = TEMPERATURE
) -> torch.Tensor:
    """
    Token-level distance `[B]` between sentences whose tokens do not pair up by place.

    Every visible token of one side attends over the other side by cosine similarity (about the mean of `y`, which all
    tokens share) and is held against what it finds there, both ways, in units of `y`'s variance.
    """
    x_mask, y_mask = x_mask.to(x.device, torch.bool), y_mask.to(x.device, torch.bool)
    kept = y_mask.unsqueeze(-1).float()
    centre = (y * kept).sum(1, keepdim=True) / kept.sum(1, keepdim=True)
    similar = F.normalize(x - centre, dim=-1) @ F.normalize(y - centre, dim=-1).transpose(1, 2) / temperature
    towards_y = similar.masked_fill(~y_mask[:, None], -torch.inf).softmax(-1) @ y
    towards_x = similar.transpose(1, 2).masked_fill(~x_mask[:, None], -torch.inf).softmax(-1) @ x
    scale = (((y - centre) ** 2).mean(-1) * y_mask).sum(1) / y_mask.sum(1) + EPSILON
    of_x = (((x - towards_y) ** 2).mean(-1) * x_mask).sum(1) / x_mask.sum(1)
    of_y = (((y - towards_x) ** 2).mean(-1) * y_mask).sum(1) / y_mask.sum(1)
    return (of_x + of_y) / (2 * scale)


def denoising(predicted: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Weighted squared error `[B]` of UNet predictions `[B, C, h, w]`."""
    return (predicted - target).square().flatten(1).mean(1) * weight


def _mse(x: torch.Tensor, y: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    # Some channels of CLIP are large and the same in every token; the variance over tokens is what prompts differ in.
    spread = y.var(dim=1, correction=0).mean(-1) if y.shape[1] > 1 else y.square().mean((1, 2))
    error = (x - y).square().mean(-1)
    kept = torch.ones_like(error) if mask is None else mask.to(error)
    return (error * kept).sum(1) / kept.sum(1) / (spread + EPSILON)


def _cosine(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (1 - F.cosine_similarity(x, y, dim=-1)).mean(1)


def _kl(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.kl_div(x.log_softmax(-1), y.log_softmax(-1), reduction="none", log_target=True).sum(-1).mean(1)


def _kl_published(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.kl_div(y.log_softmax(-1), x.log_softmax(-1), reduction="none", log_target=True).sum((1, 2))


PLACED: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "mse": _mse,
    "cosine": _cosine,
    "kl": _kl,
    "kl-published": _kl_published,
}
