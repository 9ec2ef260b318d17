"""Options for speed change when and how the UNet is called, not what it draws."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.drawing import Drawing, assert_same, draw, request
from vignette.engine import stages
from vignette.engine.catalogue import Defaults, LoraSpec, ModelSpec, SpeedSpec
from vignette.engine.loader import LoadedModel, load_model
from vignette.engine.memory import MemoryProfile
from vignette.engine.speed import MOST_SHAPES, bucket_of, bucket_within
from vignette.engine.warm_up import warm_up
from vignette.errors import ConfigError

CPU = torch.device("cpu")


def load(folder: Path, max_batch: int = 16, **speed: object) -> LoadedModel:
    small = Defaults(width=64, height=64)
    spec = ModelSpec(id="tiny", path=folder, max_batch=max_batch, speed=SpeedSpec(**speed), defaults=small)  # type: ignore[arg-type]
    return load_model(spec, CPU)


def test_buckets() -> None:
    assert [bucket_of(n, (1, 2, 4, 8)) for n in (1, 2, 3, 5, 8, 9)] == [1, 2, 4, 8, 8, 9]
    assert bucket_of(5, ()) == 5
    assert [bucket_within(n, (2, 4, 8)) for n in (1, 2, 3, 7, 8, 9)] == [2, 2, 2, 4, 8, 8]
    assert bucket_within(5, ()) == 5
    spec = ModelSpec(id="x", path=Path("x"), max_batch=6, speed=SpeedSpec(compile="default"))
    assert spec.buckets == (1, 2, 4, 6)
    assert ModelSpec(id="x", path=Path("x")).buckets == ()
    with pytest.raises(ValueError, match="ascending"):
        SpeedSpec(buckets=(4, 2))


def test_padding_fills_the_bucket_and_leaves_the_pictures_alone(model: LoadedModel, model_folder: Path) -> None:
    padded = load(model_folder, buckets=(1, 4, 8))
    sizes: list[int] = []
    forward = padded.unet.forward

    def counted(sample: torch.Tensor, *args: Any, **rest: Any) -> Any:
        sizes.append(len(sample))
        return forward(sample, *args, **rest)

    padded.unet.forward = counted
    asked = [
        request("a"),
        request("b", seed=8, negative_prompt="rain"),
        request("c", seed=9, num_inference_steps=7),
        request("d", guidance_scale=1.0, num_images=2),
    ]
    drawing = draw(padded, *asked)
    assert set(sizes) == {
        8,
        2,
        4,
    }  # three with guidance: four pairs; the last alone: one pair; two without guidance: four
    for r in asked:
        assert_same(drawing.pictures(r.id), draw(model, r).pictures(r.id))


class Roomy(MemoryProfile):
    """Of a device with 1000 bytes, where a call of `n` pictures takes `fixed + each * n`."""

    def __init__(self, fixed: int, each: int) -> None:
        super().__init__(1000)
        self.fixed, self.each = fixed, each

    @contextmanager
    def measured(self, device: torch.device, shape: Hashable, pictures: int) -> Iterator[None]:
        yield
        self.record(shape, pictures, self.fixed + self.each * pictures)


def limited(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """A device without memory for more than `most` pictures in a call, padding included; what was tried."""
    original, tried = stages.denoise, []

    def denoise(model: LoadedModel, conditioning: stages.Conditioning) -> torch.Tensor:
        tried.append(len(conditioning.rows) + conditioning.padding)
        if tried[-1] > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(model, conditioning)

    monkeypatch.setattr(stages, "denoise", denoise)
    return tried


def test_padding_does_not_go_beyond_what_fits(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = limited(monkeypatch, 6)
    drawing = Drawing(load(model_folder, buckets=(1, 2, 4, 8), max_batch=8), Roomy(100, 130))  # six are 880
    drawing.run(*(request(str(k), seed=k) for k in range(8)))
    assert set(tried) == {1, 2, 4}
    assert all(drawing.pictures(str(k)) for k in range(8))


def test_out_of_memory_goes_down_to_a_smaller_bucket(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = limited(monkeypatch, 5)
    drawing = draw(load(model_folder, buckets=(1, 4, 8), max_batch=8), *(request(str(k), seed=k) for k in range(5)))
    assert tried[:2] == [8, 4]
    assert set(tried[1:]) == {4, 1}
    assert all(drawing.pictures(str(k)) for k in range(5))


def test_weights_lie_in_channels_last_unless_told_otherwise(model_folder: Path) -> None:
    for speed, expected in ({}, True), ({"channels_last": False}, False):
        loaded = load(model_folder, **speed)
        for weight in (loaded.unet.conv_in.weight, loaded.vae.decoder.conv_in.weight):
            assert weight.is_contiguous(memory_format=torch.channels_last) == expected


@pytest.mark.parametrize(
    "speed", [{"channels_last": False}, {"fuse_qkv": True}, {"channels_last": False, "fuse_qkv": True}]
)
def test_layout_and_fused_projections_draw_the_same(model: LoadedModel, model_folder: Path, speed: dict) -> None:
    r = request(num_images=2)
    assert_same(draw(load(model_folder, **speed), r).pictures(), draw(model, r).pictures())


class Compiler:
    """In the place of `torch.compile`: notes what is asked for, and which shapes come to what it returns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[dict[str, object]] = []
        self.shapes: list[tuple[int, int, int]] = []
        monkeypatch.setattr(torch, "compile", self._compile)

    def _compile(self, module: Any, **options: Any) -> Any:
        self.asked.append(options)

        def compiled(sample: torch.Tensor, times: torch.Tensor, states: torch.Tensor, **rest: Any) -> Any:
            self.shapes.append((len(sample), sample.shape[-1], states.shape[1]))
            return module(sample, times, states, **rest)

        return compiled


