"""LoRAs and textual inversions by request: merged as the paper says, taken out without a trace, refused where they do not fit."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.drawing import Drawing, assert_same, draw, request, with_diffusers
from vignette.engine.catalogue import EmbeddingSpec, LoraSpec, ModelSpec
from vignette.engine.events import Failed
from vignette.engine.loader import LoadedModel, load_model
from vignette.engine.lora import Loras, LoraSwitch, LowRank
from vignette.engine.planner import HOLD
from vignette.engine.text import encode_texts
from vignette.errors import ConfigError

CPU = torch.device("cpu")
UNET = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
OUT = "mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0"
CONV = "mid_block.resnets.0.conv1"
TEXT = "text_model.encoder.layers.1.self_attn.q_proj"
WIDTHS = {UNET: (16, 32), OUT: (16, 16), CONV: (16, 16, 3, 3), TEXT: (32, 32)}
RANK, ALPHA = 2, 4.0


def low_rank(seed: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for name, shape in WIDTHS.items():
        up = torch.randn(shape[0], RANK, *([1, 1] if len(shape) == 4 else []), generator=generator)
        made[name] = (up, 0.3 * torch.randn(RANK, *shape[1:], generator=generator))
    return made


def part_of(name: str) -> str:
    return "text_encoder" if name == TEXT else "unet"


def write_lora(file: Path, style: str, seed: int = 1) -> Path:
    weights = {}
    for name, (up, down) in low_rank(seed).items():
        if style == "kohya":
            stem = ("lora_te_" if name == TEXT else "lora_unet_") + name.replace(".", "_")
            weights |= {f"{stem}.lora_up.weight": up, f"{stem}.lora_down.weight": down}
            weights[f"{stem}.alpha"] = torch.tensor(ALPHA)
        else:
            stem = f"{part_of(name)}.{name}"
            weights |= {f"{stem}.lora_B.weight": up * ALPHA / RANK, f"{stem}.lora_A.weight": down}
    save_file({key: value.contiguous() for key, value in weights.items()}, file)
    return file


def fused(folder: Path, target: Path, scale: float, seed: int = 1) -> Path:
    """The model's folder with the changes added to its weights by hand."""
    shutil.copytree(folder, target)
    for part, file in (("unet", "diffusion_pytorch_model"), ("text_encoder", "model")):
        path = target / part / f"{file}.safetensors"
        weights = load_file(path)
        for name, (up, down) in low_rank(seed).items():
            if part_of(name) == part:
                key = next(
                    k for k in weights if k.removeprefix("text_model.") == name.removeprefix("text_model.") + ".weight"
                )
                change = (up.flatten(1) @ down.flatten(1)).view_as(weights[key])
                weights[key] = weights[key] + scale * ALPHA / RANK * change
        save_file(weights, path, metadata={"format": "pt"})
    return target


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("loras")
    return {
        "kohya": write_lora(folder / "kohya.safetensors", "kohya"),
        "peft": write_lora(folder / "peft.safetensors", "peft"),
        "other": write_lora(folder / "other.safetensors", "peft", seed=2),
    }


@pytest.fixture(scope="module")
def model(model_folder: Path, files: dict[str, Path]) -> LoadedModel:
    loras = tuple(LoraSpec(id=id, path=file) for id, file in files.items())
    return load_model(ModelSpec(id="tiny", path=model_folder, loras=loras), CPU)


@pytest.mark.parametrize("style", ["kohya", "peft"])
def test_draws_what_diffusers_draws_from_merged_weights(
    model: LoadedModel, model_folder: Path, tmp_path: Path, style: str
) -> None:
    r = request(loras=((style, 0.7),))
    assert_same(draw(model, r).pictures(), with_diffusers(fused(model_folder, tmp_path / "fused", 0.7), r))


def test_what_is_taken_out_leaves_no_trace(model: LoadedModel) -> None:
    model.loras.use((), "unet", "text_encoder")
    before = {k: v.clone() for k, v in model.unet.state_dict().items()}
    plain = draw(model, request()).pictures()[0]
    changed = draw(model, request(loras=(("kohya", 1.0), ("other", -0.5)))).pictures()[0]
    assert (plain != changed).any()
    assert (draw(model, request()).pictures()[0] == plain).all()
    assert all(torch.equal(before[k], v) for k, v in model.unet.state_dict().items())


