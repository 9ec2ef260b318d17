"""`vignette surd build` and `vignette surd inspect`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from vignette.errors import ConfigError
from vignette.surd.arguments import parser
from vignette.surd.record import NSFW_LEVELS, Source

CIVITAI_HOSTS = ("civitai.com",)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; 0 is success, 2 a wrong argument, file or service, 130 an interrupted build."""
    arguments = parser().parse_args(argv)
    try:
        return _build(arguments) if arguments.command == "build" else _inspect(arguments)
    except ConfigError as error:
        print(f"vignette surd: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("vignette surd: stopped; the same command goes on from here.", file=sys.stderr)
        return 130


def _build(arguments: argparse.Namespace) -> int:
    from vignette.surd.build import STATE, Build
    from vignette.surd.clean import Thresholds
    from vignette.surd.stages import check_extras

    check_extras()
    if not arguments.clip and (arguments.min_clip_text is not None or arguments.min_clip_prompt is not None):
        raise ConfigError("--min-clip-text and --min-clip-prompt need --clip MODEL.")
    if arguments.nsfw_detector and arguments.nsfw == "x":
        raise ConfigError("--nsfw x keeps whatever --nsfw-detector would find; leave one of them out.")
    if arguments.drop_unrated is None and arguments.nsfw_detector:
        arguments.drop_unrated = False  # the detector rates them
    sources = _sources(arguments)
    look, caption, score = _stages(arguments)
    engine = _engine(arguments)
    options = _options(arguments)
    try:
        with _Bars() as progress:
            report = Build(
                arguments.output,
                sources,
                engine,
                thresholds=Thresholds(
                    min_side=arguments.min_side,
                    max_aspect=arguments.max_aspect,
                    nsfw=NSFW_LEVELS[arguments.nsfw],
                    nsfw_score=arguments.nsfw_score,
                    drop_unrated=arguments.drop_unrated,
                    language=arguments.language,
                    near_duplicates=arguments.near_duplicates,
                    min_clip_text=arguments.min_clip_text,
                    min_clip_prompt=arguments.min_clip_prompt,
                ),
                look=look,
                caption=caption,
                recaption=arguments.recaption,
                score=score,
                client=_picture_client(arguments),
                options=options,
                name=arguments.name or arguments.output.resolve().name,
                progress=progress,
            ).run()
    finally:
        engine.close()
    kept, read = report.kept.total(), report.read.total()
    print(f"{kept} of {read} rows kept in {arguments.output}.")
    if report.dropped:
        reasons = ", ".join(f"{count} {reason}" for reason, count in report.dropped.most_common())
        file = (arguments.output if kept else arguments.output / STATE) / "report.md"
        print(f"Dropped: {reasons}. {file} says what each means.")
    for warning in report.warnings:
        print(warning, file=sys.stderr)
    for why, count in report.waiting.most_common(5):
        print(f"{count} pictures wait for another run of the same command: {why}", file=sys.stderr)
    if report.dropped["unrated"] and arguments.drop_unrated is None:
        print("Nobody rated these pictures from the web: --nsfw-detector NAME looks at them.", file=sys.stderr)
    if report.dropped["no narrative"] and not arguments.captioner:
        print("Rows without a narrative need a captioner: --captioner MODEL.", file=sys.stderr)
    if report.dropped["empty prompt"] and arguments.from_folder:
        place = "in cat.txt" if arguments.sidecar == "prompt" else "as `prompt` in cat.json"
        print(f"Each picture of a folder needs its keyword prompt: for cat.png, {place} beside it.", file=sys.stderr)
    if not kept:
        raise ConfigError(f"{report.nothing_kept()} No data set was written.")
    return 0


def _sources(arguments: argparse.Namespace) -> list[Source]:
    from vignette.surd.sources.civitai import LivePages, SavedPages
    from vignette.surd.sources.folder import Folder
    from vignette.surd.sources.gallery import Gallery
    from vignette.surd.sources.parquet import Parquet

    licence = arguments.license
    sources: list[Source] = [Gallery(file, licence=licence) for file in arguments.from_gallery]
    sources += [Folder(path, sidecar=arguments.sidecar, licence=licence) for path in arguments.from_folder]
    columns = dict(arguments.column)
    sources += [Parquet(file, columns=columns, licence=licence) for file in arguments.from_parquet]
    if arguments.from_civitai:
        sources.append(SavedPages(arguments.from_civitai))
    if arguments.from_civitai_live:
        from vignette.surd.http import Client

        key = os.environ.get("CIVITAI_API_KEY") or None
        client = Client(CIVITAI_HOSTS, per_second=arguments.requests_per_second, token=key)
        filters = dict(arguments.civitai_filter)
        sources.append(LivePages(client, pages=arguments.from_civitai_live, nsfw=arguments.nsfw, filters=filters))
    if not sources:
        raise ConfigError(
            "Name a source: --from-folder, --from-parquet, --from-civitai, --from-civitai-live or --from-gallery."
        )
    return sources


def _stages(arguments: argparse.Namespace) -> tuple[Any, Any, Any]:
    look = caption = score = None
    if arguments.nsfw_detector:
        from vignette.surd.look import look_stage

        look = look_stage(arguments.nsfw_detector, batch_size=arguments.batch_size)
    if arguments.captioner:
        from vignette.surd.caption import caption_stage

        caption = caption_stage(
            arguments.captioner,
            revision=arguments.captioner_revision,
            question=arguments.caption_prompt,
            max_new_tokens=arguments.caption_tokens,
            batch_size=arguments.batch_size,
        )
    if arguments.clip:
        from vignette.surd.models import check
        from vignette.surd.score import score_stage

        check("--clip", arguments.clip, arguments.clip_revision)
        score = score_stage(arguments.clip, revision=arguments.clip_revision, batch_size=arguments.batch_size)
    return look, caption, score


def _engine(arguments: argparse.Namespace) -> Any:
    from vignette.surd.engines import LocalEngine, RayEngine

    if arguments.engine == "ray":
        return RayEngine(arguments.ray_address, arguments.workers)
    if arguments.ray_address or arguments.workers:
        raise ConfigError("--ray-address and --workers need --engine ray.")
    return LocalEngine()


def _picture_client(arguments: argparse.Namespace) -> Any:
    civitai = CIVITAI_HOSTS if arguments.from_civitai or arguments.from_civitai_live else ()
    hosts = [*arguments.image_host, *civitai]
    if not hosts:
        return None
    from vignette.surd.http import Client

    return Client(hosts, per_second=arguments.pictures_per_second)


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    models = ["captioner", "captioner_revision", "caption_prompt", "recaption", "clip", "clip_revision"]
    limits = ["min_side", "max_aspect", "nsfw", "nsfw_detector", "drop_unrated", "language", "near_duplicates"]
    names = [*models, *limits, "min_clip_text", "min_clip_prompt"]
    options = {name: getattr(arguments, name) for name in names}
    return options | ({"nsfw_score": arguments.nsfw_score} if arguments.nsfw_detector else {})


def _inspect(arguments: argparse.Namespace) -> int:
    if arguments.output.suffix not in (".html", ".htm"):
        # A slip of the keyboard would otherwise write over the table that it reads.
        raise ConfigError(f"-o {arguments.output} must end in .html.")
    from vignette.surd.contact_sheet import write_contact_sheet

    shown = write_contact_sheet(
        arguments.folder, arguments.output, rows=arguments.rows, seed=arguments.seed, dropped=arguments.dropped
    )
    print(f"{arguments.output} shows {shown} rows.")
    return 0


class _Bars:
    """A progress bar per stage on standard error."""

    def __enter__(self) -> _Bars:
        self._bar: Any = None
        self._name = ""
        return self

    def __call__(self, name: str, done: int, total: int) -> None:
        from tqdm import tqdm

        if name != self._name:
            self.__exit__()
            self._name = name
            self._bar = tqdm(desc=name, total=total or None, file=sys.stderr, mininterval=0.5)
        self._bar.update(done - self._bar.n)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
