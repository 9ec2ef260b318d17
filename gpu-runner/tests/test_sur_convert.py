"""Published checkpoints convert strictly and give the published result."""

from __future__ import annotations

import errno
import os
import pickle
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from diffusers.models.modeling_utils import ModelMixin
from safetensors.torch import save_file

from tests.published import Published
from vignette.cli import main
from vignette.errors import ConfigError
from vignette.sur import SURAdapter
from vignette.sur.convert import convert_checkpoint


@pytest.fixture
def published() -> Published:
    torch.manual_seed(3)
    return Published(32).eval()


def test_the_token_layout_computes_what_was_published(published: Published, tmp_path: Path) -> None:
    assert len(published.state_dict()) == 48
    torch.save(published.state_dict(), tmp_path / "checkpoint.pt")
    convert_checkpoint(tmp_path / "checkpoint.pt", 0.1, tmp_path / "out")
    adapter = SURAdapter.load(tmp_path / "out")
    assert adapter.config["layout"] == "token"
    x = torch.randn(3, 77, 32)
    with torch.no_grad():
        expected = torch.cat([published.one_prompt(x[i : i + 1], 0.1) for i in range(3)])
        torch.testing.assert_close(adapter(x), expected, atol=1e-6, rtol=1e-5)
        # A default-constructed encoder over the whole batch mixes prompts; ours has to differ from that.
        mixed = published(x, 0.1)
    assert (adapter(x) - mixed).abs().max() > 1e-4


