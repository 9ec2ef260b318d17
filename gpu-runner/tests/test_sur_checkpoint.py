"""An adapter's folder holds one adapter, whatever interrupts the writing: weights and configuration name each other."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from tests.tiny import write_adapter
from vignette.sur import SURAdapter
from vignette.sur.checkpoint import CHECKSUM, CONFIG_NAME, WEIGHTS_NAME

BUNDLED = Path(__file__).parents[1] / "miniature" / "weights" / "adapters" / "sur"


class PowerCut(Exception):
    """Nothing catches it, as nothing catches a power cut."""


def crash(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """So many files are renamed, and no more."""
    renamed, rename = iter(range(after)), os.replace

    def replace(source: Path, target: Path) -> None:
        if next(renamed, None) is None:
            raise PowerCut
        rename(source, target)

    monkeypatch.setattr("vignette.sur.checkpoint.os.replace", replace)


def forget(folder: Path) -> None:
    """The configuration as it was written before it named its weights."""
    file = folder / CONFIG_NAME
    config = json.loads(file.read_text())
    del config[CHECKSUM]
    file.write_text(json.dumps(config))


@pytest.mark.parametrize("older", [False, True], ids=["over a folder that names its weights", "over an older one"])
def test_new_and_old_files_side_by_side_are_refused_with_a_remedy(
    older: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_adapter(tmp_path, eta=0.25)
    if older:
        forget(tmp_path)
    with monkeypatch.context() as patch:
        crash(patch, after=1)
        with pytest.raises(PowerCut):
            write_adapter(tmp_path, seed=2, eta=0.5)
    with pytest.raises(ValueError, match=r"are not those that its config\.json was written with.* copy it again"):
        SURAdapter.load(tmp_path)
    write_adapter(tmp_path, seed=2, eta=0.5)
    assert SURAdapter.load(tmp_path).config["eta"] == 0.5


def test_before_the_first_rename_the_old_adapter_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_adapter(tmp_path, eta=0.25)
    before = SURAdapter.load(tmp_path).state_dict()
    crash(monkeypatch, after=0)
    with pytest.raises(PowerCut):
        write_adapter(tmp_path, seed=2, eta=0.5)
    kept = SURAdapter.load(tmp_path)
    assert kept.config["eta"] == 0.25
    assert all(torch.equal(value, before[name]) for name, value in kept.state_dict().items())


def test_a_first_write_that_is_cut_off_leaves_nothing_that_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash(monkeypatch, after=1)
    with pytest.raises(PowerCut):
        write_adapter(tmp_path / "new")
    with pytest.raises(ValueError, match=f"has no {WEIGHTS_NAME}"):
        SURAdapter.load(tmp_path / "new")


def test_older_folders_and_the_bundled_one_load(tmp_path: Path) -> None:
    forget(write_adapter(tmp_path))
    SURAdapter.load(tmp_path)
    SURAdapter.load(BUNDLED)


def test_diffusers_reads_it_and_a_copy_of_it_names_its_own_weights(tmp_path: Path) -> None:
    write_adapter(tmp_path / "one")
    read = SURAdapter.from_pretrained(tmp_path / "one")
    with torch.no_grad():
        read.encoder.proj_out.bias += 1
    read.save_pretrained(tmp_path / "two")
    assert torch.equal(SURAdapter.load(tmp_path / "two").encoder.proj_out.bias, read.encoder.proj_out.bias)
    noted = [json.loads((tmp_path / name / CONFIG_NAME).read_text())[CHECKSUM] for name in ("one", "two")]
    assert noted[0] != noted[1]