def test_the_unet_is_compiled_as_asked(model: LoadedModel, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = Compiler(monkeypatch)
    compiled = load(model_folder, compile="reduce-overhead", max_batch=2)
    options = {"mode": "reduce-overhead", "fullgraph": True, "dynamic": False, "recompile_limit": MOST_SHAPES}
    assert compiler.asked == [options]
    assert compiled.spec.buckets == (1, 2)
    r = request(num_images=2)
    assert_same(draw(compiled, r).pictures(), draw(model, r).pictures())
    assert set(compiler.shapes) == {(4, 16, 77)}


def test_nobody_waits_for_the_compiler_once_the_model_is_warm(
    model: LoadedModel, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sizes and lengths that it was not warmed up with are drawn with the plain UNet."""
    compiler = Compiler(monkeypatch)
    compiled = load(model_folder, compile="default", max_batch=2)
    warm_up(compiled)
    side = compiled.spec.defaults.width // compiled.pixels_per_latent
    warmed = {(size, side, 77) for size in (1, 2, 4)}
    assert set(compiler.shapes) == warmed
    plain: list[int] = []
    compiled.unet.register_forward_pre_hook(lambda module, inputs: plain.append(inputs[0].shape[-1]))
    compiler.shapes.clear()
    odd = request(width=24)
    others = [request("b", prompt="a cat and a dog, " * 40), request("c", cache_interval=2)]
    assert_same(draw(compiled, odd).pictures(), draw(model, odd).pictures())
    assert len(plain) == 5
    drawing = draw(compiled, *others)
    assert compiler.shapes == []
    for r in others:
        assert_same(drawing.pictures(r.id), draw(model, r).pictures(r.id))


def test_reproducible_kernels_are_not_compiled_for(
    model: LoadedModel, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch would compile even a warm shape anew, because the kernels that it may use are others."""
    compiler = Compiler(monkeypatch)
    compiled = load(model_folder, compile="default", max_batch=1)
    warm_up(compiled)
    compiler.shapes.clear()
    size = compiled.spec.defaults.width
    r = request(width=size, height=size, deterministic=True)
    assert_same(draw(compiled, r).pictures(), draw(model, r).pictures())
    assert compiler.shapes == []


def test_what_the_warm_up_has_learnt_of_memory_is_known_to_the_first_request(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Compiler(monkeypatch)
    compiled, memory = load(model_folder, compile="default", max_batch=4), Roomy(0, 10)
    warm_up(compiled, memory)
    size = compiled.spec.defaults.width
    drawing = Drawing(compiled, memory).run(*(request(str(k), width=size, height=size) for k in range(4)))
    assert set(drawing.calls) == {4}


def test_a_model_starts_with_the_sizes_that_fit(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = limited(monkeypatch, 1)
    compiler = Compiler(monkeypatch)
    compiled, memory = load(model_folder, compile="default", max_batch=8), MemoryProfile(None)
    warm_up(compiled, memory)
    assert set(tried) == {1, 2}
    side = compiled.spec.defaults.width // compiled.pixels_per_latent
    assert set(compiler.shapes) == {(2, side, 77), (1, side, 77)}
    tried.clear()
    size = compiled.spec.defaults.width
    drawing = Drawing(compiled, memory).run(*(request(str(k), width=size, height=size) for k in range(3)))
    assert set(tried) == {1}
    assert all(drawing.pictures(str(k)) for k in range(3))


def test_a_model_of_which_not_even_one_picture_fits_does_not_start(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(monkeypatch, 0)
    with pytest.raises(ConfigError, match="does not fit"):
        warm_up(load(model_folder))


@pytest.mark.parametrize("fused", [False, True])
def test_the_unet_is_traced_in_one_piece(
    model: LoadedModel, model_folder: Path, monkeypatch: pytest.MonkeyPatch, fused: bool
) -> None:
    """By PyTorch itself; only the code that it would make of the trace is left out."""
    graphs: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Callable[..., Any]:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    traced = load(model_folder, compile="default", fuse_qkv=fused, max_batch=2)
    asked = [request("a"), request("b", seed=8, guidance_scale=1.0), request("c", seed=9, num_inference_steps=7)]
    drawing = draw(traced, *asked)
    for r in asked:
        assert_same(drawing.pictures(r.id), draw(model, r).pictures(r.id))
    assert len(graphs) == 3  # two pairs; a pair, at the end alone; one without guidance


def test_a_model_that_comes_back_is_not_traced_again(
    model: LoadedModel, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What PyTorch has compiled holds for parameters of the same kind, wherever their numbers lie."""
    graphs: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Callable[..., Any]:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    traced = load(model_folder, compile="default", max_batch=1)
    draw(traced, request())
    assert len(graphs) == 1
    traced.drop_weights()
    traced.put_weights(traced.read_weights())
    assert_same(draw(traced, request()).pictures(), draw(model, request()).pictures())
    assert len(graphs) == 1


def test_a_model_that_comes_back_is_warm_still(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = Compiler(monkeypatch)
    compiled = load(model_folder, compile="default", max_batch=1)
    warm_up(compiled)
    warmed = set(compiler.shapes)
    compiled.drop_weights()
    compiled.put_weights(compiled.read_weights())
    assert len(compiler.asked) == 1
    compiler.shapes.clear()
    draw(compiled, request(width=24))
    assert compiler.shapes == []
    size = compiled.spec.defaults.width
    draw(compiled, request(width=size, height=size))
    assert compiler.shapes
    assert set(compiler.shapes) < warmed


def test_fused_projections_and_loras_exclude_each_other(model_folder: Path, tmp_path: Path) -> None:
    from tests.test_engine_lora import write_lora

    lora = LoraSpec(id="x", path=write_lora(tmp_path / "x.safetensors", "peft"))
    with pytest.raises(ConfigError, match="fuse_qkv"):
        load_model(ModelSpec(id="tiny", path=model_folder, loras=(lora,), speed=SpeedSpec(fuse_qkv=True)), CPU)
