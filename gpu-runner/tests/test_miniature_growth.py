"""Weights that are to know more things: what they know stays, and the new finds its place beside it."""

import copy
import random
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.tiny_miniature import one_step
from vignette.miniature import growth, text, tokenizer
from vignette.miniature.cli import main
from vignette.miniature.clip import load_pair
from vignette.miniature.judge_net import Judge
from vignette.miniature.language import nouns, written
from vignette.miniature.render import render
from vignette.miniature.train import Training
from vignette.miniature.vae import to_tensor
from vignette.miniature.world import FIRST, SECOND, sample_scene

NEW = set(SECOND.things) - set(FIRST.things)


@pytest.fixture
def prompts():
    rng = random.Random(4)
    return [sample_scene(rng).keywords for _ in range(40)]


@pytest.fixture
def grown_words(exported, tmp_path):
    """The tokenizer of exported weights, and that with the second edition's names."""
    old = tokenizer.load(exported / "day" / "tokenizer")
    return old, growth.grown_tokenizer(old, growth.new_names(SECOND, FIRST), tmp_path / "grown")


def test_only_a_larger_world_covers_another():
    assert growth.covers(SECOND, FIRST)
    assert not growth.covers(FIRST, SECOND)
    assert not growth.covers(FIRST, FIRST)
    assert not growth.covers(SECOND, replace(FIRST, places=FIRST.places[1:]))


def test_a_grown_judge_sees_what_it_saw(exported):
    judge = Judge.load(exported / "judge")
    net = growth.grown_judge(judge, SECOND).eval()
    rng = random.Random(1)
    pictures = to_tensor(np.stack([np.asarray(render(sample_scene(rng), i)) for i in range(4)]))
    rows = [SECOND.things.index(thing) for thing in FIRST.things]
    with torch.no_grad():
        before, after = judge.net(pictures), net(pictures)
    assert torch.equal(before["place"], after["place"])
    for name in ("count", "colour", "action"):
        torch.testing.assert_close(after[name][:, rows], before[name])
        assert after[name].shape[1] == len(SECOND.things)


def test_every_new_name_is_a_token_and_old_prompts_are_split_as_before(grown_words, prompts):
    old, new = grown_words
    for word in growth.new_names(SECOND, FIRST):
        assert new.convert_ids_to_tokens(new(word, add_special_tokens=False).input_ids) == [f"{word}</w>"]
    assert new(prompts).input_ids == old(prompts).input_ids
    assert len(new) > len(old)


def test_a_grown_tokenizer_is_made_once(grown_words, tmp_path):
    _, new = grown_words
    again = growth.grown_tokenizer(new, ["zebra"], tmp_path / "grown")
    assert again.get_vocab() == new.get_vocab()


def test_a_grown_text_encoder_reads_old_prompts_as_before(exported, grown_words, prompts):
    encoder = load_encoder(exported)
    grown = growth.grown_text_encoder(encoder, *grown_words)
    old, new = grown_words
    assert grown.config.vocab_size == len(new)
    assert torch.equal(text.hidden_states(grown, new, prompts), text.hidden_states(encoder, old, prompts))


def test_a_vocabulary_that_did_not_grow_from_the_encoders_is_refused(exported, grown_words):
    encoder = load_encoder(exported)
    old, new = grown_words
    with pytest.raises(ValueError, match="what grows from those"):
        growth.grown_text_encoder(encoder, new, old)


def test_names_are_learnt_while_known_prompts_stay(exported, grown_words, tmp_path, monkeypatch):
    old, new = grown_words
    pair = load_pair(exported / "clip", growth.grown_text_encoder(load_encoder(exported), old, new))
    rng = random.Random(8)
    scenes = [sample_scene(rng, world=SECOND) for _ in range(96)]
    features = np.random.default_rng(1).normal(size=(96, 128, 8, 8)).astype(np.float16)
    known = [s.keywords for s in scenes if all(g.thing in FIRST.things for g in s.groups)]
    fresh = [s.keywords for s in scenes if all(g.thing in NEW for g in s.groups)]

    def moved(keep: float, world=FIRST) -> tuple[float, float]:
        monkeypatch.setattr(growth, "KEEP", keep)
        clip = growth.learn_names(
            copy.deepcopy(pair),
            features,
            scenes,
            new,
            tmp_path / f"{keep}-{world.name}",
            16,
            batch=24,
            device="cpu",
            known=world,
        )
        before, after = (
            [text.hidden_states(e, new, p).float() for p in (known, fresh)] for e in (pair.text, clip.text)
        )
        old_ones, new_ones = ((a - b).square().mean().item() for a, b in zip(before, after, strict=True))
        return old_ones, new_ones

    held, beside = moved(1000.0)
    free, _ = moved(0.0)
    _, held_too = moved(1000.0, SECOND)
    assert 0 < held < free / 3
    assert held_too < beside


def test_a_training_goes_on_to_a_larger_world(exported, tmp_path, tiny_miniature):
    recipe = replace(one_step(tiny_miniature.recipe), world=SECOND)
    Training(tmp_path / "work", recipe, "cpu", start=exported).run("export", tmp_path / "more")
    assert Judge.load(tmp_path / "more" / "judge").world == SECOND
    file = "day/unet/diffusion_pytorch_model.safetensors"
    before, after = load_file(exported / file), load_file(tmp_path / "more" / file)
    assert 0 < max((before[k].float() - after[k].float()).abs().max().item() for k in before) < 0.1
    tokens = tokenizer.load(tmp_path / "more" / "day" / "tokenizer")
    assert len(tokens("3koala", add_special_tokens=False).input_ids) == 2
    pair = load_pair(tmp_path / "more" / "clip", load_encoder(tmp_path / "more"))
    assert pair.text.config.vocab_size == len(tokens)


def test_written_narratives_tell_of_the_larger_world_too():
    rng = random.Random(2)
    told = [written(rng, SECOND) for _ in range(400)]
    assert not any(scene.held_out for scene, _ in told)
    new = [(g.thing, sentence) for scene, sentence in told for g in scene.groups if g.thing in NEW]
    assert len(new) > 120
    plainly = [thing for thing, sentence in new if any(form in sentence.lower() for form in nouns.NOUNS[thing][0])]
    # The others are told by one of the many names that people have for them.
    assert len(plainly) > 0.75 * len(new)


def test_what_must_train_on_for_a_larger_world_is_named(exported, tmp_path, capsys):
    asked = ["train", "--work", str(tmp_path), "--edition", "second", "--continue-from", str(exported)]
    assert main([*asked, "--only", "decoder"]) == 2
    assert "judge, vocabulary, unet must be among --only" in capsys.readouterr().err
    assert main([*asked, "--style", "ink"]) == 2
    assert "--style left out" in capsys.readouterr().err


def test_weights_do_not_go_on_to_a_smaller_world(exported, tmp_path, capsys):
    larger = tmp_path / "larger"
    shutil.copytree(exported, larger, symlinks=True)
    Judge(growth.grown_judge(Judge.load(exported / "judge"), SECOND), SECOND).save(larger / "judge")
    asked = ["train", "--work", str(tmp_path), "--edition", "first", "--continue-from", str(larger)]
    assert main(asked) == 2
    assert "add --edition second" in capsys.readouterr().err


def load_encoder(weights):
    from transformers import CLIPTextModel

    return CLIPTextModel.from_pretrained(weights / "day" / "text_encoder", local_files_only=True).float()
