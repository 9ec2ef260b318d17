"""What is cached is what would be computed, is computed once, and is never found for anything else."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.tiny import write_model
from tests.tiny_training import picture, write_imagefolder, write_xl
from vignette.errors import ConfigError
from vignette.training.caches import Caches, Share, noise_like
from vignette.training.data import Example, read_examples
from vignette.training.frozen import FrozenModel
from vignette.training.store import Store

CPU = torch.device("cpu")
PATIENCE = 60


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    return read_examples(write_imagefolder(tmp_path / "data"))


def _caches(root: Path, model: Path, **more: int) -> Caches:
    return Caches(root, FrozenModel(model, CPU), 32, **more)


def test_prompts_are_encoded_as_the_pipeline_encodes_them(model_folder: Path, tmp_path: Path) -> None:
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(model_folder, local_files_only=True)
    texts = ["a story of two cats", "", "x" * 300]
    with torch.no_grad():
        expected = torch.cat([pipeline.encode_prompt(text, CPU, 1, False)[0] for text in texts])
    caches = _caches(tmp_path, model_folder)
    caches.fill_prompts(texts)
    torch.testing.assert_close(caches.prompts(texts).states, expected, rtol=1e-3, atol=2e-3)
    # 19 characters of five words, one of them a token by itself, and the two ends.
    assert caches.prompts(texts).mask.sum(1).tolist()[1:] == [2, 77]
    assert caches.frozen.cut(texts[2])
    assert not caches.frozen.cut(texts[0])


def test_latents_are_the_vaes_scaled_by_the_models_factor(
    model_folder: Path, tmp_path: Path, examples: list[Example]
) -> None:
    import io

    from PIL import Image

    caches = _caches(tmp_path / "cache", model_folder)
    caches.fill_latents(examples[:1])
    # 40 x 36 pixels are scaled to 36 x 32 and cut to 32 x 32 at the centre.
    image = Image.open(io.BytesIO(picture(0))).resize((36, 32), Image.Resampling.LANCZOS).crop((2, 0, 34, 32))
    pixels = torch.tensor(list(image.tobytes()), dtype=torch.float32).view(1, 32, 32, 3).permute(0, 3, 1, 2) / 127.5 - 1
    vae = caches.frozen.part("vae")
    with torch.no_grad():
        expected = vae.encode(pixels).latent_dist.mode() * vae.config.scaling_factor
    torch.testing.assert_close(caches.latents(examples[:1]), expected, rtol=1e-3, atol=1e-3)


def test_nothing_is_computed_twice_and_what_changed_is(
    model_folder: Path, tmp_path: Path, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    encode = FrozenModel.encode_pictures
    monkeypatch.setattr(
        FrozenModel, "encode_pictures", lambda s, pixels: (seen.append(len(pixels)), encode(s, pixels))[1]
    )
    _caches(tmp_path / "cache", model_folder).fill_latents(examples)
    assert sum(seen) == 6
    (tmp_path / "data" / "2.png").write_bytes(picture(99))
    _caches(tmp_path / "cache", model_folder).fill_latents(read_examples(tmp_path / "data"))
    assert sum(seen) == 7
    # Another VAE: nothing of the first one's is found.
    other = write_model(tmp_path / "other", seed=5)
    caches = _caches(tmp_path / "cache", other)
    caches.fill_latents(examples)
    assert sum(seen) == 13


def test_a_cut_shard_is_computed_again(tmp_path: Path) -> None:
    store = Store(tmp_path, "text", {"a": 1})
    store.put({"k": {"v": torch.ones(2)}})
    store.refresh()
    assert "k" in store
    [file] = store.folder.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:20])
    again = Store(tmp_path, "text", {"a": 1})
    assert again.missing(["k", "k"]) == ["k"]
    assert not file.exists()


def test_cached_predictions_are_the_unets_own(model_folder: Path, tmp_path: Path, examples: list[Example]) -> None:
    caches = _caches(tmp_path / "cache", model_folder, match_draws=3, seed=4)
    caches.fill_prompts([e.keywords for e in examples])
    caches.fill_latents(examples)
    caches.fill_predictions(examples)
    frozen, spots = caches.frozen, [caches.spot(examples[0], k) for k in range(3)]
    assert len({t for t, _ in spots}) == 3
    assert len({seed for _, seed in spots}) == 3
    latents, states = caches.latents(examples[:1]), caches.prompts([examples[0].keywords]).states
    for k, (t, seed) in enumerate(spots):
        timestep = torch.tensor([t])
        noisy = frozen.part("scheduler").add_noise(latents, noise_like(latents[0], seed)[None], timestep)
        with torch.no_grad():
            expected = frozen.predict(noisy, timestep, states, None)[0]
        torch.testing.assert_close(caches.prediction(examples[0], k), expected, rtol=2e-3, atol=2e-3)


def test_a_model_that_cannot_be_trained_for_is_named(tmp_path: Path, model_folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"is no diffusers folder .*from_single_file"):
        FrozenModel(tmp_path, CPU)
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(ConfigError, match="holds a FluxPipeline"):
        FrozenModel(tmp_path, CPU)
    with pytest.raises(ConfigError, match="--resolution must be a multiple of 2, not 33"):
        Caches(tmp_path, FrozenModel(model_folder, CPU), 33)


@pytest.mark.parametrize(
    ("part", "weight", "item"),
    [
        ("text_encoder", "final_layer_norm.bias", "a story of one cats"),
        ("vae", "encoder.conv_out.bias", "metadata.jsonl, line 1 (0.png)"),
        ("unet", "conv_out.bias", "metadata.jsonl, line 1 (0.png)"),
    ],
)
def test_the_part_that_gives_nan_is_named(
    part: str, weight: str, item: str, model_folder: Path, tmp_path: Path, examples: list[Example]
) -> None:
    folder = Path(shutil.copytree(model_folder, tmp_path / "model"))
    _write_nan(folder / part, weight)
    caches = _caches(tmp_path / "cache", folder, match_draws=1)
    with pytest.raises(ConfigError) as error:
        _fill(caches, examples)
    assert str(error.value).startswith(f"{folder / part} gives NaN or numbers beyond half precision for {item!r}; its")


def test_of_two_encoders_the_right_one_is_named(tmp_path: Path) -> None:
    folder = write_xl(tmp_path / "xl")
    _write_nan(folder / "text_encoder_2", "text_projection.weight")
    with pytest.raises(ConfigError, match="xl/text_encoder_2 gives NaN .* for 'a story'"):
        _caches(tmp_path / "cache", folder).fill_prompts(["a story"])
    _write_nan(folder / "text_encoder_2", "encoder.layers.0.mlp.fc2.bias")
    with pytest.raises(ConfigError, match="xl/text_encoder_2 gives NaN .* for 'a story'"):
        _caches(tmp_path / "cache", folder).fill_prompts(["a story"])
    _write_nan(folder / "text_encoder", "encoder.layers.0.mlp.fc2.bias")
    with pytest.raises(ConfigError, match="xl/text_encoder gives NaN .* for 'a story'"):
        _caches(tmp_path / "cache", folder).fill_prompts(["a story"])


def _fill(caches: Caches, examples: list[Example]) -> None:
    caches.fill_prompts(text for e in examples for text in (e.narrative, e.keywords))
    caches.fill_latents(examples)
    caches.fill_predictions(examples)


def _write_nan(folder: Path, weight: str) -> None:
    """Makes one weight of a part NaN; the name's end is enough."""
    [file] = folder.glob("*.safetensors")
    state = load_file(file)
    [name] = [name for name in state if name.endswith(weight)]
    state[name] = torch.full_like(state[name], torch.nan)
    save_file(state, file.with_suffix(".new"), metadata={"format": "pt"})
    file.with_suffix(".new").rename(file)  # what is mapped into memory stays whole


def test_two_processes_leave_no_key_to_nobody_whoever_looks_last(model_folder: Path, tmp_path: Path) -> None:
    """The second has begun to write, or waits for the first, before the first looks what there is to do."""
    texts, barrier, under_way = [f"a story of {n} cats" for n in range(6)], threading.Barrier(2), threading.Event()
    frozen = [FrozenModel(model_folder, CPU) for _ in range(2)]

    def wait() -> None:
        under_way.set()
        barrier.wait(PATIENCE)

    first = Caches(tmp_path, frozen[0], 32, share=Share(0, 2, wait))
    second = Caches(tmp_path, frozen[1], 32, share=Share(1, 2, wait))
    put = second._text.put
    second._text.put = lambda entries: (put(entries), under_way.set())[0]  # type: ignore[method-assign]

    def late() -> None:
        assert under_way.wait(PATIENCE)
        first._text.refresh()
        first.fill_prompts(texts)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(late), pool.submit(second.fill_prompts, texts)]:
            done.result(PATIENCE)
    assert first.prompts(texts).states.shape[0] == len(texts)
