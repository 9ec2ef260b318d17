"""The miniature's art styles: the same scenes drawn otherwise, by a decoder and layers of the denoiser of each one's own."""

import colorsys
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from tests.tiny_miniature import one_step
from vignette.miniature import adversary, ink, unet
from vignette.miniature.cli import main
from vignette.miniature.export import export_model, size_mib
from vignette.miniature.judge_net import Judge
from vignette.miniature.recipe import RECIPES
from vignette.miniature.render import render
from vignette.miniature.train import Training
from vignette.miniature.world import FIRST, Group, Scene

WHOLE, FIRST_SHARD, OWN = (
    f"diffusion_pytorch_model{middle}.safetensors" for middle in ("", "-00001-of-00002", "-00002-of-00002")
)
OWN_OF_AUTOENCODER = ("decoder.", "post_quant_conv.")


def pipeline(folder: Path) -> StableDiffusionPipeline:
    """The folder as diffusers loads it."""
    return StableDiffusionPipeline.from_pretrained(folder, local_files_only=True, use_safetensors=True)


@pytest.fixture(scope="module")
def day_alone(tiny_miniature, tmp_path_factory):
    """Weights that have no ink yet."""
    folder = tmp_path_factory.mktemp("day") / "weights"
    for part in ("day", "judge", "clip", "adapters"):
        (folder / part).parent.mkdir(exist_ok=True)
        (folder / part).symlink_to(tiny_miniature.weights / part)
    return folder


def test_ink_shows_the_same_scene_as_the_day():
    """The same things on the same spots: where the day's picture has them, ink's has pen and paper."""
    scene = Scene((Group("cat", 2, "red"), Group("car", 1, "blue")), "snow")
    day, pen = (np.asarray(render(scene, 7, FIRST, style), np.int16) for style in ("day", "ink"))
    red, blue = ((picture[..., c] - picture[..., 1] > 60) for picture, c in ((day, 0), (day, 2)))
    assert (pen[red][:, 0] - pen[red][:, 1] > 40).mean() > 0.7
    assert (pen[blue][:, 2] - pen[blue][:, 1] > 20).mean() > 0.7
    assert np.abs(pen - day).max() > 100


@pytest.mark.parametrize("colour", ["red", "green", "purple"])
def test_washes_keep_the_hue_of_what_they_paint(colour):
    """Dark parts too: a red dog's ears are dark red, not purple."""
    flat = np.asarray(ink.art.posed("dog", colour, None, False), np.float32)
    wash = np.asarray(ink.posed("dog", colour, None, False), np.float32)
    deep = (flat[..., 3] > 250) & (flat[..., :3].max(-1) > 100) & (flat[..., :3].max(-1) < 160)
    inside = deep & (np.abs(wash[..., :3] - np.array(ink.PEN)).max(-1) > 40)
    assert inside.sum() > 100
    hues = [colorsys.rgb_to_hsv(*picture[inside][:, :3].mean(0) / 255)[0] for picture in (flat, wash)]
    apart = abs(hues[0] - hues[1])
    assert min(apart, 1 - apart) < 0.01


def test_a_style_has_its_own_layers_and_the_first_ones_others(tiny_miniature):
    first, other = (pipeline(tiny_miniature.weights / style) for style in ("day", "ink"))
    trained = Training(tiny_miniature.work, tiny_miniature.recipe, "cpu")
    own = unet.own_layers(first.unet)
    assert not torch.equal(other.unet.conv_in.weight, first.unet.conv_in.weight)
    for name, tensor in other.unet.state_dict().items():
        assert name in own or torch.equal(tensor, first.unet.state_dict()[name]), name
        torch.testing.assert_close(tensor, trained.unets["ink"].state_dict()[name].half().float(), rtol=0, atol=0)
    assert not torch.equal(other.vae.decoder.conv_in.weight, first.vae.decoder.conv_in.weight)
    for name, tensor in other.vae.state_dict().items():
        assert name.startswith(OWN_OF_AUTOENCODER) or torch.equal(tensor, first.vae.state_dict()[name]), name
        torch.testing.assert_close(tensor, trained.polished["ink"].state_dict()[name].half().float(), rtol=0, atol=0)


