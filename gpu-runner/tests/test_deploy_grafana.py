"""The dashboard asks for what the runner tells, and shows all of it."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

from tests.processes import ROOT
from vignette.server.metrics import Metrics

DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/vignette-runner.json").read_text())
SUFFIXES = ("_total", "_bucket", "_sum", "_count")


def told() -> dict[str, set[str]]:
    """Every metric of the registry with its labels."""
    metrics = Metrics()
    metrics.watch_unfinished(lambda: 0)
    metrics.watch_waiting(lambda: 0)
    metrics.watch_undelivered(lambda: 0)
    metrics.watch_memory(lambda: 0, 1)
    metrics.watch_state(lambda: 0)  # type: ignore[arg-type,return-value]
    labels = {
        f"vignette_{name.removeprefix('vignette_')}": set(collector._labelnames)
        for collector, names in metrics.registry._collector_to_names.items()
        for name in names
        if not name.endswith(("_created", *SUFFIXES))
    }
    return labels


def asked() -> dict[str, set[str]]:
    """Every metric in the dashboard's expressions with the labels that they group by."""
    found: dict[str, set[str]] = {}
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            grouped = {label for group in re.findall(r"by \(([^)]*)\)", target["expr"]) for label in group.split(", ")}
            shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            for name in re.findall(r"vignette_\w+", target["expr"]):
                base = next((name.removesuffix(s) for s in SUFFIXES if name.endswith(s)), name)
                found.setdefault(base, set()).update(grouped | shown)
    return found


def test_it_asks_for_nothing_that_is_not_told_and_leaves_nothing_out() -> None:
    assert set(asked()) == set(told())


def test_it_groups_by_labels_that_are_there() -> None:
    for name, labels in asked().items():
        assert labels - {"le", "instance"} <= told()[name], name


def test_panels_have_ids_of_their_own_and_do_not_cover_each_other() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in combinations((panel["gridPos"] for panel in panels), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)
        assert one["x"] + one["w"] <= 24


def test_every_variable_is_defined() -> None:
    defined = {variable["name"] for variable in DASHBOARD["templating"]["list"]} | {"__rate_interval"}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD["panels"]))) <= defined
