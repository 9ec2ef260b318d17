"""The miniature's training: every stage runs, resumes to the same weights, and the export loads in plain diffusers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file

from tests.tiny_miniature import TINY, one_step
from vignette.miniature import adapt, vae
from vignette.miniature.judge_net import Judge
from vignette.miniature.render import render
from vignette.miniature.stage import Stage
from vignette.miniature.train import Training
from vignette.miniature.world import Group, Scene
from vignette.sur.adapter import SURAdapter
from vignette.training.optim import Optimisers, linear


def test_every_stage_trains_and_the_export_is_a_stable_diffusion_folder(exported):
    pipe = StableDiffusionPipeline.from_pretrained(
        exported / "day", local_files_only=True, use_safetensors=True, dtype=torch.float32
    )
    assert pipe.scheduler.config.prediction_type == "v_prediction"
    assert pipe.scheduler.config.rescale_betas_zero_snr
    image = pipe(
        "two red cats", num_inference_steps=2, generator=torch.Generator().manual_seed(0), output_type="np"
    ).images[0]
    assert image.shape == (128, 128, 3)
    assert not list(exported.rglob("*.bin"))
    assert not list(exported.rglob("*.pt"))


def test_the_exported_adapter_and_judge_load(exported):
    adapter = SURAdapter.load(exported / "adapters" / "sur")
    assert adapter.config["hidden_size"] == 256
    verdict = Judge.load(exported / "judge").read([render(Scene((Group("cat"),), "beach"), 0)])[0]
    assert set(verdict.to_dict()) == {"place", "objects"}


def test_a_second_run_trains_nothing_again(exported, work):
    before = {p: p.stat().st_mtime_ns for p in (work).rglob("*") if p.is_file()}
    Training(work, TINY, "cpu").run("adapter", work.parent / "weights")
    assert {p: p.stat().st_mtime_ns for p in (work).rglob("*") if p.is_file()} == before


def test_training_continues_from_exported_weights(exported, tmp_path):
    """One step from exported weights moves every trained part a little and leaves the text encoder's bytes alone."""
    Training(tmp_path / "work", one_step(TINY), "cpu", start=exported).run("export", tmp_path / "again")

    def tensors(root, part):
        (path,) = (root / part).glob("*.safetensors")
        return load_file(path)

    for part in ("day/text_encoder", "day/unet", "day/vae", "adapters/sur", "judge"):
        old, new = tensors(exported, part), tensors(tmp_path / "again", part)
        shift = max((old[k].float() - new[k].float()).abs().max().item() for k in old)
        assert shift == 0 if part == "day/text_encoder" else 0 < shift < 0.2, (part, shift)
    assert (tmp_path / "again" / "clip" / "model.safetensors").is_file()
    for key, old in tensors(exported, "day/vae").items():
        if key.startswith(("encoder.", "quant_conv.")):
            assert torch.equal(old, tensors(tmp_path / "again", "day/vae")[key]), key


def test_new_words_are_learnt_anew_while_the_rest_goes_on(exported, tmp_path):
    training = Training(tmp_path, one_step(TINY, seed=2), "cpu", start=exported, new_words=True)
    old = load_file(exported / "day" / "text_encoder" / "model.safetensors")
    new = {k.removeprefix("text_model."): v for k, v in training.encoder.state_dict().items()}
    key = "encoder.layers.0.mlp.fc1.weight"
    before = next(v for k, v in old.items() if k.endswith(key))
    assert (before.float() - new[key]).abs().max() > 0.01
    assert (tmp_path / "tokenizer" / "vocab.json").is_file()
    unet = load_file(exported / "day" / "unet" / "diffusion_pytorch_model.safetensors")["conv_in.weight"]
    assert (training.unets["day"].conv_in.weight - unet.float()).abs().max() < 0.01


