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
from vignette.errors import ConfigError
from vignette.miniature import growth, text, tokenizer
from vignette.miniature.cli import main
from vignette.miniature.clip import load_pair
from vignette.miniature.judge_net import Judge
from vignette.miniature.language import nouns, written
from vignette.miniature.language.written import lines
from vignette.miniature.recipe import RECIPES
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
    assert growth.covers(replace(FIRST, objects=(*FIRST.objects, "chair")), FIRST)
    assert not growth.covers(replace(FIRST, objects=("chair",)), FIRST)


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
    assert not list(tmp_path.glob("*.part"))


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


def test_known_prompts_are_held_and_those_of_new_things_are_free(exported, grown_words, tmp_path, monkeypatch):
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
    training = Training(tmp_path / "work", recipe, "cpu", start=exported)
    training.run("export", tmp_path / "more")
    assert Judge.load(tmp_path / "more" / "judge").world == SECOND
    assert (tmp_path / "work" / "names.ckpt").is_file()
    for part in ("day/unet/diffusion_pytorch_model", "judge/model"):
        before, after = (load_file(folder / f"{part}.safetensors") for folder in (exported, tmp_path / "more"))
        kept = [k for k in before if before[k].shape == after[k].shape]
        assert 0 < max((before[k].float() - after[k].float()).abs().max().item() for k in kept) < 0.1, part
    told = [any(g.thing in NEW for g in scene.groups) for scene in training.told.scenes]
    as_written = [any(g.thing in NEW for g in scene.groups) for scene, _ in lines(SECOND)]
    assert np.mean(told) > np.mean(as_written) + 0.05
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


@pytest.fixture
def trainings(monkeypatch):
    """The trainings that a command would have run."""
    asked = []
    monkeypatch.setattr(Training, "run", lambda training, *_: asked.append(training))
    return asked


@pytest.fixture
def larger(exported, tmp_path):
    """Exported weights whose judge knows the second edition."""
    shutil.copytree(exported, tmp_path / "larger", symlinks=True)
    Judge(growth.grown_judge(Judge.load(exported / "judge"), SECOND), SECOND).save(tmp_path / "larger" / "judge")
    return tmp_path / "larger"


def ask(tmp_path, *options):
    return main(["train", "--work", str(tmp_path / "work"), "--target", str(tmp_path / "target"), *map(str, options)])


def test_a_command_goes_on_to_the_edition_that_is_asked_for(exported, tmp_path, trainings):
    assert ask(tmp_path, "--edition", "second", "--continue-from", exported, "--scenes", 64) == 0
    assert (trainings[0].recipe.world, trainings[0].smaller, trainings[0].recipe.scenes) == (SECOND, FIRST, 64)


def test_a_command_goes_on_with_the_edition_of_the_weights(larger, tmp_path, trainings):
    assert ask(tmp_path, "--continue-from", larger) == 0
    assert (trainings[0].recipe.world, trainings[0].smaller) == (SECOND, None)


def test_what_must_train_on_for_a_larger_world_is_named(exported, tmp_path, capsys, trainings):
    asked = (tmp_path, "--edition", "second", "--continue-from", exported)
    assert ask(*asked, "--only", "decoder") == 2
    assert "judge, text, vocabulary, unet, adapter must be among --only" in capsys.readouterr().err
    assert ask(*asked, "--style", "ink") == 2
    assert "--style left out" in capsys.readouterr().err
    assert not trainings


def test_weights_do_not_go_on_to_a_smaller_world(larger, tmp_path, capsys, trainings):
    assert ask(tmp_path, "--edition", "first", "--continue-from", larger) == 2
    assert "add --edition second" in capsys.readouterr().err
    with pytest.raises(ValueError, match="knows things that the first edition does not have"):
        Training(tmp_path, one_step(RECIPES["first"]), "cpu", start=larger)
    assert not trainings


def test_weights_of_one_edition_are_not_written_over_those_of_another(exported, larger, tmp_path, capsys, trainings):
    assert ask(tmp_path, "--target", exported, "--continue-from", larger) == 2
    assert "holds weights of the first edition; name another folder" in capsys.readouterr().err
    assert not trainings


def test_a_work_folder_of_other_scenes_or_another_edition_is_refused(exported, work, tmp_path, tiny_miniature):
    fewer = replace(tiny_miniature.recipe, scenes=tiny_miniature.recipe.scenes - 1)
    with pytest.raises(ConfigError, match="holds pictures of other scenes"):
        _ = Training(work, fewer, "cpu").dataset
    with pytest.raises(ConfigError, match="a training of the first edition"):
        _ = Training(work, replace(tiny_miniature.recipe, world=SECOND), "cpu").judge


def test_features_of_other_narratives_are_refused(work, tmp_path, tiny_miniature):
    kept = Training(work, tiny_miniature.recipe, "cpu")
    again = Training(tmp_path, tiny_miniature.recipe, "cpu")
    np.save(tmp_path / "told.npy", kept.told.features[1:])
    with pytest.raises(ConfigError, match="other narratives"):
        _ = again.told


def load_encoder(weights):
    from transformers import CLIPTextModel

    return CLIPTextModel.from_pretrained(weights / "day" / "text_encoder", local_files_only=True).float()
