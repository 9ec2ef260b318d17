"""The decoder's polish against a critic: what it moves, and whom it hears."""

import pytest
import torch
from torch import nn

from vignette.miniature import adversary, data, vae


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    data.build(folder, 16, 1, workers=1)
    return data.load(folder)[0]


def polished(start, drawn, folder, steps=2):
    model = vae.build()
    model.load_state_dict(start)
    return adversary.polish(model, drawn, folder, steps, batch=2).state_dict()


def test_the_polish_moves_the_decoder_and_no_latents(drawn, tmp_path):
    torch.manual_seed(0)
    start = {name: value.clone() for name, value in vae.build().state_dict().items()}
    after = polished(start, drawn, tmp_path)
    for name, value in start.items():
        ours = name.startswith(("decoder.", "post_quant_conv."))
        assert ours or torch.equal(value, after[name]), name
    assert not torch.equal(start["decoder.conv_out.weight"], after["decoder.conv_out.weight"])


def test_the_decoder_hears_the_critic(drawn, tmp_path, monkeypatch):
    torch.manual_seed(0)
    start = {name: value.clone() for name, value in vae.build().state_dict().items()}
    monkeypatch.setattr(adversary, "RAMP", 1)
    heard = polished(start, drawn, tmp_path / "heard")
    monkeypatch.setattr(adversary, "WEIGHT", 0.0)
    alone = polished(start, drawn, tmp_path / "alone")
    assert not torch.equal(heard["decoder.conv_out.weight"], alone["decoder.conv_out.weight"])


def test_the_critic_learns_to_tell_a_blur_from_a_drawing(drawn):
    torch.manual_seed(0)
    pictures = vae.to_tensor(drawn[:8])
    blurred = nn.functional.avg_pool2d(pictures, 7, 1, 3)
    critic = adversary.Critic()
    optim = torch.optim.Adam(critic.parameters(), 3e-3)
    for _ in range(30):
        real, fake = critic(torch.cat([pictures, blurred]))[0].chunk(2)
        (nn.functional.relu(1 - real).mean() + nn.functional.relu(1 + fake).mean()).backward()
        optim.step()
        optim.zero_grad()
    assert real.shape == (8, 1, 15, 15)
    assert (real.mean((1, 2, 3)) > fake.mean((1, 2, 3))).all()
