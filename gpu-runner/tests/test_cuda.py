"""What only a GPU can show: its kernels, compiled code with CUDA graphs, its allocator. Skipped where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from diffusers import StableDiffusionPipeline

from tests.drawing import Drawing, draw, request
from tests.tiny_training import losses_of, small, write_imagefolder
from vignette.engine.catalogue import Defaults, ModelSpec, SpeedSpec
from vignette.engine.events import Failed, Finished
from vignette.engine.loader import LoadedModel, load_model
from vignette.engine.memory import MemoryProfile
from vignette.engine.warm_up import warm_up
from vignette.sur import SURAdapter
from vignette.training.frozen import FrozenModel
from vignette.training.run import train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
MIXED = ("DDIMScheduler", "DPMSolverMultistepScheduler", "EulerAncestralDiscreteScheduler", "DDIMScheduler")


def load(folder: Path, dtype: str = "float32", **speed: object) -> LoadedModel:
    spec = ModelSpec(
        id="tiny",
        path=folder,
        dtype=dtype,
        max_batch=4,
        speed=SpeedSpec(**speed),
        defaults=Defaults(width=64, height=64),
    )  # type: ignore[arg-type]
    return load_model(spec, torch.device("cuda"))


@pytest.fixture
def exact() -> Iterator[None]:
    """float32 is computed as float32, not as TF32."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def difference(ours: list[np.ndarray], theirs: list[np.ndarray]) -> float:
    """Of 8-bit values, the mean."""
    assert all(picture.std() > 1 for picture in ours)
    return float(np.mean([np.abs(a.astype(int) - b).mean() for a, b in zip(ours, theirs, strict=True)]))


@pytest.mark.usefixtures("exact")
def test_draws_what_diffusers_draws(model_folder: Path) -> None:
    pipe = StableDiffusionPipeline.from_pretrained(model_folder, local_files_only=True).to("cuda")
    r = request(negative_prompt="rain")
    theirs = pipe(
        r.prompt,
        negative_prompt=r.negative_prompt,
        width=r.width,
        height=r.height,
        num_inference_steps=r.num_inference_steps,
        guidance_scale=r.guidance_scale,
        generator=torch.Generator("cpu").manual_seed(r.seed),
        output_type="np",
    ).images
    assert difference(draw(load(model_folder), r).pictures(), list((theirs * 255).round().astype(np.uint8))) < 0.5


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 0.5), ("bfloat16", 2.0)])
def test_company_changes_little(model_folder: Path, dtype: str, bound: float) -> None:
    model = load(model_folder, dtype)
    asked = [request(str(k), seed=k, scheduler=name) for k, name in enumerate(MIXED)]
    together = draw(model, *asked)
    assert max(together.calls) == len(asked)
    for r in asked:
        assert difference(together.pictures(r.id), draw(model, r).pictures(r.id)) < bound


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_deterministic_pictures_are_the_same_bytes(model_folder: Path, dtype: str) -> None:
    model = load(model_folder, dtype)
    wanted = request("wanted", deterministic=True, num_images=2)
    alone = draw(model, wanted).pictures("wanted")
    company = draw(model, request("a", seed=9), wanted, request("b", seed=8)).pictures("wanted")
    assert [a.tobytes() for a in alone] == [b.tobytes() for b in company]


@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_compiled_code_draws_the_same(model_folder: Path, mode: str) -> None:
    """With CUDA graphs, whose results lie in memory that the next call overwrites."""
    plain, compiled = load(model_folder), load(model_folder, compile=mode, fuse_qkv=True)
    warm_up(compiled)
    asked = [request(str(k), seed=k, width=64, height=64, scheduler=name) for k, name in enumerate(MIXED[:3])]
    together, eager = draw(compiled, *asked), draw(plain, *asked)
    for r in asked:
        assert difference(together.pictures(r.id), eager.pictures(r.id)) < 2.0


def test_a_call_that_does_not_fit_leaves_the_others_alone(model_folder: Path) -> None:
    """The allocator itself refuses; what fits is drawn, and the next request too."""
    model = load(model_folder)
    device = torch.device("cuda", torch.cuda.current_device())
    total = torch.cuda.get_device_properties(device).total_memory
    draw(model, request())
    torch.cuda.empty_cache()
    allowed = torch.cuda.memory_reserved(device) + (64 << 20)
    torch.cuda.set_per_process_memory_fraction(allowed / total, device)
    try:
        drawing = Drawing(model, MemoryProfile(total))
        drawing.run(request("large", width=4096, height=4096, num_inference_steps=1), request("small"))
        assert isinstance(drawing.events["large"][-1], Failed)
        assert drawing.events["large"][-1].code == "out_of_memory"
        assert isinstance(drawing.events["small"][-1], Finished)
        assert drawing.run(request("later")).pictures("later")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)


def test_peak_memory_is_learnt(model_folder: Path) -> None:
    profile = MemoryProfile(torch.cuda.get_device_properties(0).total_memory)
    drawing = Drawing(load(model_folder), profile)
    drawing.run(*(request(str(k), seed=k) for k in range(4)))
    assert max(drawing.calls) > 1
    assert all(drawing.pictures(str(k)) for k in range(4))


@pytest.mark.parametrize("mode", ["none", "reduce-overhead"])
def test_weights_that_come_back_are_drawn_with(model_folder: Path, mode: str) -> None:
    """By compiled code too, whose CUDA graphs were recorded with the weights where they lay before."""
    model = load(model_folder, compile=mode)
    warm_up(model)
    r = request(width=64, height=64)
    before = draw(model, r).pictures()
    held = torch.cuda.memory_allocated()
    model.drop_weights()
    assert torch.cuda.memory_allocated() <= held - model.weight_bytes * 9 // 10
    other = torch.randn(model.weight_bytes, device="cuda")  # in their place
    model.put_weights(model.read_weights())
    assert difference(draw(model, r).pictures(), before) < 0.5
    del other


@pytest.fixture
def own_accelerator() -> Iterator[None]:
    """Accelerate keeps a process on the device it was first given, which for other tests' training is the CPU."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.usefixtures("own_accelerator")
def test_training_learns(sd15_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: set[tuple[str, torch.dtype]] = set()
    predict = FrozenModel.predict

    def noted(self: FrozenModel, *given: Any) -> torch.Tensor:
        unet = self.part("unet")
        used.add((unet.device.type, unet.dtype))
        return predict(self, *given)

    monkeypatch.setattr(FrozenModel, "predict", noted)
    options = small(
        sd15_folder, write_imagefolder(tmp_path / "data"), tmp_path, precision="bf16", steps=20, learning_rate=1e-2,
        warmup_steps=0, batch_size=6, micro_batch_size=3, match_draws=1, keyword_share=0.0, ema_decay=0.0,
    )  # fmt: skip
    adapter = train(options, "cuda")
    assert used == {("cuda", torch.bfloat16)}
    assert adapter is not None
    assert all(torch.isfinite(value).all() for value in SURAdapter.load(adapter).state_dict().values())
    # Each step sees every example, at the one noise and timestep whose prediction was kept.
    lines = losses_of(tmp_path)
    assert all(np.isfinite(value) for line in lines for value in line.values())
    for name in ("loss", "loss/match", "loss/align"):
        assert lines[-1][name] < 0.5 * lines[0][name], name
