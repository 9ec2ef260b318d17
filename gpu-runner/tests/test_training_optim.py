"""The optimisers of all training: Muon's steps, and the schedule of the rate."""

import torch
from torch import nn

from vignette.training.optim import Muon, linear, orthogonalise


def test_a_rate_below_one_lowers_the_whole_schedule():
    usual, gentle = linear(100), linear(100, peak=0.25)
    assert [gentle(step) for step in range(100)] == [0.25 * usual(step) for step in range(100)]


def test_orthogonalise_brings_singular_values_near_one():
    for shape in ((8, 32), (32, 8)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape, generator=torch.Generator().manual_seed(1))))
        assert values.min() > 0.6
        assert values.max() < 1.3


def test_matrices_of_one_shape_are_orthogonalised_together_as_each_by_itself():
    several = torch.randn(3, 8, 32, generator=torch.Generator().manual_seed(2)) * torch.tensor([1e-3, 1.0, 1e3]).view(
        3, 1, 1
    )
    torch.testing.assert_close(
        orthogonalise(several), torch.stack([orthogonalise(one) for one in several]), rtol=1e-2, atol=1e-3
    )


def test_a_step_of_muon_moves_kernels_and_matrices_by_the_length_of_its_rate():
    """Whatever the gradients' sizes and however the weights lie in memory; what has no gradient stays."""
    torch.manual_seed(3)
    kernel = nn.Parameter(torch.randn(8, 4, 2, 2).contiguous(memory_format=torch.channels_last))
    tall, wide, still = (nn.Parameter(torch.randn(shape)) for shape in ((32, 8), (8, 16), (8, 16)))
    before = [p.detach().clone() for p in (kernel, tall, wide, still)]
    kernel.grad, tall.grad, wide.grad = (1e4 * torch.randn_like(p) for p in (kernel, tall, wide))
    Muon([kernel, tall, wide, still], lr=0.01).step()
    moved = [(p - old).detach().flatten(1) for p, old in zip((kernel, tall, wide, still), before, strict=True)]
    for shift, length in zip(moved[:3], (0.01, 0.02, 0.01), strict=True):
        values = torch.linalg.svdvals(shift)
        assert 0.6 * length < values.min()
        assert values.max() < 1.3 * length
    assert not moved[3].any()
    expected = orthogonalise(kernel.grad.flatten(1)) * -0.01
    torch.testing.assert_close(moved[0], expected, rtol=2e-2, atol=1e-4)
