"""`vignette miniature train`: options that ask for what cannot be are named."""

import pytest

from vignette.miniature.cli import main
from vignette.miniature.train import Training


@pytest.fixture(autouse=True)
def trainings(monkeypatch):
    """No command of these may get as far as a training."""
    asked = []
    monkeypatch.setattr(Training, "run", lambda training, *_: asked.append(training))
    yield
    assert not asked


@pytest.mark.parametrize(
    "option", ["--align-steps=0", "--adapter-steps=-1", "--batch-scale=0", "--rate=0", "--pairs=0", "--scenes=0"]
)
def test_a_number_of_steps_that_is_none_is_named(option, capsys):
    assert main(["train", option]) == 2
    assert option.split("=")[0] in capsys.readouterr().err


def test_a_stage_to_train_alone_is_one_of_them_and_has_something_to_go_on_from(exported, tmp_path, capsys):
    assert main(["train", "--only", "adapter", "--work", str(tmp_path)]) == 2
    assert main(["train", "--only", "colours", "--work", str(tmp_path), "--continue-from", str(exported)]) == 2
    assert "--only takes some of" in capsys.readouterr().err


def test_weights_to_continue_from_must_be_there(tmp_path, capsys):
    assert main(["train", "--continue-from", str(tmp_path)]) == 2
    assert "model_index.json" in capsys.readouterr().err
