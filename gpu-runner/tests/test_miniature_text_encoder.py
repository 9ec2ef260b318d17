"""The miniature's tokenizer and text encoder: the first lessons beside pictures, and the second ones' further words."""

import copy
import random

import torch
from PIL import Image

from tests.tiny_miniature import TINY
from vignette.evaluation.instruments.miniature import MiniatureEmbedder
from vignette.miniature import text, tokenizer, vocabulary
from vignette.miniature.clip import Clip, text_mask
from vignette.miniature.train import Training
from vignette.miniature.world import Group, Scene, sample_scene


def test_the_tokenizer_is_never_trained_twice(exported, work):
    first = (work / "tokenizer" / "vocab.json").read_bytes()
    tokenizer.train(work / "tokenizer", seed=99)
    assert (work / "tokenizer" / "vocab.json").read_bytes() == first
    bundled = tokenizer.load(exported / "day" / "tokenizer")
    assert bundled.tokenize("3cat, purple cat")[:2] == ["3</w>", "cat</w>"]


def test_every_word_and_the_first_end_count_as_text():
    start, end = 8, 9
    ids = torch.tensor([[start, 1, 2, end, end], [start, 3, 4, 5, end]])
    assert text_mask(ids, end).tolist() == [[0, 1, 1, 1, 0], [0, 1, 1, 1, 1]]


def test_token_by_token_a_text_scores_by_the_place_that_each_word_fits_best(exported):
    """The token scores are means over words of the best of 64 places, and reach the states of words before the end."""
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


def test_the_exported_pair_scores_texts_and_pictures_as_the_trained_one(exported, work):
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
