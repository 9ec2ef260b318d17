"""The build: source -> parse -> fetch -> measure -> look -> caption -> score -> clean -> write, every step resumable."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vignette.errors import ConfigError
from vignette.surd.card import write_card
from vignette.surd.clean import Cleaner, Drop, Facts, Thresholds
from vignette.surd.engines import Engine, Keyed
from vignette.surd.fetch import fetch_all
from vignette.surd.http import Client, Refused, Unreachable
from vignette.surd.record import Source
from vignette.surd.report import Report
from vignette.surd.score import score_key
from vignette.surd.stages import Row, Stage, measure_stage, parse_key, parse_stage
from vignette.surd.store import Store
from vignette.surd.write import replacing, write_rows

STATE = ".surd"
MEASURE, PARSE = measure_stage(), parse_stage()
# Called with a stage's name, how many items are done and of how many (0: unknown).
Progress = Callable[[str, int, int], None]


@dataclass
class Build:
    """
    Attributes:
        output (`Path`): the data set's folder, empty or an earlier build's; the state is in `.surd` below it.
        sources (`list[Source]`): read in this order; of duplicates the first stays.
        look (`Stage`, *optional*): looks for nudity in pictures.
        caption (`Stage`, *optional*): writes narratives for pictures that have none.
        recaption (`bool`): write them for all.
        score (`Stage`, *optional*): measures CLIP cosines of narrative and prompt.
        client (`Client`, *optional*): asks for pictures that are URLs.
        options (`dict`): what the report and the card say of the build.
    """

    output: Path
    sources: list[Source]
    engine: Engine
    thresholds: Thresholds = field(default_factory=Thresholds)
    look: Stage | None = None
    caption: Stage | None = None
    recaption: bool = False
    score: Stage | None = None
    client: Client | None = None
    options: dict[str, Any] = field(default_factory=dict)
    name: str = "SURD"
    progress: Progress = lambda name, done, total: None
    on_commit: Callable[[], None] = lambda: None

    def run(self) -> Report:
        """Builds the data set, or goes on where an earlier build was cut off. Where no row is kept, none is written: what
        an earlier build left stays, and the report is in `.surd`.

        Raises:
            ConfigError: an option, a file or a service is at fault; what was done until then is kept.
        """
        store = Store(prepare(self.output))
        store.on_commit = self.on_commit
        try:
            return self._run(store)
        finally:
            store.close()

    def _run(self, store: Store) -> Report:
        store.forget_lost()
        warnings = self._collect(store)
        names = [source.name for source in self.sources]
        self._stage(store, PARSE, self._to_parse(store, names))
        waiting = self._fetch(store, names)
        self._stage(store, MEASURE, self._to_measure(store, names))

        report = Report(options=self.options, waiting=waiting, warnings=warnings)
        return self._write(store, names, self._clean(store, names), report)

    def _clean(self, store: Store, names: list[str]) -> dict[int, Drop]:
        """What goes, by the row's number. Models are asked about what nothing else rules out; where they rule out a row,
        about its duplicates too, all at once, so that a picture that is there a thousand times takes no thousand rounds.
        """
        ratings = _highest_ratings(store, names)
        dropped = self._judge(store, names, ratings)
        wanted = {number for number, *_ in store.rows(names)} - dropped.keys()
        while self._ask(store, names, wanted):
            before, dropped = dropped, self._judge(store, names, ratings)
            wanted = {number for number, drop in before.items() if drop.of in dropped and drop.of not in before}
        return dropped

    def _judge(self, store: Store, names: list[str], ratings: dict[str, int]) -> dict[int, Drop]:
        cleaner = Cleaner(self.thresholds, ratings)
        drops = (cleaner.judge(facts) for facts in self._facts(store, names))
        return {drop.id: drop for drop in drops if drop}

    def _ask(self, store: Store, names: list[str], wanted: set[int]) -> int:
        """Has the models look at, describe and score the rows `wanted`; returns how often one was needed."""
        cleaner = Cleaner(self.thresholds, {})

        def rows() -> Iterator[Facts]:
            return (f for f in self._facts(store, names) if f.id in wanted and not cleaner.by_look(f))

        asked = 0
        if self.look and wanted:
            asked += self._stage(store, self.look, _unseen(self.look, store, rows()))
        if self.caption and wanted:
            silent = (facts for facts in rows() if self._wants_caption(facts.candidate))
            asked += self._stage(store, self.caption, _unseen(self.caption, store, silent))
        if self.score and wanted:
            asked += self._stage(store, self.score, _unscored(self.score, store, rows()))
        return asked

    def _collect(self, store: Store) -> list[str]:
        """Reads what is left of the sources; returns what the user should know of those that ended early."""
        warnings = []
        for source in self.sources:
            cursor = store.begin(source.name, source.signature)
            try:
                for done, page in enumerate(source.read(cursor), start=1):
                    store.add(source.name, page)
                    cursor = page.cursor
                    self.progress("read", done, 0)
            except Refused as refused:
                if cursor and refused.status not in (None, 401, 403):
                    # Cursors live for a while only, and nothing that is asked later brings one back.
                    warnings.append(
                        f"{refused} where its list was left, most likely because that place is no longer known. The build"
                        " goes on with what was read; to read more, name other filters (--civitai-filter), or a new folder."
                    )
                    continue
                hint = " Set CIVITAI_API_KEY." if refused.status in (401, 403) else ""
                raise ConfigError(f"{refused}.{hint} What was read is kept.") from None
            except Unreachable as unreachable:
                raise ConfigError(f"{unreachable} What was read is kept; run the same command to go on.") from None
        return warnings

    def _fetch(self, store: Store, names: list[str]) -> Counter[str]:
        """Why pictures have to wait for another run, and how many."""
        cleaner = Cleaner(self.thresholds, _highest_ratings(store, names))
        pending: dict[str, None] = {}
        for facts in self._facts(store, names):
            image = facts.candidate["image"]
            # Files are read even so: the same bytes may be rated higher here than elsewhere.
            if not (facts.blob or facts.missing or ("://" in image and cleaner.by_words(facts))):
                pending[image] = None
        waiting: Counter[str] = Counter()
        known: list[tuple[str, str | None, str | None]] = []
        images = []
        for image in pending:
            if "://" in image and (digest := store.known_blob(image)):
                known.append((image, digest, None))
            else:
                images.append(image)
        if known:
            store.set_images(known)
        done = 0
        for batch in fetch_all(store, images, self.client):
            done += len(batch)
            waiting.update(fetched.later for fetched in batch if fetched.later)
            self.progress("fetch", done, len(images))
        return waiting

    def _stage(self, store: Store, stage: Stage, rows: Iterable[Keyed]) -> int:
        """How many rows had no result yet."""
        pending = list(_first_of_each(rows))
        done = 0
        for batch in self.engine.run(stage, pending):
            store.set_results(stage.name, batch)
            done += len(batch)
            self.progress(stage.name.partition("/")[0], done, len(pending))
        return len(pending)

    def _to_measure(self, store: Store, names: list[str]) -> Iterator[Keyed]:
        for _, _, _, blob, _ in store.rows(names):
            if blob and store.result(MEASURE.name, blob) is None:
                yield blob, {"path": str(store.blob_path(blob))}

    def _to_parse(self, store: Store, names: list[str]) -> Iterator[Keyed]:
        for _, _, candidate, _, _ in store.rows(names):
            row = _parse_row(candidate)
            key = parse_key(row)
            if store.result(PARSE.name, key) is None:
                yield key, row

    def _wants_caption(self, candidate: Row) -> bool:
        return self.caption is not None and (self.recaption or not candidate["text"])

    def _facts(self, store: Store, names: list[str]) -> Iterator[Facts]:
        for number, source, candidate, blob, missing in store.rows(names):
            caption = awaits = ""
            if self.caption and blob and self._wants_caption(candidate):
                described = store.result(self.caption.name, blob)
                caption, awaits = (described["text"], "") if described else ("", "caption")
            facts = Facts(
                number,
                source,
                candidate,
                blob,
                missing,
                measured=store.result(MEASURE.name, blob) if blob else None,
                parsed=store.result(PARSE.name, parse_key(_parse_row(candidate))),
                nudity=(store.result(self.look.name, blob) or {}).get("scores") if self.look and blob else None,
                caption=caption,
                awaits=awaits,
            )
            if self.score and blob:
                results = [
                    store.result(self.score.name, score_key(blob, words)) for words in (facts.text, facts.prompt)
                ]
                text, prompt = ((result or {}).get("cosine") for result in results)
                awaits = awaits or ("scores" if None in results else "")
                facts = replace(facts, clip_text=text, clip_prompt=prompt, awaits=awaits)
            yield facts

    def _write(self, store: Store, names: list[str], dropped: dict[int, Drop], report: Report) -> Report:
        def kept() -> Iterator[Facts]:
            with replacing(self.output / STATE / "dropped.jsonl") as file:
                for facts in self._facts(store, names):
                    report.read[facts.source.partition(":")[0]] += 1
                    drop = dropped.get(facts.id)
                    if drop is None:
                        report.keep(facts)
                        yield facts
                    else:
                        report.drop(drop)
                        file.write(dropped_line(drop, facts, store))

        if all(number in dropped for number, *_ in store.rows(names)):
            # An empty table is no data set that anything could load, so what lies there stays as it is.
            for _ in kept():
                pass
            report.write(self.output / STATE)
            return report
        rows = write_rows(self.output, store, kept())
        report.write(self.output)
        write_card(self.output, report, self.name)
        self.progress("write", rows, rows)
        return report


def prepare(output: Path) -> Path:
    """The state's folder below `output`, which is made if need be; a folder of anything else is left alone."""
    if output.exists() and not output.is_dir():
        raise ConfigError(f"{output} is a file; name a folder.")
    if output.is_dir() and any(output.iterdir()) and not (output / STATE).is_dir():
        raise ConfigError(f"{output} holds other files and no earlier build; choose an empty folder.")
    try:
        (output / STATE).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{output} cannot be made: {error.strerror}.") from None
    return output / STATE


