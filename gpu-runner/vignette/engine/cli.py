"""`vignette models …`: what models.toml lists, whether it loads, and which files it is made of."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vignette.errors import ConfigError, InvalidInput

if TYPE_CHECKING:
    import torch

    from vignette.engine.catalogue import Catalogue, ModelSpec


def add_parser(commands: Any, models_toml: Path, models_help: str) -> None:
    """Adds `models` to the runner's commands."""
    models = commands.add_parser("models", help="list the models, check that they load, or fetch those of the Hub")
    actions = models.add_subparsers(dest="action", metavar="ACTION")
    models.set_defaults(run=_list)
    for name, run, text in (
        ("list", _list, "print the models with their adapters"),
        ("check", _check, "load models, draw two steps with each, and print their versions"),
        ("fetch", _fetch, "download what is missing of models with a hub"),
        ("manifest", _manifest, "print the SHA-256 of each of a model's files, for its manifest"),
    ):
        action = actions.add_parser(name, help=text)
        action.set_defaults(run=run)
        if name != "list":
            action.add_argument("id", nargs=None if name == "manifest" else "?", help="of one model; default: all")
        # The default is the outer parser's, which may have been given before the action.
        action.add_argument("--models", type=Path, default=argparse.SUPPRESS, help=models_help)
    models.add_argument("--models", type=Path, default=models_toml, help=models_help)


def _list(arguments: argparse.Namespace) -> int:
    catalogue = _catalogue(arguments)
    for spec in catalogue.models:
        adapters = ", ".join(a.id + ("*" if a.default else "") for a in spec.adapters) or "no adapter"
        print(f"{spec.id}{'*' if spec is catalogue.default else ''}  {spec.path}  [{adapters}]  {spec.description}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from vignette.engine.loader import pick_device
    from vignette.engine.memory import free_unused

    device = pick_device(os.environ.get("VIGNETTE_DEVICE") or "auto")
    failed = 0
    for spec in _chosen(arguments):
        try:
            print(f"{spec.id}: {_check_model(spec, device)}")
        except ConfigError as error:
            failed += 1
            print(f"{spec.id}: {error}", file=sys.stderr)
        except Exception as error:  # out of memory, say, which the next model may not be
            failed += 1
            print(f"{spec.id}: it does not load or draw: {type(error).__name__}: {error}", file=sys.stderr)
        free_unused()
    return 2 if failed else 0


def _check_model(spec: ModelSpec, device: torch.device) -> str:
    from vignette.engine.loader import load_model
    from vignette.engine.warm_up import draw_two_steps

    model = load_model(spec, device)
    draw_two_steps(model)
    return f'loads and draws on {device} as {model.dtype}, sha256 = "{model.version}"'


def _fetch(arguments: argparse.Namespace) -> int:
    from vignette.engine.hub import fetch

    for spec in _chosen(arguments):
        if spec.hub is not None and spec.revision is not None:
            print(f"{spec.id}: {fetch(spec.hub, spec.revision, spec.variant)}")
        elif arguments.id is not None:
            raise ConfigError(f"The model {spec.id} has a path, not a hub; there is nothing to download.")
    return 0


def _manifest(arguments: argparse.Namespace) -> int:
    from vignette.engine.manifest import write_manifest

    [spec] = _chosen(arguments)
    print(write_manifest(spec), end="")
    return 0


def _chosen(arguments: argparse.Namespace) -> Sequence[ModelSpec]:
    catalogue = _catalogue(arguments)
    if arguments.id is None:
        return catalogue.models
    try:
        return [catalogue.model(arguments.id)]
    except InvalidInput as error:
        raise ConfigError(error.message) from None


def _catalogue(arguments: argparse.Namespace) -> Catalogue:
    from vignette.engine.catalogue import read_catalogue

    return read_catalogue(arguments.models)
