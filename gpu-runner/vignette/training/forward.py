"""From a batch to its losses, one number per sample and loss."""

from __future__ import annotations

import torch

from vignette.sur import SURAdapter
from vignette.training import objectives
from vignette.training.batches import Batch
from vignette.training.frozen import FrozenModel
from vignette.training.options import Options


def losses(
    adapter: SURAdapter, frozen: FrozenModel, batch: Batch, options: Options, with_unet: bool
) -> dict[str, torch.Tensor]:
    """
    Unweighted losses `{name: [b]}` of those whose weight is above 0.

    One UNet call with gradients at most, whatever losses read it; matching without a cache (`--match-draws 0`) adds one
    without.
    """
    with torch.autocast(frozen.device.type, torch.bfloat16, enabled=frozen.dtype == torch.bfloat16):
        adapted = adapter(batch.source.states, batch.source.mask)
        student = _student(adapter, adapted, batch, options)
    found: dict[str, torch.Tensor] = {}
    if options.align_weight:
        found["align"] = objectives.align(
            options.align, adapted, batch.target.states, frozen.widths, batch.source.mask, batch.target.mask
        )
    if batch.teacher is not None and batch.teacher_mask is not None:
        if options.distil == "kl-published":
            found["distil"] = objectives.distil_published(adapted, batch.teacher)
        elif options.distil == "attention":
            found["distil"] = objectives.matched(student.float(), batch.teacher, batch.source.mask, batch.teacher_mask)
        else:
            found["distil"] = objectives.distil(options.distil, student, batch.teacher)
        # A dropped caption says nothing that a teacher could have understood.
        found["distil"] = found["distil"] * batch.captioned
    if with_unet:
        found |= _through_unet(adapted, frozen, batch, options)
    return found


def weights(options: Options) -> dict[str, float]:
    """The losses' weights by name."""
    return {
        "denoise": options.denoise_weight,
        "match": options.match_weight,
        "align": options.align_weight,
        "distil": options.distil_weight,
    }


def _student(adapter: SURAdapter, adapted: torch.Tensor, batch: Batch, options: Options) -> torch.Tensor:
    if batch.teacher is None or options.distil == "kl-published":
        return adapted
    if options.teacher_tokens and adapter.teacher_head is not None:
        return adapter.teacher_head(adapted)
    return adapter.sentence_for_teacher(adapted, batch.source.mask)


def _through_unet(
    adapted: torch.Tensor, frozen: FrozenModel, batch: Batch, options: Options
) -> dict[str, torch.Tensor]:
    latents, noise, timesteps = batch.latents, batch.noise, batch.timesteps
    assert latents is not None and noise is not None and timesteps is not None  # noqa: PT018, S101  # with_unet
    scheduler = frozen.part("scheduler")
    noisy = scheduler.add_noise(latents, noise, timesteps)
    # The narrative's own pooled vector, since that is what the UNet gets when a picture is drawn with the adapter.
    predicted = frozen.predict(noisy, timesteps, adapted, batch.source.pooled)
    found: dict[str, torch.Tensor] = {}
    if options.denoise_weight:
        goal, weight = denoising_goal(scheduler, latents, noise, timesteps, options.snr_gamma)
        found["denoise"] = objectives.denoising(predicted, goal, weight)
    if options.match_weight:
        # Predictions are cached under the keyword prompts alone; alignment keeps the empty prompt in place.
        wanted, counted = batch.wanted, batch.captioned
        if wanted is None:
            counted = torch.ones_like(batch.captioned)
            with torch.no_grad():
                wanted = frozen.predict(noisy, timesteps, batch.target.states, batch.target.pooled)
        found["match"] = objectives.denoising(predicted, wanted, counted)
    return found


def denoising_goal(
    scheduler: object, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor, gamma: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    What the UNet should predict, `[b, C, h, w]`, and the min-SNR weight `[b]` (Hang et al. 2023,
    https://arxiv.org/abs/2303.09556), all 1 for a `gamma` of 0.
    """
    kind = scheduler.config.prediction_type  # type: ignore[attr-defined]
    alphas = scheduler.alphas_cumprod.to(latents.device)[timesteps]  # type: ignore[attr-defined]
    snr = alphas / (1 - alphas)
    clipped = snr.clamp(max=gamma) if gamma else None
    if kind == "v_prediction":
        goal = scheduler.get_velocity(latents, noise, timesteps)  # type: ignore[attr-defined]
        weight = torch.ones_like(snr) if clipped is None else clipped / (snr + 1)
    else:
        goal = latents if kind == "sample" else noise
        scale = torch.ones_like(snr) if kind == "sample" else snr.clamp(min=1e-8)
        weight = torch.ones_like(snr) if clipped is None else clipped.clamp(min=1e-8) / scale
    return goal, weight
