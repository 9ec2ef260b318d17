"""The data set's card (README.md), as the Hugging Face hub reads it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from vignette.surd.report import Report, cell
from vignette.surd.write import replacing

SIZES = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10**7, "1M<n<10M")]
# Licences that a data set may carry as such; anything else is "other".
KNOWN = {"mit", "apache-2.0", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "odc-by"}


def write_card(output: Path, report: Report, name: str) -> None:
    with replacing(output / "README.md") as file:
        file.write(card(report, name))


def card(report: Report, name: str) -> str:
    rows = report.kept.total()
    size = next((label for limit, label in SIZES if rows < limit), "n>10M")
    options = report.options
    language = re.fullmatch(r"[a-z]{2}", options.get("language") or "")
    lines = ["---", f"pretty_name: {json.dumps(name)}", f"license: {_licence(report)}"]
    lines += ["language:", f"- {language.group()}"] if language else []
    lines += [
        "task_categories:",
        "- text-to-image",
        "tags:",
        "- sur-adapter",
        "size_categories:",
        f"- {size}",
        "---",
        "",
    ]
    lines += [
        f"# {cell(name)}",
        "",
        f"{rows} triples for training a SUR-adapter (Zhong et al., ACM MM 2023): a picture, a narrative that says in plain "
        "language what it shows (`text`), and the keyword prompt that it was drawn from (`prompt`).",
        "",
        "```python",
        "from datasets import load_dataset",
        'load_dataset("imagefolder", data_dir="this folder", split="train")  # image, text, prompt',
        "```",
        "",
        "`provenance.jsonl` has, line by line, where each picture is from, its licence, its prompt as it was written, the "
        "negative prompt, weights, LoRAs, seed and scores. `report.md` says what was dropped and why.",
        "",
        "## Sources and licences",
        "",
        "| source | read | kept |",
        "|---|---:|---:|",
        *(f"| {source} | {report.read[source]} | {report.kept[source]} |" for source in sorted(report.read)),
        "",
        "| licence | rows |",
        "|---|---:|",
        *(f"| {cell(text)} | {count} |" for text, count in report.licences.most_common()),
        "",
        "A licence above is what the source said of the picture. Where it is unknown, the picture belongs to whoever made "
        "it: training on it may be lawful where you are, passing it on may not be.",
        "",
        "## How it was made",
        "",
        *(f"- {key.replace('_', ' ')}: {cell(str(value))}" for key, value in options.items() if value is not None),
        "",
        f"{report.captioned} narratives were written by the captioner, the others came with the pictures.",
        "",
    ]
    return "\n".join(lines)


def _licence(report: Report) -> str:
    names = {text.lower() for text in report.licences}
    return names.pop() if len(names) == 1 and names <= KNOWN else "other"
