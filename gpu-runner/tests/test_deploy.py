"""The container and the manifests, by the linters of their kind and by what they have to agree in."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from kubernetes_validate import SchemaNotFoundError, ValidationError, validate

from tests.foreign_kinds import SCHEMAS
from tests.processes import ROOT
from vignette.cli import _parser
from vignette.engine.catalogue import Catalogue, read_catalogue
from vignette.server.service import CALLERS_SHARE

KUBERNETES = ROOT / "deploy/kubernetes"
VERSIONS = ("1.31", "1.37")
YAML = [ROOT / "compose.yaml", ROOT / "cog.yaml", *sorted(KUBERNETES.glob("*.yaml"))]


def documents() -> list[dict[str, Any]]:
    return [one for file in sorted(KUBERNETES.glob("*.yaml")) for one in yaml.safe_load_all(file.read_text())]


def found(kind: str) -> dict[str, Any]:
    return next(one for one in documents() if one["kind"] == kind)


def run(tool: str, *arguments: str | Path) -> str:
    """A tool's complaints."""
    done = subprocess.run(
        [Path(sys.executable).parent / tool, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr if done.returncode else ""


def test_hadolint_has_nothing_to_say() -> None:
    assert run("hadolint", ROOT / "Dockerfile") == ""


def test_yamllint_has_nothing_to_say() -> None:
    rules = "{extends: default, rules: {line-length: {max: 140}, document-start: disable, comments: disable}}"
    assert run("yamllint", "--strict", "--config-data", rules, *YAML) == ""


@pytest.mark.parametrize("version", VERSIONS)
def test_the_manifests_are_what_kubernetes_takes(version: str) -> None:
    for one in documents():
        if one["kind"] in SCHEMAS:
            with pytest.raises(SchemaNotFoundError):
                validate(one, version, strict=True)
            jsonschema.validate(one, SCHEMAS[one["kind"]])
        else:
            validate(one, version, strict=True)


def test_the_check_of_manifests_can_fail() -> None:
    broken = found("StatefulSet")
    broken["spec"]["template"]["spec"]["containers"][0]["liveness"] = {}
    with pytest.raises(ValidationError):
        validate(broken, VERSIONS[0], strict=True)
    misspelt = found("ScaledObject")
    misspelt["spec"]["maxReplicas"] = misspelt["spec"].pop("maxReplicaCount")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(misspelt, SCHEMAS["ScaledObject"])


def test_kustomize_takes_every_file() -> None:
    listed = set(found("Kustomization")["resources"]) | {"kustomization.yaml"}
    assert listed == {file.name for file in KUBERNETES.glob("*.yaml")}


def test_the_stateful_set_runs_the_image_as_it_is_made() -> None:
    spec = found("StatefulSet")["spec"]["template"]["spec"]
    [container] = spec["containers"]
    dockerfile = (ROOT / "Dockerfile").read_text()
    user = int(re.search(r"^USER (\d+):(\d+)$", dockerfile, re.M)[1])  # type: ignore[index]
    assert spec["securityContext"]["runAsUser"] == user
    assert container["ports"][0]["containerPort"] == int(re.search(r"^EXPOSE (\d+)$", dockerfile, re.M)[1])  # type: ignore[index]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    volumes = set(json.loads(re.search(r"^VOLUME (.+)$", dockerfile, re.M)[1]))  # type: ignore[index]
    assert volumes <= {mount["mountPath"] for mount in container["volumeMounts"]}
    assert container["image"] in {image["name"] for image in found("Kustomization")["images"]}
    for command in (
        container["args"],
        compose()["command"],
        json.loads(re.search(r"^CMD (\[.+)$", dockerfile, re.M)[1]),
    ):  # type: ignore[index]
        arguments = _parser().parse_args(command)
        assert arguments.host == "0.0.0.0"  # noqa: S104
        assert arguments.log_format == "json"


def test_stopping_leaves_time_for_the_drain() -> None:
    drain = _parser().parse_args(["serve"]).drain_seconds
    callbacks, rest = 10, 10
    assert found("StatefulSet")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= drain + callbacks + rest
    assert int(compose()["stop_grace_period"].removesuffix("s")) >= drain + callbacks + rest


def test_the_autoscaler_asks_for_a_metric_that_is_told() -> None:
    scaled = found("ScaledObject")["spec"]
    stateful = found("StatefulSet")
    assert scaled["scaleTargetRef"]["name"] == stateful["metadata"]["name"]
    assert "replicas" not in stateful["spec"]
    [trigger] = scaled["triggers"]
    dashboard = (ROOT / "deploy/grafana/vignette-runner.json").read_text()  # which shows every metric there is
    assert re.search(r"vignette_\w+", trigger["metadata"]["query"])[0] in dashboard  # type: ignore[index]


def test_a_full_runner_asks_for_another_one(example: Catalogue) -> None:
    """The edge gives work to the next runner only once the first is full, be it of a single caller's work."""
    [container] = found("StatefulSet")["spec"]["template"]["spec"]["containers"]
    most = _parser().parse_args(container["args"]).max_queue
    in_line = math.ceil(CALLERS_SHARE * most) - example.default.max_batch
    [trigger] = found("ScaledObject")["spec"]["triggers"]
    # Twice: so n full runners, too, ask for more than n.
    assert in_line >= 2 * int(trigger["metadata"]["threshold"])


def test_the_edge_reaches_every_runner_that_may_be_started() -> None:
    [container] = found("StatefulSet")["spec"]["template"]["spec"]["containers"]
    public_url = _parser().parse_args(container["args"]).public_url
    pods = [f"runner-{k}" for k in range(found("ScaledObject")["spec"]["maxReplicaCount"])]
    rules = found("Ingress")["spec"]["rules"]
    assert [f"https://{rule['host']}" for rule in rules] == [public_url.replace("$(POD_NAME)", pod) for pod in pods]
    assert {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}} in container["env"]
    services = {one["metadata"]["name"]: one["spec"] for one in documents() if one["kind"] == "Service"}
    for pod, rule in zip(pods, rules, strict=True):
        assert [path["path"] for path in rule["http"]["paths"]] == ["/v1", "/files", "/readyz"]
        assert {path["backend"]["service"]["name"] for path in rule["http"]["paths"]} == {pod}
        assert services[pod]["selector"] == {"statefulset.kubernetes.io/pod-name": pod}
        assert services[pod]["ports"] == services["runner"]["ports"]


def test_the_example_s_models_are_a_catalogue(example: Catalogue) -> None:
    assert example.default.id == "sd15"


@pytest.fixture
def example(tmp_path: Path) -> Catalogue:
    file = tmp_path / "models.toml"
    file.write_text(found("ConfigMap")["data"]["models.toml"])
    return read_catalogue(file)


def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["runner"]


def test_compose_reserves_a_gpu_and_demands_the_secrets() -> None:
    runner = compose()
    [device] = runner["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    for name in ("RUNNER_TOKEN", "RUNNER_WEBHOOK_SECRET"):
        assert runner["environment"][name].startswith(f"${{{name}:?")
    assert {volume.split(":")[-2 if volume.endswith(":ro") else -1] for volume in runner["volumes"]} == {
        "/models",
        "/state",
    }


def test_what_the_image_copies_is_not_ignored() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    copied = {name for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.M) for name in line.split()[:-1]}
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    # `cog build` copies the folder as it is left, and runs what cog.yaml names.
    for name in {*copied, "cog.yaml", "predict.py", "vignette", "models.toml", "miniature"}:
        assert (ROOT / name).exists(), name
        assert any(Path(name).match(pattern) for pattern in kept), name


def test_links_among_the_weights_lead_to_what_the_image_copies_too() -> None:
    weights = ROOT / "miniature" / "weights"
    links = [file for file in weights.rglob("*") if file.is_symlink()]
    assert links
    for link in links:
        assert not link.readlink().is_absolute(), link
        assert link.exists(), link
        assert link.resolve().is_relative_to(weights.resolve()), link
