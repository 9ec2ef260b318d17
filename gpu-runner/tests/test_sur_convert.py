"""Published checkpoints convert strictly and give the published result."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch

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
        mixed = published.one_prompt(x, 0.1)
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
    Path("plain.pt").write_bytes(pickle.dumps({"fc.weight": Bomb()}))
    torch.save({"fc.weight": Bomb()}, "zipped.pt")
    for name in ("plain.pt", "zipped.pt"):
        with pytest.raises(ConfigError, match="more than tensors"):
            convert_checkpoint(Path(name), 0.1, Path("out"))
    assert not Path("exploded").exists()
    assert not Path("out").exists()


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