def test_the_command_converts(published: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = {f"module.{k}": v for k, v in published.state_dict().items()}
    torch.save(state, tmp_path / "checkpoint.pt")
    arguments = ["adapter", "convert", str(tmp_path / "checkpoint.pt"), "--eta", "0.1", "-o", str(tmp_path / "out")]
    assert main(arguments) == 0
    assert "sha256" in capsys.readouterr().out
    assert SURAdapter.load(tmp_path / "out").config["eta"] == 0.1


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("echo this must never run > exploded",)


def test_a_pickle_with_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for protocol in (2, 4):
        Path(f"protocol-{protocol}.pt").write_bytes(pickle.dumps({"fc.weight": Bomb()}, protocol))
    torch.save({"fc.weight": Bomb()}, "zipped.pt")
    torch.save({"fc.weight": Bomb()}, "before-1.6.pt", _use_new_zipfile_serialization=False)
    for name in ("protocol-2.pt", "protocol-4.pt", "zipped.pt", "before-1.6.pt"):
        with pytest.raises(ConfigError, match="more than tensors"):
            convert_checkpoint(Path(name), 0.1, Path("out"))
    assert not Path("exploded").exists()
    assert not Path("out").exists()


def test_safetensors_of_the_same_names_convert_too(published: Published, tmp_path: Path) -> None:
    torch.save(published.state_dict(), tmp_path / "checkpoint.pt")
    save_file(published.state_dict(), tmp_path / "checkpoint.safetensors")
    for name in ("checkpoint.pt", "checkpoint.safetensors"):
        convert_checkpoint(tmp_path / name, 0.1, tmp_path / name.replace("checkpoint.", "out-"))
    pickled, safe = (SURAdapter.load(tmp_path / f"out-{kind}").state_dict() for kind in ("pt", "safetensors"))
    assert all(torch.equal(pickled[key], safe[key]) for key in pickled)


def test_a_checkpoint_of_other_dimensions_is_named(published: Published, tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.pt"
    state = published.state_dict()
    torch.save(state | {"attention.query_layer.weight": torch.zeros(32, 48)}, file)
    with pytest.raises(ConfigError, match=r"attention.query_layer.weight is \[32, 48\] instead of \[32, 32\]"):
        convert_checkpoint(file, 0.1, tmp_path / "out")
    torch.save(state | {"fc.weight": torch.full((32, 32), torch.nan)}, file)
    with pytest.raises(ConfigError, match=r"fc.weight holds NaN.*earlier checkpoint"):
        convert_checkpoint(file, 0.1, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    # What was dead in the published module may be anything.
    torch.save(state | {"attention.value_layer.bias": torch.full((32,), torch.nan)}, file)
    convert_checkpoint(file, 0.1, tmp_path / "out")


SAVED: dict[str, Callable[[dict[str, torch.Tensor], Path], None]] = {
    "checkpoint.pt": torch.save,
    "before-1.6.pt": partial(torch.save, _use_new_zipfile_serialization=False),
    "checkpoint.safetensors": save_file,
}
# In the magic numbers, the pickle with its names, the list of storages, and the numbers of a file.
SHARES = (0.003, 0.004, 0.0055, 0.007, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.2, 0.4, 0.7, 0.99)


@pytest.mark.parametrize("name", SAVED)
def test_a_cut_checkpoint_is_named(name: str, published: Published, tmp_path: Path) -> None:
    file = tmp_path / name
    SAVED[name](published.state_dict(), file)
    whole = file.read_bytes()
    # "torch._utils" begins the first name that torch's reader looks up.
    within_a_name = [whole.index(b"torch._utils") + n for n in (0, 5, 6, 12, 13, 20)] if file.suffix == ".pt" else []
    cuts = [0, 5, 40, 1000, len(whole) - 1, *within_a_name, *(int(share * len(whole)) for share in SHARES)]
    for kept in cuts:
        file.write_bytes(whole[:kept])
        with pytest.raises(ConfigError, match=f"{name}.* download it again") as error:
            convert_checkpoint(file, 0.1, tmp_path / "out")
        assert "\n" not in str(error.value), kept


@pytest.mark.parametrize("name", ["checkpoint.pt", "before-1.6.pt"])
def test_a_damaged_checkpoint_is_named_or_converts(name: str, published: Published, tmp_path: Path) -> None:
    file, lot = tmp_path / name, random.Random(0)
    SAVED[name](published.state_dict(), file)
    whole, said = file.read_bytes(), []
    for _ in range(40):
        damaged = bytearray(whole)
        damaged[lot.randrange(6000)] ^= lot.randrange(1, 256)
        file.write_bytes(damaged)
        try:
            convert_checkpoint(file, 0.1, tmp_path / "out")
        except ConfigError as error:
            said.append(str(error))
    assert all(sentence.startswith(f"{file} ") or f"{file}: " in sentence for sentence in said)
    assert any(sentence.endswith("if it was cut off or damaged, download it again.") for sentence in said)


def test_folders_in_place_of_files_are_named(published: Published, tmp_path: Path) -> None:
    torch.save(published.state_dict(), tmp_path / "checkpoint.pt")
    with pytest.raises(ConfigError, match="is a folder"):
        convert_checkpoint(tmp_path, 0.1, tmp_path / "out")
    with pytest.raises(ConfigError, match="checkpoint.pt is a file; give the name of a folder"):
        convert_checkpoint(tmp_path / "checkpoint.pt", 0.1, tmp_path / "checkpoint.pt")


@pytest.mark.parametrize(
    ("config", "holder"),
    [
        ('{"_class_name": "UNet2DConditionModel"}', "UNet2DConditionModel"),
        ('{"architectures": ["CLIP"]}', "CLIP"),
        ("{", "model"),
    ],
)
def test_another_model_s_folder_is_left_alone(config: str, holder: str, published: Published, tmp_path: Path) -> None:
    torch.save(published.state_dict(), tmp_path / "checkpoint.pt")
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "config.json").write_text(config)
    with pytest.raises(ConfigError, match=f"unet holds a {holder}, which would be overwritten"):
        convert_checkpoint(tmp_path / "checkpoint.pt", 0.1, tmp_path / "unet")
    assert [file.name for file in (tmp_path / "unet").iterdir()] == ["config.json"]
    for _ in range(2):  # an adapter may take an adapter's place
        convert_checkpoint(tmp_path / "checkpoint.pt", 0.1, tmp_path / "sur")


def test_a_failed_write_leaves_the_old_checkpoint(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(published.state_dict(), tmp_path / "checkpoint.pt")
    out = tmp_path / "out"
    convert_checkpoint(tmp_path / "checkpoint.pt", 0.1, out)
    (out / "notes.txt").write_text("kept")
    before = {file.name: file.read_bytes() for file in out.iterdir()}

    def full(self: SURAdapter, folder: str, **rest: object) -> None:
        (Path(folder) / "diffusion_pytorch_model.safetensors").write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr(ModelMixin, "save_pretrained", full)
        with pytest.raises(ConfigError, match="No space left on device. Choose another folder"):
            convert_checkpoint(tmp_path / "checkpoint.pt", 0.2, out)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["checkpoint.pt", "out"]
    convert_checkpoint(tmp_path / "checkpoint.pt", 0.2, out)
    assert SURAdapter.load(out).config["eta"] == 0.2
    assert (out / "notes.txt").read_text() == "kept"


def test_inspect_says_what_a_folder_holds(
    published: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(published.state_dict(), tmp_path / "checkpoint.pt")
    convert_checkpoint(tmp_path / "checkpoint.pt", 0.1, tmp_path / "token")
    SURAdapter(32, num_heads=4, teacher_dim=5, default_scale=0.8).save_pretrained(tmp_path / "sequence")
    assert main(["adapter", "inspect", str(tmp_path / "token")]) == 0
    said = capsys.readouterr().out
    for fact in ("token: faithful", "32 wide, any number tokens", "eta 0.1", "left as it is", "seen, as the UNet"):
        assert fact in said
    assert main(["adapter", "inspect", str(tmp_path / "sequence")]) == 0
    said = capsys.readouterr().out
    count = sum(p.numel() for p in SURAdapter.load(tmp_path / "sequence").parameters())
    for fact in ("sequence: ", "up to 77", f"{count:,}", "0.8 by default", "hidden from the words", "5 wide"):
        assert fact in said
    assert main(["adapter", "inspect", str(tmp_path)]) == 2
    assert "config.json is missing" in capsys.readouterr().err
    assert main(["adapter", "inspect", str(tmp_path / "token" / "config.json")]) == 2
    assert f"is a file; name the adapter's folder, {tmp_path / 'token'}." in capsys.readouterr().err


def test_other_files_are_named(published: Published, tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.pt"
    with pytest.raises(ConfigError, match="no file"):
        convert_checkpoint(file, 0.1, tmp_path / "out")
    file.write_bytes(b"not a checkpoint at all")
    with pytest.raises(ConfigError, match="checkpoint.pt"):
        convert_checkpoint(file, 0.1, tmp_path / "out")
    torch.save({"weight": torch.zeros(1)}, file)
    with pytest.raises(ConfigError, match="no SUR-adapter"):
        convert_checkpoint(file, 0.1, tmp_path / "out")
    torch.save({"step": 1000, "adapter": published.state_dict()}, file)
    with pytest.raises(ConfigError, match=r"it may lie within: torch.save\(checkpoint\['adapter'\], FILE\)"):
        convert_checkpoint(file, 0.1, tmp_path / "out")
    torch.save(published.state_dict() | {7: torch.zeros(1)}, file)
    with pytest.raises(ConfigError, match="is no state_dict of tensors"):
        convert_checkpoint(file, 0.1, tmp_path / "out")
    state = published.state_dict()
    torch.save(state | {"surplus.weight": torch.zeros(1)}, file)
    with pytest.raises(ConfigError, match="surplus"):
        convert_checkpoint(file, 0.1, tmp_path / "out")
    del state["fc.bias"]
    torch.save(state, file)
    with pytest.raises(ConfigError, match="fc.bias"):
        convert_checkpoint(file, 0.1, tmp_path / "out")
    with pytest.raises(ConfigError, match="eta"):
        convert_checkpoint(file, 1.1, tmp_path / "out")