def test_what_styles_have_in_common_lies_there_once(tiny_miniature):
    day, pen = (tiny_miniature.weights / style for style in ("day", "ink"))
    for part in ("text_encoder", "tokenizer"):
        assert (pen / part).resolve() == day / part
    for part in ("unet", "vae"):
        assert (pen / part / FIRST_SHARD).resolve() == day / part / WHOLE
        assert not (pen / part / FIRST_SHARD).readlink().is_absolute()
        assert (pen / part / OWN).stat().st_size < 0.65 * (day / part / WHOLE).stat().st_size
    assert size_mib(tiny_miniature.weights) < 48


def test_everyone_may_read_what_is_exported(tiny_miniature):
    assert {file.stat().st_mode & 0o777 for file in tiny_miniature.weights.rglob("*.safetensors")} == {0o644}


def test_a_new_style_begins_as_the_first_and_leaves_all_else_alone(day_alone, tiny_miniature, tmp_path):
    options = {"start": day_alone, "only": ("decoder", "polish", "unet"), "style": "ink"}
    training = Training(tmp_path / "work", one_step(tiny_miniature.recipe), "cpu", **options)
    training.run("export", tmp_path / "weights")
    for file in (f for f in day_alone.rglob("*.safetensors") if "ink" not in f.parts):
        assert (tmp_path / "weights" / file.relative_to(day_alone)).read_bytes() == file.read_bytes()
    own = load_file(tmp_path / "weights" / "ink" / "unet" / OWN)
    day = load_file(tmp_path / "weights" / "day" / "unet" / WHOLE)
    shift = max((own[name].float() - day[name].float()).abs().max().item() for name in own)
    assert 0 < shift < 0.2


def test_a_style_that_is_there_goes_on_as_it_is(tiny_miniature, tmp_path):
    """From its own layers, not from the first style's."""
    shutil.copytree(tiny_miniature.weights, tmp_path / "weights", symlinks=True)
    file = tmp_path / "weights" / "ink" / "unet" / OWN
    own = load_file(file)
    own["conv_in.weight"] += 0.5
    save_file(own, file)
    options = {"start": tmp_path / "weights", "only": ("unet",), "style": "ink"}
    training = Training(tmp_path / "work", one_step(tiny_miniature.recipe), "cpu", **options)
    assert (training.unets["ink"].conv_in.weight - own["conv_in.weight"].float()).abs().max() < 0.01


def test_a_decoder_that_goes_on_ends_half_way(tiny_miniature, tmp_path, monkeypatch):
    def one_more(model, *_, **__):
        model.load_state_dict({name: value + 1 for name, value in model.state_dict().items()})
        return model

    monkeypatch.setattr(adversary, "polish", one_more)
    options = {"start": tiny_miniature.weights, "only": ("polish",), "style": "ink"}
    after = Training(tmp_path, one_step(tiny_miniature.recipe), "cpu", **options).polished["ink"].state_dict()
    for name, value in pipeline(tiny_miniature.weights / "ink").vae.state_dict().items():
        torch.testing.assert_close(after[name], value + 0.5)


def test_the_first_styles_new_denoiser_takes_the_others_along(tiny_miniature, tmp_path):
    """Or they would draw with layers that have changed under them."""
    training = Training(
        tmp_path / "work", one_step(tiny_miniature.recipe), "cpu", start=tiny_miniature.weights, only=("unet",)
    )
    training.run("export", tmp_path / "weights")
    first, other = (pipeline(tmp_path / "weights" / style).unet.state_dict() for style in ("day", "ink"))
    assert torch.equal(first["mid_block.resnets.0.conv1.weight"], other["mid_block.resnets.0.conv1.weight"])
    assert not torch.equal(first["conv_in.weight"], other["conv_in.weight"])


