"""The miniature's training: every stage runs, resumes to the same weights, and the export loads in plain diffusers."""

import copy
import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tests.tiny_miniature import TINY
from vignette.errors import ConfigError
from vignette.evaluation.instruments.miniature import MiniatureJudge
from vignette.miniature import adapt, text, vae, vocabulary
from vignette.miniature.cli import main
from vignette.miniature.stage import Stage
from vignette.miniature.train import Training
from vignette.miniature.world import Group, Scene, sample_scene
from vignette.sur.adapter import SURAdapter
from vignette.training.optim import Muon, Optimisers, linear, orthogonalise


@pytest.fixture
def work(tiny_miniature):
    return tiny_miniature.work


@pytest.fixture
def exported(tiny_miniature):
    return tiny_miniature.weights


def test_every_stage_trains_and_the_export_is_a_stable_diffusion_folder(exported):
    from diffusers import StableDiffusionPipeline

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
    from vignette.miniature.judge_net import Judge
    from vignette.miniature.render import render

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
    steps = {name: 1 for name in TINY.__dataclass_fields__ if name.endswith("_steps")}
    Training(tmp_path / "work", replace(TINY, **steps), "cpu", start=exported).run("export", tmp_path / "again")

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
    steps = {name: 1 for name in TINY.__dataclass_fields__ if name.endswith("_steps")}
    training = Training(tmp_path, replace(TINY, seed=2, **steps), "cpu", start=exported, new_words=True)
    old = load_file(exported / "day" / "text_encoder" / "model.safetensors")
    new = {k.removeprefix("text_model."): v for k, v in training.encoder.state_dict().items()}
    key = "encoder.layers.0.mlp.fc1.weight"
    before = next(v for k, v in old.items() if k.endswith(key))
    assert (before.float() - new[key]).abs().max() > 0.01
    assert (tmp_path / "tokenizer" / "vocab.json").is_file()
    unet = load_file(exported / "day" / "unet" / "diffusion_pytorch_model.safetensors")["conv_in.weight"]
    assert (training.unets["day"].conv_in.weight - unet.float()).abs().max() < 0.01


def test_new_latents_come_from_an_autoencoder_that_trains_on(exported, tmp_path):
    steps = {name: 1 for name in TINY.__dataclass_fields__ if name.endswith("_steps")}
    training = Training(tmp_path, replace(TINY, **steps), "cpu", start=exported, new_latents=True)
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
    steps = {name: 1 for name in TINY.__dataclass_fields__ if name.endswith("_steps")}
    training = Training(tmp_path / "work", replace(TINY, **steps), "cpu", start=exported, only=("adapter",))
    training.run("export", tmp_path / "again")
    assert changed(exported, tmp_path / "again") == {"adapters/sur"}


def test_more_words_change_the_text_encoder_and_its_pair_alone(exported, tmp_path):
    training = Training(
        tmp_path / "work", replace(TINY, vocabulary_steps=1), "cpu", start=exported, only=("vocabulary",)
    )
    training.run("export", tmp_path / "again")
    assert changed(exported, tmp_path / "again") == {"day/text_encoder", "clip"}


def test_what_keyword_prompts_mean_is_held_while_new_words_are_learnt(exported, work, tmp_path, monkeypatch):
    """Two dozen steps, with and without the hold: without it the keyword prompts' states go several times as far."""
    training = Training(work, TINY, "cpu")
    prompts = sorted({s.keywords for s in training.scenes})[:16]
    before = text.hidden_states(training.clip.text, training.tokenizer, prompts).float()

    def moved(keep: float) -> float:
        monkeypatch.setattr(vocabulary, "KEEP", keep)
        clip = vocabulary.train(
            copy.deepcopy(training.clip),
            training.features,
            training.scenes,
            training.told,
            training.tokenizer,
            tmp_path / str(keep),
            24,
            batch=24,
            device="cpu",
        )
        return (text.hidden_states(clip.text, training.tokenizer, prompts).float() - before).square().mean().item()

    held, free = moved(1000.0), moved(0.0)
    assert 0 < held < free / 3


def test_batches_of_more_words_hold_scenes_that_are_alike():
    """Turn by turn: any scenes, one place and action, one thing and colour twice; from both kinds of narratives."""
    rng = random.Random(0)
    scenes, told = ([sample_scene(rng) for _ in range(4000)] for _ in range(2))
    turns = vocabulary.Turns(scenes, told)
    for step in range(8):
        ours, theirs = turns.pick(step, 1, 16, 12)
        picked = [*(scenes[i] for i in ours), *(told[i] for i in theirs)]
        assert len(picked) == 28
        placed, tinted = ({key(s) for s in picked} for key in (text.place_and_action, vocabulary.thing_and_colour))
        assert (len(placed) == 1, len(tinted) == 1) == (step % 4 == 1, step % 4 > 1)
        again = turns.pick(step, 1, 16, 12)
        assert all((before == after).all() for before, after in zip((ours, theirs), again, strict=True))