def test_a_set_that_does_not_fit_into_memory_leaves_no_half_of_itself(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = draw(model, request()).pictures()[0]
    merged: list[LowRank] = []
    delta = LowRank.delta

    def third_time(change: LowRank, device: torch.device) -> torch.Tensor:
        merged.append(change)
        if len(merged) % 3 == 0:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return delta(change, device)

    monkeypatch.setattr(LowRank, "delta", third_time)
    drawing = draw(model, request("large", loras=(("other", 1.0),)), request("plain"))
    failed = drawing.events["large"][-1]
    assert isinstance(failed, Failed)
    assert failed.code == "out_of_memory"
    assert (drawing.pictures("plain")[0] == plain).all()


def test_different_sets_in_company_draw_what_they_draw_alone(model: LoadedModel) -> None:
    asked = [
        request("a"),
        request("b", loras=(("kohya", 1.0),)),
        request("c", loras=(("kohya", 1.0),), seed=8),
        request("d", loras=(("kohya", 0.5), ("other", 1.0)), prompt="cat " * 90),
    ]
    together = draw(model, *asked)
    assert max(together.calls) == 2
    for r in asked:
        assert_same(together.pictures(r.id), draw(model, r).pictures(r.id))


def test_sets_in_company_are_not_exchanged_at_every_step(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    merges: list[str] = []
    switch = LoraSwitch._switch

    def counted(loras: LoraSwitch, part: str, wanted: Loras) -> None:
        merges.append(part)
        switch(loras, part, wanted)

    model.loras.use((), "unet")
    monkeypatch.setattr(LoraSwitch, "_switch", counted)
    steps = 4 * HOLD
    sets: tuple[Loras, ...] = ((("kohya", 1.0),), (("other", 1.0),))
    draw(model, *(request(str(k), loras=loras, num_inference_steps=steps) for k, loras in enumerate(sets)))
    assert merges.count("unet") == 2 * steps // HOLD
    # A request that joins has its prompt encoded without the UNet being touched.
    merges.clear()
    drawing = Drawing(model)
    later = request("b", prompt="a cat", loras=sets[1], num_inference_steps=1)
    drawing.run(request("a", loras=sets[0], num_inference_steps=HOLD), at={2: lambda: drawing.core.submit(later)})
    assert merges.count("text_encoder") >= 1
    assert merges.count("unet") <= 2


def test_copies_for_taking_loras_out_count_as_weights(
    model: LoadedModel, model_folder: Path, files: dict[str, Path]
) -> None:
    plain = load_model(ModelSpec(id="tiny", path=model_folder), CPU)
    changed = sum(math.prod(shape) for shape in WIDTHS.values()) * 4
    assert model.weight_bytes == plain.weight_bytes + changed
    model.text_cache.clear()
    for id in files:
        draw(model, request(loras=((id, 1.0),)))
    assert sum(copy.nbytes for copy in model.loras._originals.values()) == changed
    model.loras.forget()
    assert model.loras._originals == {}


def refusal(folder: Path, **fields: object) -> str:
    with pytest.raises(ConfigError) as error:
        load_model(ModelSpec(id="tiny", path=folder, **fields), CPU)  # type: ignore[arg-type]
    return str(error.value)


def lora(folder: Path, file: Path) -> str:
    return refusal(folder, loras=(LoraSpec(id="x", path=file),))


def test_loras_that_do_not_fit_are_named(model_folder: Path, files: dict[str, Path], tmp_path: Path) -> None:
    weights, file = load_file(files["peft"]), tmp_path / "x.safetensors"
    key = f"unet.{UNET}.lora_A.weight"
    save_file(weights | {key: torch.zeros(RANK, 768)}, file)
    assert "made for another model" in lora(model_folder, file)
    save_file(weights | {key: torch.full((RANK, 32), torch.nan)}, file)
    assert "NaN" in lora(model_folder, file)
    save_file({"unet.x.hada_w1_a": torch.zeros(1)}, file)
    assert "another kind of network" in lora(model_folder, file)
    save_file({"surprise": torch.zeros(1)}, file)
    assert "surprise" in lora(model_folder, file)
    file.write_bytes(files["peft"].read_bytes()[:-9])
    assert "damaged" in lora(model_folder, file)
    assert "pickles" in lora(model_folder, tmp_path / "x.pt")


def test_a_textual_inversion_stands_for_its_vectors(model_folder: Path, tmp_path: Path) -> None:
    plain = load_model(ModelSpec(id="tiny", path=model_folder), CPU)
    cat = plain.tokenizer("cat", add_special_tokens=False).input_ids
    tent = plain.tokenizer("t", add_special_tokens=False).input_ids
    vectors = plain.text_encoder.get_input_embeddings().weight[cat + tent].clone()
    save_file({"emb_params": vectors}, tmp_path / "t.safetensors")
    embeddings = (EmbeddingSpec(token="<Dusk>", path=tmp_path / "t.safetensors"),)
    model = load_model(ModelSpec(id="tiny", path=model_folder, embeddings=embeddings), CPU)
    ours = encode_texts(model, ["a <Dusk> b"])["a <Dusk> b"]
    theirs = encode_texts(plain, ["a cat t b"])["a cat t b"]
    torch.testing.assert_close(ours.states, theirs.states)
    assert int(ours.mask.sum()) == 6


def test_embeddings_that_do_not_fit_are_named(model_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "t.safetensors"
    save_file({"emb_params": torch.randn(1, 768)}, file)
    assert "768 wide" in refusal(model_folder, embeddings=(EmbeddingSpec(token="<x>", path=file),))
    save_file({"emb_params": torch.randn(1, 32)}, file)
    assert "already" in refusal(model_folder, embeddings=(EmbeddingSpec(token="cat</w>", path=file),))
    save_file({"clip_l": torch.randn(1, 32), "clip_g": torch.randn(1, 32)}, file)
    assert "2 text encoders" in refusal(model_folder, embeddings=(EmbeddingSpec(token="<x>", path=file),))
