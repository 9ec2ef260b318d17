"""Every loss measures what it says and reaches the adapter, and nothing but the adapter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from tests.tiny_training import small, write_imagefolder, write_teacher
from vignette.errors import ConfigError
from vignette.sur import SURAdapter
from vignette.training import objectives
from vignette.training.batches import EMPTY, Batches
from vignette.training.caches import Caches
from vignette.training.data import read_examples
from vignette.training.forward import denoising_goal, losses
from vignette.training.frozen import FrozenModel
from vignette.training.options import ALIGNMENTS, Options
from vignette.training.teacher import Teacher

SHAPE = (2, 6, 8)
MASK = torch.ones(2, 6, dtype=torch.long)
CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", ["mse", "words", "cosine", "kl", "kl-published"])
def test_equal_states_have_no_distance_and_others_have(kind: str) -> None:
    x, y = torch.randn(SHAPE), torch.randn(SHAPE)
    assert objectives.align(kind, x, x, (8,), MASK, MASK).abs().max() < 1e-5
    apart = objectives.align(kind, x, y, (8,), MASK, MASK)
    assert apart.shape == (2,)
    assert apart.min() > 0.1


def test_the_corrected_kl_runs_from_the_target_and_the_published_one_backwards() -> None:
    x, y = torch.randn(1, 3, 5), torch.randn(1, 3, 5)
    p, q = (torch.distributions.Categorical(logits=logits) for logits in (y, x))
    forward = torch.distributions.kl_divergence(p, q)
    backward = torch.distributions.kl_divergence(q, p)
    one = torch.ones(1, 3)
    torch.testing.assert_close(objectives.align("kl", x, y, (5,), one, one), forward.mean(1))
    torch.testing.assert_close(objectives.align("kl-published", x, y, (5,), one, one), backward.sum(1))


def test_the_student_is_measured_by_the_teacher_and_not_the_other_way_round() -> None:
    student, teacher = torch.randn(2, 5), 3 * torch.randn(2, 5)
    p, q = (torch.distributions.Categorical(logits=logits) for logits in (teacher, student))
    torch.testing.assert_close(objectives.distil("kl", student, teacher), torch.distributions.kl_divergence(p, q))
    backward = torch.distributions.kl_divergence(q, p)
    torch.testing.assert_close(objectives.distil("kl-published", student, teacher), backward)
    in_the_teacher_s_units = (student - teacher).square().mean(1) / teacher.square().mean(1)
    torch.testing.assert_close(objectives.distil("mse", student, teacher), in_the_teacher_s_units, rtol=1e-4, atol=0)
    angle = 1 - F.cosine_similarity(student, teacher)
    torch.testing.assert_close(objectives.distil("cosine", student, teacher), angle)


def test_the_published_distillation_holds_every_token_against_one_fixed_projection() -> None:
    adapted, teacher = torch.randn(2, 3, 8), torch.randn(2, 5)
    found = objectives.distil_published(adapted, teacher)
    projection = torch.randn(5, 8, generator=torch.Generator().manual_seed(39)) / 5**0.5
    p = torch.distributions.Categorical(logits=(teacher @ projection)[:, None].expand(2, 3, 8))
    backward = torch.distributions.kl_divergence(torch.distributions.Categorical(logits=adapted), p)
    torch.testing.assert_close(found, backward.sum(1))
    torch.manual_seed(1)
    assert torch.equal(objectives.distil_published(adapted, teacher), found)


def test_attention_matches_tokens_wherever_they_stand() -> None:
    y = torch.randn(1, 6, 32)
    moved = y[:, torch.tensor([3, 0, 5, 1, 4, 2])]
    one = torch.ones(1, 6)
    assert objectives.align("attention", moved, y, (32,), one, one).item() < 0.05
    assert objectives.align("mse", moved, y, (32,), one, one).item() > 0.5
    assert objectives.align("attention", torch.randn(1, 6, 32), y, (32,), one, one).item() > 0.3


def test_attention_sees_no_padding() -> None:
    x, y = torch.randn(1, 6, 8), torch.randn(1, 6, 8)
    mask = torch.tensor([[1, 1, 1, 1, 0, 0]])
    before = objectives.matched(x, y, mask, mask)
    x[:, 4:], y[:, 4:] = 100.0, -100.0
    assert torch.equal(objectives.matched(x, y, mask, mask), before)


def test_an_error_in_the_words_weighs_as_much_as_in_all_positions_together() -> None:
    y = torch.randn(1, 6, 8)
    mask = torch.tensor([[1, 1, 0, 0, 0, 0]])
    word, padding = y.clone(), y.clone()
    word[:, 0] += 1.0
    padding[:, 5] += 1.0
    one = torch.ones(1, 6)
    plain = objectives.align("mse", word, y, (8,), one, mask)
    # One of two words, one of six positions.
    torch.testing.assert_close(objectives.align("words", word, y, (8,), one, mask), plain * (1 / 2 + 1 / 6) * 6 / 2)
    torch.testing.assert_close(objectives.align("words", padding, y, (8,), one, mask), plain / 2)


def test_both_halves_of_sdxl_count_the_same_whatever_their_scale() -> None:
    x, y = torch.randn(SHAPE), torch.randn(SHAPE)
    scale = torch.tensor([1.0] * 3 + [50.0] * 5)
    plain = objectives.align("mse", x, y, (3, 5), MASK, MASK)
    torch.testing.assert_close(
        objectives.align("mse", x * scale, y * scale, (3, 5), MASK, MASK), plain, rtol=1e-3, atol=0
    )


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_the_goal_is_what_the_unet_predicts(kind: str) -> None:
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(prediction_type=kind)
    z, noise, t = torch.randn(2, 4, 3, 3), torch.randn(2, 4, 3, 3), torch.tensor([100, 900])
    goal, weight = denoising_goal(scheduler, z, noise, t, 0.0)
    assert torch.equal(weight, torch.ones(2))
    # A perfect prediction leads back to the clean latents.
    noisy = scheduler.add_noise(z, noise, t)
    for row in range(2):
        a = scheduler.alphas_cumprod[t[row]]
        clean = {
            "epsilon": (noisy[row] - (1 - a).sqrt() * goal[row]) / a.sqrt(),
            "v_prediction": a.sqrt() * noisy[row] - (1 - a).sqrt() * goal[row],
            "sample": goal[row],
        }[kind]
        torch.testing.assert_close(clean, z[row], rtol=1e-3, atol=1e-3)


def test_min_snr_weighs_easy_timesteps_less() -> None:
    from diffusers import DDIMScheduler

    z = torch.zeros(2, 4, 2, 2)
    _, weight = denoising_goal(DDIMScheduler(), z, z, torch.tensor([5, 900]), 5.0)
    assert weight[0] < 0.05
    torch.testing.assert_close(weight[1], torch.tensor(1.0))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> tuple[Options, FrozenModel, Batches, int]:
    root = tmp_path_factory.mktemp("losses")
    options = small(
        model_folder, write_imagefolder(root / "data"), root / "out", teacher=str(write_teacher(root / "t"))
    )
    frozen = FrozenModel(model_folder, CPU)
    examples = read_examples(options.data)
    caches = Caches(root / "cache", frozen, 32)
    caches.fill_prompts([EMPTY, *(t for e in examples for t in (e.narrative, e.keywords))])
    caches.fill_latents(examples)
    return options, frozen, Batches(examples, caches, options), 24


ALONE = [
    *(("align", {"align": kind}) for kind in ALIGNMENTS),
    ("denoise", {}),
    ("match", {}),
    ("distil", {"distil": "cosine"}),
    ("distil", {"distil": "mse", "teacher_layer": "last"}),
    ("distil", {"distil": "kl", "teacher_layer": "1"}),
    ("distil", {"distil": "kl-published"}),
    ("distil", {"distil": "attention", "teacher_tokens": True}),
]


@pytest.mark.parametrize("layout", ["sequence", "token"])
@pytest.mark.parametrize(("name", "asked"), ALONE, ids=[f"{n}-{'-'.join(map(str, a.values()))}" for n, a in ALONE])
def test_each_loss_alone_reaches_every_weight_of_the_adapter_and_none_of_the_model(
    prepared: tuple[Options, FrozenModel, Batches, int], name: str, asked: dict, layout: str
) -> None:
    base, frozen, batches, width = prepared
    zero = {f"{other}_weight": float(other == name) for other in ("denoise", "match", "align", "distil")}
    options = replace(base, **zero, **asked, teacher=base.teacher if name == "distil" else None)
    if options.teacher:
        teacher = Teacher(options.teacher, options.teacher_layer, options.teacher_tokens, CPU)
        batches.caches.fill_teacher(teacher, [e.narrative for e in batches.examples])
    batches.options = options
    has_head = name == "distil" and options.distil != "kl-published"
    torch.manual_seed(0)
    adapter = SURAdapter(
        32, layout=layout, num_layers=1, num_heads=4, mask_padding=False, teacher_dim=width if has_head else None
    )
    # At step 0 the last layer is zero, and nothing before it can have a gradient.
    last = adapter.encoder.proj_out if layout == "sequence" else adapter.encoder.fc
    torch.nn.init.normal_(last.weight, std=0.1)
    batch = batches.load([batches.draw(0, place) for place in range(4)], with_unet=name in ("denoise", "match"))
    found = losses(adapter.train(), frozen, batch, options, with_unet=name in ("denoise", "match"))
    assert set(found) == {name}
    assert found[name].shape == (4,)
    found[name].sum().backward()
    # Softmax does not see what is added to every key alike.
    without = {n for n, p in adapter.named_parameters() if p.grad is None or not p.grad.any()} - {"encoder.key.bias"}
    assert not without
    for part in ("unet", "vae", "text_encoder"):
        assert all(p.grad is None and not p.requires_grad for p in frozen.part(part).parameters())


@pytest.mark.parametrize("draws", [2, 0], ids=["cached", "fresh"])
@pytest.mark.parametrize("kind", ["mse", "kl-published"])
def test_a_dropped_caption_counts_where_its_target_is_the_empty_prompt_s(
    prepared: tuple[Options, FrozenModel, Batches, int], kind: str, draws: int
) -> None:
    """The teacher and the cached predictions speak of the narrative and its keywords, which the adapter was not shown."""
    base, frozen, before, width = prepared
    options = replace(base, distil=kind, match_draws=draws, caption_drop=0.5, batch_size=8, snr_gamma=0.0)
    caches = Caches(before.caches.root, frozen, 32, draws)
    caches.fill_latents(before.examples)
    caches.fill_teacher(Teacher(options.teacher or "", "mean", False, CPU), [e.narrative for e in before.examples])
    if draws:
        caches.fill_predictions(before.examples)
    batches = Batches(before.examples, caches, options)
    drawn = [batches.draw(0, place) for place in range(8)]
    batch = batches.load(drawn, with_unet=True)
    torch.manual_seed(0)
    adapter = SURAdapter(32, num_layers=1, num_heads=4, mask_padding=False, teacher_dim=width)
    torch.nn.init.normal_(adapter.encoder.proj_out.weight, std=0.5)  # type: ignore[union-attr]
    with torch.no_grad():
        found = losses(adapter, frozen, batch, options, with_unet=True)
        adapted = adapter(batch.source.states, batch.source.mask)
        student = adapter.sentence_for_teacher(adapted, batch.source.mask)
    dropped = torch.tensor([d.narrative == EMPTY for d in drawn])
    assert 0 < dropped.sum() < 8
    assert (found["distil"] == 0).equal(dropped)
    assert (found["match"] == 0).equal(dropped if draws else torch.zeros(8, dtype=torch.bool))
    assert found["align"].min() > 0
    assert found["denoise"].min() > 0
    assert batch.teacher is not None
    taught = (
        objectives.distil_published(adapted, batch.teacher)
        if kind == "kl-published"
        else objectives.distil(kind, student, batch.teacher)
    )
    torch.testing.assert_close(found["distil"][~dropped], taught[~dropped])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"steps": 0}, "--steps must be at least 1, not 0"),
        ({"learning_rate": 0.0}, "--learning-rate must be above 0"),
        ({"muon_learning_rate": -0.02}, "--muon-learning-rate must be 0 or more"),
        ({"seed": -1}, "--seed must be 0 or more, not -1"),
        ({"align": "l1"}, "--align must be one of mse"),
        ({"teacher_layer": "first"}, "--teacher-layer must be mean, last"),
        ({"adapt_negative": True}, "--adapt-negative needs --caption-drop"),
        ({"denoise_weight": 0.0, "match_weight": 0.0, "align_weight": 0.0}, "Every loss has the weight 0"),
        ({"caption_drop": 0.6, "keyword_share": 0.5}, "must leave some narratives"),
        ({"teacher_tokens": True}, "--teacher-tokens needs --distil attention"),
    ],
)
def test_options_that_contradict_each_other(asked: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        small(Path("m"), Path("d"), Path("o"), **asked)
