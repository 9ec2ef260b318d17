"""Muon: momentum, orthogonalised by Newton-Schulz, for matrices and convolution kernels; AdamW for everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is the faster format there: on CUDA, and on processors with AMX or AVX-512 BF16."""
    native = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return device.type == "cuda" or native


def orthogonalise(matrices: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Push the singular values of each of `matrices` [..., m, n] towards 1 (quintic Newton-Schulz iteration; Jordan et al. 2024,
    "Muon").
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrices / (torch.linalg.matrix_norm(matrices, keepdim=True) + 1e-7)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    # Every iterate is a polynomial in the Gram matrix times x: iterating on it costs a third for a kernel's wide rows.
    gram, factor, total = x @ x.mT, None, None
    for _ in range(steps):
        gram = gram if factor is None else factor @ gram @ factor
        factor = (gram @ gram).mul_(c).add_(gram, alpha=b)
        factor.diagonal(dim1=-2, dim2=-1).add_(a)
        total = factor if total is None else factor @ total
    assert total is not None  # noqa: S101  # there is always a step
    # The iteration needs fp32: where rounding makes the Gram matrix's smallest values negative, it diverges. The end does not.
    short = torch.bfloat16 if multiplies_bfloat16(matrices.device) else matrices.dtype
    x = (total.to(short) @ x.to(short)).to(matrices.dtype)
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum; kernels [o, i, h, w] are flattened to [o, i*h*w]. `lr` is the length of an update per unit row."""

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.0
    ):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            alike: dict[torch.Size, list[tuple[nn.Parameter, torch.Tensor]]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    alike.setdefault(p.flatten(1).shape, []).append((p, p.grad))
            # Matrices of one shape go through together: small ones by themselves are mostly overhead.
            for shape, together in alike.items():
                momenta = [self._momentum(p) for p, _ in together]
                torch._foreach_lerp_(momenta, [grad for _, grad in together], 1 - group["momentum"])
                updates = [
                    grad.lerp(m, group["momentum"]).flatten(1) for (_, grad), m in zip(together, momenta, strict=True)
                ]
                length = -group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
                for (p, _), update in zip(together, orthogonalise(torch.stack(updates)), strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).add_(update.reshape(p.shape), alpha=length)

    def _momentum(self, p: nn.Parameter) -> torch.Tensor:
        state = self.state[p]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(p)
        return state["momentum"]


class Optimisers:
    """
    Muon for the hidden matrices and AdamW for the rest of `model`, driven as one.

    Args:
        schedule: The factor of both learning rates at a step, in [0, 1].
        muon_lr: Length of Muon's update per unit row; 0 leaves everything to AdamW.
        adam_lr: AdamW's learning rate.
        adam_only: Names (by substring) of parameters that keep AdamW: embeddings, first and last layers.
        weight_decay: Of both, decoupled: times the learning rate a step.
    """

    def __init__(
        self,
        model: nn.Module,
        schedule: Callable[[int], float],
        muon_lr: float,
        adam_lr: float,
        adam_only: tuple[str, ...] = (),
        betas: tuple[float, float] = (0.9, 0.98),
        weight_decay: float = 0.0,
    ):
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        matrix = [p for n, p in named if p.ndim >= 2 and not any(word in n for word in adam_only)]
        matrix = matrix if muon_lr > 0 else []
        chosen = {id(p) for p in matrix}
        rest = [p for _, p in named if id(p) not in chosen]
        self.schedule = schedule
        self.parts: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(rest, lr=adam_lr, betas=betas, weight_decay=weight_decay)
        ]
        if matrix:
            self.parts.append(Muon(matrix, lr=muon_lr, weight_decay=weight_decay))
        self.base = [part.param_groups[0]["lr"] for part in self.parts]

    def step(self, step: int) -> None:
        """Apply the gradients with the learning rates of `step` and clear them."""
        for part, lr in zip(self.parts, self.base, strict=True):
            part.param_groups[0]["lr"] = lr * self.schedule(step)
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict]:
        """Both optimisers' states."""
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[dict]) -> None:
        """Restore what `state_dict` returned."""
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)


def linear(total: int, warmup: int = 50, peak: float = 1.0) -> Callable[[int], float]:
    """A schedule: linear warm-up to `peak`, then linear to zero at `total`."""
    return lambda step: peak * min((step + 1) / warmup, max(0.0, 1 - step / total))