def dropped_line(drop: Drop, facts: Facts, store: Store) -> str:
    path = str(store.blob_path(facts.blob).relative_to(store.folder)) if facts.blob else None
    row = {"key": drop.key, "reason": drop.reason, "detail": drop.detail, "picture": path}
    words = {"text": facts.text, "prompt": facts.prompt or facts.candidate["prompt"]}
    return json.dumps({**row, **words}, ensure_ascii=False) + "\n"


def _parse_row(candidate: Row) -> Row:
    steps = candidate["parameters"].get("num_inference_steps")
    return {"prompt": candidate["prompt"], "text": candidate["text"], "steps": steps}


def _highest_ratings(store: Store, names: list[str]) -> dict[str, int]:
    """By the picture's bytes, as far as they are there, and by its address."""
    highest: dict[str, int] = {}
    for _, _, candidate, blob, _ in store.rows(names):
        if candidate["nsfw"] is not None:
            for name in {blob or candidate["image"], candidate["image"]}:
                highest[name] = max(candidate["nsfw"], highest.get(name, 0))
    return highest


def _unseen(stage: Stage, store: Store, rows: Iterable[Facts]) -> Iterator[Keyed]:
    """The pictures of `rows` that `stage` has not looked at."""
    for facts in rows:
        if facts.blob and store.result(stage.name, facts.blob) is None:
            yield facts.blob, {"path": str(store.blob_path(facts.blob))}


def _unscored(stage: Stage, store: Store, rows: Iterable[Facts]) -> Iterator[Keyed]:
    for facts in rows:
        for text in (facts.text, facts.prompt):
            if facts.blob and text and store.result(stage.name, score_key(facts.blob, text)) is None:
                yield score_key(facts.blob, text), {"path": str(store.blob_path(facts.blob)), "text": text}


def _first_of_each(rows: Iterable[Keyed]) -> Iterator[Keyed]:
    seen: set[str] = set()
    for key, row in rows:
        if key not in seen:
            seen.add(key)
            yield key, row