def test_a_denoiser_sees_scenes_of_two_kinds_as_often_as_asked(tiny_miniature, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(unet, "train", lambda *_, often, **__: asked.extend(often) or unet.build())
    recipe = one_step(tiny_miniature.recipe, pairs=4)
    training = Training(tmp_path, recipe, "cpu", start=tiny_miniature.weights, only=("unet",), style="ink")
    assert training.unets.keys() == {"day", "ink"}
    two_kinds = [i for i, scene in enumerate(training.scenes) if len(scene.groups) > 1]
    assert 0 < len(two_kinds) < len(training.scenes)
    assert sorted(asked) == sorted(two_kinds * 3)


def test_weights_in_common_that_differ_are_refused(tiny_miniature, tmp_path):
    training = Training(tiny_miniature.work, tiny_miniature.recipe, "cpu")
    parts = training.polished["ink"], training.encoder, training.tokenizer
    export_model(tmp_path / "day", training.polished["day"], *parts[1:], training.unets["day"])
    other = unet.on_top_of(training.unets["day"], training.unets["ink"])
    other.mid_block.resnets[0].conv1.weight.data += 1
    with pytest.raises(ValueError, match=r"mid_block.*in common with day"):
        export_model(tmp_path / "ink", *parts, other, "day")
    assert not (tmp_path / "ink").exists()


@pytest.mark.parametrize("style", ["day", "oil"])
def test_a_style_to_train_alone_is_one_beside_the_first(style, tiny_miniature, tmp_path, capsys):
    asked = ["train", "--work", str(tmp_path), "--style", style]
    assert main([*asked, "--continue-from", str(tiny_miniature.weights)]) == 2
    assert "--style takes ink" in capsys.readouterr().err


@pytest.mark.parametrize("new", ["--new-words", "--new-latents"])
def test_a_style_alone_changes_nothing_that_others_stand_on(new, tiny_miniature, tmp_path, capsys):
    start = ["--continue-from", str(tiny_miniature.weights)]
    assert main(["train", "--work", str(tmp_path), "--style", "ink", new, *start]) == 2
    assert "leave out --new-words and --new-latents" in capsys.readouterr().err


def test_an_image_head_learns_to_read_a_judge_that_has_learnt_more(tiny_miniature, tmp_path):
    """And what texts mean stays as it was."""
    recipe = one_step(tiny_miniature.recipe)
    training = Training(tmp_path, recipe, "cpu", start=tiny_miniature.weights, only=("reader",))
    training.run("export", tmp_path / "weights")
    for part, same in (("day/text_encoder", True), ("day/unet", True), ("judge", False), ("clip", False)):
        (file,) = (tiny_miniature.weights / part).glob("*.safetensors")
        again = tmp_path / "weights" / part / file.name
        assert (again.read_bytes() == file.read_bytes()) == same, part
    old, new = (
        load_file(root / "clip" / "model.safetensors") for root in (tiny_miniature.weights, tmp_path / "weights")
    )
    moved = {name.partition(".")[0] for name in old if not torch.equal(old[name], new[name])}
    assert moved == {"patch_projection", "image_projection"}


def test_the_second_edition_has_both_styles_and_room_for_them(tmp_path):
    recipe = replace(RECIPES["second"].scaled(0.0001), scenes=64, batch_scale=0.05)
    training = Training(tmp_path / "work", recipe, "cpu")
    training.run("export", tmp_path / "weights")
    images, scenes = training.dataset
    assert len(images) == len(scenes) == 128
    assert scenes[:64] == scenes[64:]
    assert (images[:64] != images[64:]).any((1, 2, 3)).all()
    assert Judge.load(tmp_path / "weights" / "judge").world.name == "second"
    assert len({pipeline(tmp_path / "weights" / style).unet.num_parameters() for style in ("day", "ink")}) == 1
    assert size_mib(tmp_path / "weights") < 48
