"""The adapter's two layouts, and that each flaw of the published code is gone."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from vignette.sur import SURAdapter

LAYOUTS = ["token", "sequence"]


def adapter(layout: str = "sequence", *, trained: bool = True, **config: object) -> SURAdapter:
    torch.manual_seed(0)
    built = SURAdapter(32, layout=layout, num_heads=4, **config)
    if trained:
        last = built.encoder.fc if layout == "token" else built.encoder.proj_out
        nn.init.normal_(last.weight, std=0.5)
    return built.eval()


def prompts(batch: int = 4, length: int = 77) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(3, length, (batch, 1), generator=generator)
    return torch.randn(batch, length, 32, generator=generator), (torch.arange(length) < lengths).long()


def test_sequence_layout_is_the_identity_before_training() -> None:
    x, mask = prompts()
    assert torch.equal(adapter(trained=False)(x, mask), x)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_prompt_does_not_depend_on_its_company(layout: str) -> None:
    x, mask = prompts()
    built = adapter(layout)
    together = built(x, mask)
    assert not torch.allclose(together, x, atol=1e-2)
    for i in range(len(x)):
        torch.testing.assert_close(built(x[i : i + 1], mask[i : i + 1])[0], together[i], atol=2e-6, rtol=1e-5)


def test_tokens_of_one_prompt_do_see_each_other() -> None:
    x, mask = prompts(1)
    mask[:] = 1
    other = x.clone()
    other[0, 10] = torch.randn(32)
    changed = (adapter()(x, mask) - adapter()(other, mask)).abs().amax(dim=-1)[0] > 1e-6
    assert changed.all()


def test_padding_is_hidden_from_the_words() -> None:
    x, mask = prompts(1)
    words = int(mask.sum())
    other = x.clone()
    other[0, words:] = torch.randn(77 - words, 32)
    built = adapter()
    torch.testing.assert_close(built(x, mask)[:, :words], built(other, mask)[:, :words])
    visible = adapter(mask_padding=False)
    assert not torch.allclose(visible(x, mask)[:, :words], visible(other, mask)[:, :words], atol=1e-4)


def test_a_prompt_of_padding_alone_gives_numbers() -> None:
    x, mask = prompts(1)
    assert torch.isfinite(adapter()(x, torch.zeros_like(mask))).all()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_dropout_is_off_at_inference(layout: str) -> None:
    x, mask = prompts()
    built = adapter(layout, dropout=0.5)
    assert torch.equal(built(x, mask), built(x, mask))
    built.train()
    assert not torch.equal(built(x, mask), built(x, mask))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradient_reaches_every_weight(layout: str) -> None:
    x, mask = prompts()
    built = adapter(layout, teacher_dim=5).train()
    adapted = built(x, mask)
    (adapted.square().mean() + built.sentence_for_teacher(adapted, mask).square().mean()).backward()
    without = [name for name, p in built.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # A key's bias shifts all of a query's scores alike, so the softmax takes it out again.
    assert [name for name in without if name != "encoder.key.bias"] == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_scale_is_per_prompt(layout: str) -> None:
    x, mask = prompts(3)
    built = adapter(layout, eta=0.5)
    full = built(x, mask)
    mixed = built(x, mask, torch.tensor([0.0, 1.0, 0.5]))
    torch.testing.assert_close(mixed[0], x[0])
    torch.testing.assert_close(mixed[1], full[1])
    torch.testing.assert_close(mixed[2], (x[2] + full[2]) / 2)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_close(layout: str, dtype: torch.dtype) -> None:
    x, mask = prompts()
    built = adapter(layout, eta=0.5)
    expected = built(x, mask)
    given = built.to(dtype)(x.to(dtype), mask)
    assert given.dtype == dtype
    assert (given.float() - expected).abs().mean() < 0.02 * expected.abs().mean()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_saved_and_loaded_it_is_the_same(layout: str, tmp_path: Path) -> None:
    x, mask = prompts()
    built = adapter(layout, eta=0.25, adapt_negative=True)
    built.save_pretrained(tmp_path)
    for loaded in (SURAdapter.load(tmp_path), SURAdapter.from_pretrained(tmp_path).eval()):
        assert torch.equal(loaded(x, mask), built(x, mask))
        assert loaded.config["eta"] == 0.25
        assert loaded.config["adapt_negative"] is True


def test_a_folder_name_never_reaches_the_next_checkpoint(tmp_path: Path) -> None:
    adapter().save_pretrained(tmp_path / "secret-place")
    SURAdapter.load(tmp_path / "secret-place").save_pretrained(tmp_path / "again")
    assert "secret-place" not in (tmp_path / "again" / "config.json").read_text()


def test_loading_insists_on_every_weight(tmp_path: Path) -> None:
    adapter().save_pretrained(tmp_path)
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    save_file({k: v for k, v in weights.items() if k != "encoder.proj_out.bias"}, file)
    with pytest.raises(ValueError, match="proj_out.bias"):
        SURAdapter.load(tmp_path)
    save_file(weights | {"encoder.surplus": torch.zeros(1)}, file)
    with pytest.raises(ValueError, match="surplus"):
        SURAdapter.load(tmp_path)
    save_file(weights | {"encoder.proj_out.bias": torch.full((32,), torch.nan)}, file)
    with pytest.raises(ValueError, match="proj_out.bias holds NaN"):
        SURAdapter.load(tmp_path)
    file.unlink()
    with pytest.raises(ValueError, match="safetensors"):
        SURAdapter.load(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("diffusion_pytorch_model.safetensors", lambda old: old[: len(old) // 2], "cut off or damaged.*again"),
        ("diffusion_pytorch_model.safetensors", lambda old: b"", "cut off or damaged"),
        (
            "diffusion_pytorch_model.safetensors",
            lambda old: b"PK\x03\x04" + old,
            "is a pickle.*vignette adapter convert",
        ),
        ("diffusion_pytorch_model.safetensors", lambda old: pickle.dumps({}) + old, "is a pickle"),
        ("config.json", lambda old: old[:40], "config.json cannot be read"),
        ("config.json", lambda old: b"[]", "holds no SUR-adapter"),
        ("config.json", lambda old: old.replace(b"SURAdapter", b"UNet2DModel"), "is of UNet2DModel"),
        ("config.json", lambda old: old.replace(b'"eta"', b'"beta"'), r"unknown fields \(beta\)"),
        (
            "config.json",
            lambda old: old.replace(b'"hidden_size": 32', b'"hidden_size": "32"'),
            "describes no SUR-adapter",
        ),
        ("config.json", lambda old: old.replace(b'"eta": 1.0', b'"eta": 7'), "describes no SUR-adapter: eta must"),
        ("config.json", lambda old: old.replace(b'"hidden_size": 32', b'"hidden_size": 48'), r"do not fit.*\[77, 48\]"),
    ],
)
def test_damaged_files_are_named_with_a_remedy(
    file: str, content: Callable[[bytes], bytes], says: str, tmp_path: Path
) -> None:
    adapter().save_pretrained(tmp_path)
    before = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(content(before))
    assert (tmp_path / file).read_bytes() != before
    with pytest.raises(ValueError, match=says) as error:
        SURAdapter.load(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_only_safetensors_are_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="safetensors only"):
        adapter().save_pretrained(tmp_path, safe_serialization=False)
    assert list(tmp_path.iterdir()) == []


def test_wrong_shapes_are_named() -> None:
    x, mask = prompts()
    built = adapter()
    with pytest.raises(ValueError, match=r"\[batch, tokens, 32\]"):
        built(x[..., :16])
    with pytest.raises(ValueError, match="at most 77"):
        built(torch.zeros(1, 78, 32))
    with pytest.raises(ValueError, match="attention_mask"):
        built(x, mask[:, :5])
    with pytest.raises(ValueError, match="scale"):
        built(x, mask, torch.ones(3))
    with pytest.raises(ValueError, match="attention_mask"):
        built.train()(x)
    with pytest.raises(ValueError, match="eta"):
        adapter(eta=1.5)
    with pytest.raises(ValueError, match="layout"):
        adapter("other", trained=False)
    with pytest.raises(ValueError, match="num_heads"):
        SURAdapter(32, num_heads=5)


def test_about_two_million_weights_at_width_256() -> None:
    assert 1_500_000 < sum(p.numel() for p in SURAdapter(256).parameters()) < 2_000_000