def test_new_latents_come_from_an_autoencoder_that_trains_on(exported, tmp_path):
    training = Training(tmp_path, one_step(TINY), "cpu", start=exported, new_latents=True)
    old = load_file(exported / "day" / "vae" / "diffusion_pytorch_model.safetensors")["encoder.conv_in.weight"].float()
    assert 0 < (training.vae.encoder.conv_in.weight - old).abs().max() < 0.2


def test_an_autoencoder_learns_its_latents_at_half_the_size_too(tmp_path, capsys):
    """What stands in latents at half the size is to be the picture at half the size; a decoder alone cannot change that."""
    images = np.random.default_rng(0).integers(0, 255, (4, 128, 128, 3), np.uint8)
    model = vae.train(images, tmp_path / "whole", 2, batch=2, device="cpu")
    assert " half " in capsys.readouterr().out
    encoder = {k: v.clone() for k, v in model.encoder.state_dict().items()}
    again = vae.train(images, tmp_path / "decoder", 2, batch=2, device="cpu", start=model, decoder_only=True)
    assert " half " not in capsys.readouterr().out
    assert all(torch.equal(v, encoder[k]) for k, v in again.encoder.state_dict().items())


def changed(before: Path, after: Path) -> set[str]:
    """The folders whose weights differ."""
    return {
        file.relative_to(before).parent.as_posix()
        for file in before.rglob("*.safetensors")
        if file.read_bytes() != (after / file.relative_to(before)).read_bytes()
    }


def test_one_stage_alone_trains_on_and_the_others_stay_as_they_are(exported, tmp_path):
    training = Training(tmp_path / "work", one_step(TINY), "cpu", start=exported, only=("adapter",))
    training.run("export", tmp_path / "again")
    assert changed(exported, tmp_path / "again") == {"adapters/sur"}


def test_more_words_change_the_text_encoder_and_its_pair_alone(exported, tmp_path):
    training = Training(
        tmp_path / "work", replace(TINY, vocabulary_steps=1), "cpu", start=exported, only=("vocabulary",)
    )
    training.run("export", tmp_path / "again")
    assert changed(exported, tmp_path / "again") == {"day/text_encoder", "clip"}


def test_alignment_alone_needs_no_pictures(exported, tmp_path):
    recipe = replace(TINY, align_steps=1, adapter_steps=0)
    training = Training(tmp_path, recipe, "cpu", start=exported, only=("adapter",))
    old = SURAdapter.load(exported / "adapters" / "sur").state_dict()
    new = training.adapter.state_dict()
    assert any(not torch.equal(old[key].float(), new[key].float()) for key in old)
    assert not (tmp_path / "data").exists()
    assert not list(tmp_path.glob("latents*"))


def test_an_adapter_of_fewer_blocks_is_gone_on_from_unchanged():
    small = SURAdapter(hidden_size=256, layout="sequence", num_layers=2, num_heads=8, mask_padding=False, max_length=77)
    torch.nn.init.normal_(small.encoder.proj_out.weight, std=0.1)
    states = torch.randn(2, 77, 256)
    grown = adapt.build(small)
    assert len(grown.encoder.blocks) == adapt.BLOCKS > 2
    torch.testing.assert_close(grown(states), small(states))
    assert any(p.requires_grad for p in grown.encoder.blocks[-1].parameters())


def _toy(folder, steps):
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 4)
    optim = Optimisers(model, linear(8), muon_lr=0.02, adam_lr=1e-2, adam_only=())
    losses = []

    def loss_fn(step):
        loss = (model(torch.randn(16, 4)) - 1).square().mean()
        losses.append(loss.item())
        return loss, {}

    Stage("toy", folder, model, optim, steps, loss_fn, ema_decay=0.9, save_every=2).run()
    return model.weight.detach().clone(), losses


def test_a_resumed_run_repeats_the_uninterrupted_one(tmp_path):
    whole, losses = _toy(tmp_path / "a", 8)
    _, first = _toy(tmp_path / "b", 4)
    resumed, second = _toy(tmp_path / "b", 8)
    assert first + second == losses
    assert torch.equal(whole, resumed)
