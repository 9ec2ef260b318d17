"""The miniature's judge: weights that are none of its are named, and the denoiser learns to see what it sees."""

import random
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from vignette.errors import ConfigError
from vignette.evaluation.instruments.miniature import MiniatureJudge
from vignette.miniature.judge_net import Judge, halfway
from vignette.miniature.train_judges import lessons
from vignette.miniature.unet import Guide, build
from vignette.miniature.world import SECOND, sample_scene


def test_a_judge_that_is_cut_off_or_of_other_dimensions_is_named(exported, tmp_path):
    file = tmp_path / "judge" / "model.safetensors"
    shutil.copytree(exported / "judge", file.parent)
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    with pytest.raises(ConfigError, match="cut off"):
        MiniatureJudge(file.parent)
    tensors = load_file(exported / "judge" / "model.safetensors")
    save_file({name: tensor[..., :1].contiguous() for name, tensor in tensors.items()}, file)
    with pytest.raises(ConfigError, match="no judge's"):
        MiniatureJudge(file.parent)


def test_half_of_the_judge_s_last_lessons_have_two_kinds():
    rng = random.Random(3)
    scenes = [sample_scene(rng, world=SECOND) for _ in range(200)]
    picked = lessons(scenes, 40)
    assert sorted(set(picked)) == list(picked)
    assert 36 <= len(picked) <= 40
    assert sum(len(scenes[i].groups) > 1 for i in picked) >= 20
    plain = [scene for scene in scenes if len(scene.groups) == 1]
    assert len(lessons(plain, 40)) == 40


def test_half_way_between_two_judges_is_the_mean_of_their_weights(exported):
    before, after = Judge.load(exported / "judge"), Judge.load(exported / "judge")
    kept = {name: tensor.clone() for name, tensor in before.net.state_dict().items()}
    after.net.load_state_dict({name: tensor + 1 for name, tensor in kept.items()})
    between = halfway(before, after)
    assert between.world == before.world
    for name, tensor in between.net.state_dict().items():
        assert torch.allclose(tensor, kept[name] + 0.5), name
        assert torch.equal(before.net.state_dict()[name], kept[name]), name


@pytest.mark.parametrize("half", [False, True])
def test_the_guide_teaches_the_unet_what_the_judge_sees_and_leaves_it_as_it_was_built(half):
    """Under bfloat16 autocast too, where the UNet's inner features are bfloat16 and the guide is outside of it."""
    torch.manual_seed(0)
    unet = build()
    names = set(unet.state_dict())
    guide = Guide(unet, 4)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        unet(torch.randn(2, 8, 16, 16), torch.tensor([10, 900]), encoder_hidden_states=torch.randn(2, 77, 256))
    loss = guide.loss(torch.randn(2, 4, 8, 8))
    loss.backward()
    assert 0 < loss.item() < 2
    assert unet.mid_block.resnets[0].conv1.weight.grad.abs().sum() > 0
    assert unet.conv_out.weight.grad is None
    guide.remove()
    assert set(unet.state_dict()) == names
    assert not unet.up_blocks[0]._forward_hooks
