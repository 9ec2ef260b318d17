"""The miniature's world as SURD triples: what `adapter train` reads, and nothing that evaluation holds out."""

import json

from vignette.miniature import triples
from vignette.miniature.cli import ROOT, main
from vignette.miniature.data import scene_at
from vignette.miniature.judge_net import Judge
from vignette.miniature.world import SECOND
from vignette.training.data import read_examples


def test_triples_are_read_by_the_training_and_hold_nothing_held_out(tmp_path, capsys):
    folder = tmp_path / "surd"
    assert main(["surd", "-o", str(folder), "--count", "12", "--edition", "second", "--style", "ink"]) == 0
    assert "12 triples in" in capsys.readouterr().out
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    assert [row["file_name"] for row in rows] == [f"{i:06}.png" for i in range(12)]
    assert not any(scene_at(i, 1, SECOND).held_out for i in range(12))
    examples = read_examples(folder)
    assert [(e.narrative, e.keywords) for e in examples] == [(row["text"], row["prompt"]) for row in rows]
    assert main(["surd", "-o", str(folder), "--count", "1"]) == 2
    assert "is there already" in capsys.readouterr().err
    first = ["surd", "-o", str(tmp_path / "other"), "--count", "1", "--edition", "first"]
    assert main([*first, "--style", "oil"]) == 2
    assert "not drawn in style 'oil', only in day, ink" in capsys.readouterr().err
    assert main([*first, "--count", "0"]) == 2
    assert "--count must be at least 1, not 0" in capsys.readouterr().err


def test_unasked_the_world_is_that_of_the_bundled_weights(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(triples, "write", lambda *given: asked.append(given[3]))
    assert main(["surd", "-o", str(tmp_path)]) == 0
    assert asked == [Judge.load(ROOT / "weights" / "judge").world]