def test_batches_of_scenes_that_no_written_narrative_tells_are_of_any():
    ours, theirs = vocabulary.Turns([Scene((Group("cat"),), "room")] * 3, [Scene((Group("car"),), "snow")] * 2).pick(
        1, 0, 5, 4
    )
    assert set(ours) <= {0, 1, 2}
    assert set(theirs) <= {0, 1}


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


@pytest.mark.parametrize(
    "option", ["--align-steps=0", "--adapter-steps=-1", "--batch-scale=0", "--rate=0", "--pairs=0"]
)
def test_a_number_of_steps_that_is_none_is_named(option, capsys):
    assert main(["train", option]) == 2
    assert option.split("=")[0] in capsys.readouterr().err


def test_a_stage_to_train_alone_is_one_of_them_and_has_something_to_go_on_from(exported, tmp_path, capsys):
    assert main(["train", "--only", "adapter", "--work", str(tmp_path)]) == 2
    assert main(["train", "--only", "colours", "--work", str(tmp_path), "--continue-from", str(exported)]) == 2
    assert "--only takes some of" in capsys.readouterr().err


def test_a_rate_below_one_lowers_the_whole_schedule():
    usual, gentle = linear(100), linear(100, peak=0.25)
    assert [gentle(step) for step in range(100)] == [0.25 * usual(step) for step in range(100)]


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


def test_the_exported_pair_scores_texts_and_pictures_as_the_trained_one(exported, work):
    from PIL import Image

    from vignette.evaluation.instruments.miniature import MiniatureEmbedder

    training = Training(work, TINY, "cpu")
    pair = MiniatureEmbedder(exported)
    ids = training.tokenizer("2cat, beach background", return_tensors="pt").input_ids
    torch.testing.assert_close(
        pair.texts(["2cat, beach background"]), training.fluent.embed_text(ids), atol=5e-3, rtol=0
    )
    picture, features = training.dataset[0][3], torch.from_numpy(training.features[3:4].astype("float32"))
    torch.testing.assert_close(
        pair.images([Image.fromarray(picture)]), training.fluent.embed_image(features), atol=3e-2, rtol=0
    )


def test_every_word_and_the_first_end_count_as_text():
    from vignette.miniature.clip import text_mask

    start, end = 8, 9
    ids = torch.tensor([[start, 1, 2, end, end], [start, 3, 4, 5, end]])
    assert text_mask(ids, end).tolist() == [[0, 1, 1, 1, 0], [0, 1, 1, 1, 1]]


def test_token_by_token_a_text_scores_by_the_place_that_each_word_fits_best(exported):
    """The token scores are means over words of the best of 64 places, and reach the states of words before the end."""
    from vignette.miniature import text, tokenizer
    from vignette.miniature.clip import Clip

    torch.manual_seed(0)
    words = tokenizer.load(exported / "day" / "tokenizer")
    clip = Clip(text.build_encoder(words))
    ids = torch.tensor([words("3cat, beach background").input_ids, words("2dog, night background").input_ids])
    features = torch.randn(3, 128, 8, 8)
    _, single, _ = clip.scores([ids[:1], ids[1:]], features)
    tokens = torch.nn.functional.normalize(
        clip.token_projection(clip.text(input_ids=ids[1:]).last_hidden_state), dim=-1
    )
    patches = torch.nn.functional.normalize(clip.patch_projection(features), dim=1).flatten(2)
    expected = (tokens[0, 1:] @ patches[2]).amax(-1).mean() * clip.log_token_scale.exp()
    assert single.shape == (2, 3)
    torch.testing.assert_close(single[1, 2], expected)
    single[1, 2].backward()
    embedding = next(p for n, p in clip.named_parameters() if "token_embedding" in n)
    dog = words.convert_tokens_to_ids("dog</w>")
    assert embedding.grad[dog].abs().sum() > 0


def test_weights_of_another_edition_are_not_continued(exported, tmp_path, capsys):
    assert main(["train", "--work", str(tmp_path), "--edition", "second", "--continue-from", str(exported)]) == 2
    assert "first edition" in capsys.readouterr().err


@pytest.mark.parametrize("half", [False, True])
def test_the_guide_teaches_the_unet_what_the_judge_sees_and_leaves_it_as_it_was_built(half):
    """Under bfloat16 autocast too, where the UNet's inner features are bfloat16 and the guide is outside of it."""
    from vignette.miniature.unet import Guide, build

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


def test_weights_to_continue_from_must_be_there(tmp_path, capsys):
    assert main(["train", "--continue-from", str(tmp_path)]) == 2
    assert "model_index.json" in capsys.readouterr().err


def test_the_tokenizer_is_never_trained_twice(exported, work):
    from vignette.miniature import tokenizer

    first = (work / "tokenizer" / "vocab.json").read_bytes()
    tokenizer.train(work / "tokenizer", seed=99)
    assert (work / "tokenizer" / "vocab.json").read_bytes() == first
    bundled = tokenizer.load(exported / "day" / "tokenizer")
    assert bundled.tokenize("3cat, purple cat")[:2] == ["3</w>", "cat</w>"]


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
