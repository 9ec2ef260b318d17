"""What a build kept and dropped, and why, for machines (report.json) and for people (report.md)."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vignette.surd.clean import REASONS, Drop, Facts
from vignette.surd.write import replacing

EXAMPLES = 5
# CLIP's text encoder reads 77 tokens; English prompts of more words than this are likely to be cut.
LONG_PROMPT = 60


@dataclass
class Report:
    """Counts, gathered row by row."""

    read: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    dropped_by_source: dict[str, Counter[str]] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    captioned: int = 0
    weighted: int = 0
    networks: int = 0
    long_prompts: int = 0
    waiting: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)

    def drop(self, drop: Drop) -> None:
        source = drop.source.partition(":")[0]
        self.dropped[drop.reason] += 1
        self.dropped_by_source.setdefault(source, Counter())[drop.reason] += 1
        examples = self.examples.setdefault(drop.reason, [])
        if len(examples) < EXAMPLES:
            examples.append(f"{drop.key}: {drop.detail}" if drop.detail else drop.key)

    def keep(self, facts: Facts) -> None:
        parsed = facts.parsed or {}
        self.kept[facts.source.partition(":")[0]] += 1
        self.licences[facts.candidate["licence"]] += 1
        self.captioned += bool(facts.caption)
        self.weighted += bool(parsed.get("weights"))
        self.networks += bool(parsed.get("networks"))
        self.long_prompts += len(facts.prompt.split()) > LONG_PROMPT

    def nothing_kept(self) -> str:
        """The sentence that says what nearly all rows were dropped for."""
        if not self.read:
            return "The sources gave no rows."
        [(reason, count)] = self.dropped.most_common(1)
        return f"No row was kept: {count} of {self.read.total()} went as {reason!r} ({REASONS[reason]})."

    def to_dict(self) -> dict[str, Any]:
        return {
            "read": self.read.total(),
            "kept": self.kept.total(),
            "dropped": self.dropped.total(),
            "waiting": dict(self.waiting),
            "warnings": self.warnings,
            "by_source": {
                name: {
                    "read": self.read[name],
                    "kept": self.kept[name],
                    "dropped": dict(self.dropped_by_source.get(name, {})),
                }
                for name in sorted(self.read)
            },
            "dropped_by_reason": {reason: self.dropped[reason] for reason in REASONS if self.dropped[reason]},
            "examples": self.examples,
            "licenses": dict(self.licences.most_common()),
            "captioned": self.captioned,
            "prompts_with_weights": self.weighted,
            "prompts_with_networks": self.networks,
            f"prompts_over_{LONG_PROMPT}_words": self.long_prompts,
            "options": self.options,
        }

    def to_markdown(self) -> str:
        total = self.read.total()
        lines = [
            "# SURD build",
            "",
            f"{total} rows read, {self.kept.total()} kept, {self.dropped.total()} dropped.",
            "",
        ]
        if self.waiting:
            lines += [f"{self.waiting.total()} pictures could not be fetched; the same command tries them again:", ""]
            lines += [*(f"- {count}: {cell(why)}" for why, count in self.waiting.most_common()), ""]
        lines += [line for warning in self.warnings for line in (cell(warning), "")]
        lines += ["| source | read | kept |", "|---|---:|---:|"]
        lines += [f"| {name} | {self.read[name]} | {self.kept[name]} |" for name in sorted(self.read)]
        lines += [
            "",
            "## Dropped",
            "",
            "| reason | rows | share | what it means | for example |",
            "|---|---:|---:|---|---|",
        ]
        for reason, meaning in REASONS.items():
            if count := self.dropped[reason]:
                example = cell(self.examples[reason][0])
                lines.append(f"| {reason} | {count} | {100 * count / total:.1f} % | {meaning} | {example} |")
        lines += ["", "## Kept", "", "| licence | rows |", "|---|---:|"]
        lines += [f"| {cell(name)} | {count} |" for name, count in self.licences.most_common()]
        lines += [
            "",
            f"{self.captioned} narratives were written by the captioner. {self.weighted} prompts had attention weights and "
            f"{self.networks} named LoRAs or their like; both were taken out. {self.long_prompts} prompts have more than "
            f"{LONG_PROMPT} words, which CLIP's 77 tokens may not hold.",
            "",
        ]
        return "\n".join(lines)

    def write(self, output: Path) -> None:
        with replacing(output / "report.json") as file:
            json.dump(self.to_dict(), file, indent=2, ensure_ascii=False)
            file.write("\n")
        with replacing(output / "report.md") as file:
            file.write(self.to_markdown())


def cell(text: str) -> str:
    """Text from outside as the content of a Markdown table's cell."""
    flat = " ".join(text.split())
    for mark, plain in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|"), ("`", "'")):
        flat = flat.replace(mark, plain)
    return flat
