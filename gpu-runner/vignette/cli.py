"""`python -m vignette COMMAND`: the runner's command line. Heavy imports wait until a command needs them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from vignette.errors import ConfigError

MODELS_TOML = Path(__file__).resolve().parent.parent / "models.toml"
MODELS_HELP = "models.toml (default: VIGNETTE_MODELS, or the bundled one)"
# Commands with a parser of their own, by the module that has it.
DELEGATED = {
    "miniature": "vignette.miniature.cli",
    "judge": "vignette.judge",
    "inspect": "vignette.provenance.inspect",
    "evaluate": "vignette.evaluation.cli",
    "reading": "vignette.reading.cli",
    "surd": "vignette.surd.cli",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; 0 is success, 1 a failure, 2 a wrong argument, variable or file."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given[:1] != ["serve"]:
        # Their warnings are for who writes code (one comes with every cast of every model) and hide what we say.
        for library in ("DIFFUSERS", "TRANSFORMERS"):
            os.environ.setdefault(f"{library}_VERBOSITY", "error")
    if given and given[0] in DELEGATED:
        from importlib import import_module

        return import_module(DELEGATED[given[0]]).main(given[1:]) or 0
    arguments = _parser().parse_args(given)
    try:
        return arguments.run(arguments)
    except ConfigError as error:
        print(f"vignette: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def models_file() -> Path:
    """The models.toml of whoever names none: VIGNETTE_MODELS, as for `npm start` and Cog, or the bundled one."""
    return Path(os.environ.get("VIGNETTE_MODELS") or MODELS_TOML)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vignette", description="Vignette's runner.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="serve predictions over HTTP (Replicate's API)")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=_port, default=None, help="default: RUNNER_PORT, or 8788")
    serve.add_argument("--models", type=Path, default=models_file(), help=MODELS_HELP)
    serve.add_argument("--max-queue", type=_positive, default=128, help="most requests accepted and not finished")
    serve.add_argument(
        "--state", type=Path, default=None, help="folder of journal and outputs (default: VIGNETTE_STATE/runner)"
    )
    serve.add_argument("--drain-seconds", type=float, default=25.0, help="how long SIGTERM waits for what is under way")
    serve.add_argument("--longest", type=float, default=3600.0, help="seconds after which any prediction is canceled")
    serve.add_argument(
        "--stuck-seconds", type=float, default=300.0, help="a step that takes longer means a dead device"
    )
    serve.add_argument("--log-format", choices=("text", "json"), default="text")
    serve.add_argument("--public-url", default=None, help="how clients reach this runner, if not as they address it")
    serve.set_defaults(run=_serve)

    from vignette.engine.cli import add_parser as add_models

    add_models(commands, models_file(), MODELS_HELP)

    adapter = commands.add_parser("adapter", help="SUR-adapter files")
    actions = adapter.add_subparsers(dest="action", required=True, metavar="ACTION")
    convert = actions.add_parser("convert", help="rewrite a published checkpoint (.pt) as config.json and safetensors")
    convert.add_argument("file", type=Path, metavar="FILE")
    convert.add_argument("--eta", type=float, required=True, help="mixing weight; the published one is 0.1")
    convert.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    convert.add_argument("--model", help="folder or id of the model it was trained for, to be refused beside another")
    convert.add_argument("--models", type=Path, default=models_file(), help=MODELS_HELP)
    convert.set_defaults(run=_convert)
    inspect = actions.add_parser("inspect", help="say what an adapter's folder holds, and whether it loads")
    inspect.add_argument("folder", type=Path, metavar="FOLDER")
    inspect.set_defaults(run=_inspect_adapter)
    from vignette.training.cli import add_parser

    add_parser(actions)

    for name, text in (
        ("miniature", "train and export the bundled model"),
        ("judge", "say what pictures show"),
        ("inspect", "say how pictures were made, by what they carry"),
        ("evaluate", "compare models, adapters and prompts on the same seeds"),
        ("reading", "say how sentences are understood"),
        ("surd", "build and look at data sets for training adapters"),
    ):
        commands.add_parser(name, help=text, add_help=False)
    return parser


def _serve(arguments: argparse.Namespace) -> int:
    from vignette.engine.kept import state_folder
    from vignette.server.logs import set_up
    from vignette.server.settings import Settings, read_secrets

    token, secret = read_secrets(os.environ)
    settings = Settings(
        host=arguments.host,
        port=_port_from_environment() if arguments.port is None else arguments.port,
        models=arguments.models,
        device=os.environ.get("VIGNETTE_DEVICE") or "auto",
        state=arguments.state or state_folder(os.environ),
        token=token,
        webhook_secret=secret,
        max_queue=arguments.max_queue,
        drain_seconds=arguments.drain_seconds,
        longest=arguments.longest,
        stuck_seconds=arguments.stuck_seconds,
        public_url=arguments.public_url.rstrip("/") if arguments.public_url else None,
    )
    set_up(arguments.log_format)
    from vignette.engine.catalogue import read_catalogue
    from vignette.server.listener import listen

    catalogue = read_catalogue(settings.models)
    with listen(settings.host, settings.port) as listener:
        from vignette.provenance.c2pa import signer_from
        from vignette.server.run import serve

        return serve(settings, catalogue, signer_from(os.environ), listener)


def _convert(arguments: argparse.Namespace) -> int:
    import torch

    from vignette.sur.convert import convert_checkpoint
    from vignette.training.cli import model_folder
    from vignette.training.frozen import FrozenModel

    model = None
    if arguments.model:
        model = FrozenModel(model_folder(arguments.model, arguments.models), torch.device("cpu"))
    print(convert_checkpoint(arguments.file, arguments.eta, arguments.output, model))
    return 0


def _inspect_adapter(arguments: argparse.Namespace) -> int:
    from vignette.sur.inspect import describe

    print(describe(arguments.folder))
    return 0


def _port_from_environment() -> int:
    value = os.environ.get("RUNNER_PORT") or "8788"
    try:
        return _port(value)
    except argparse.ArgumentTypeError as error:
        raise ConfigError(f"RUNNER_PORT {error}.") from None


def _port(value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= 65535:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to 65535, not {value!r}")
    return int(value)


def _positive(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"must be a number of at least 1, not {value!r}")
    return int(value)
