"""A data set to look at: one HTML file with the pictures in it, which asks nothing of any server."""

from __future__ import annotations

import base64
import io
import json
import random
from pathlib import Path
from typing import Any

from jinja2 import Environment

from vignette.errors import ConfigError
from vignette.surd.build import STATE
from vignette.surd.stages import open_upright
from vignette.surd.write import replacing

SIDE = 256
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{{ title }}</title>
<style>
  :root { color-scheme: light dark; font: 14px/1.45 system-ui, sans-serif }
  body { margin: 2rem auto; max-width: 90rem; padding: 0 1rem }
  main { display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); gap: 1.25rem }
  figure { margin: 0; overflow-wrap: anywhere }
  img, .none { width: 100%; aspect-ratio: 1; object-fit: contain; background: #8882; border-radius: 6px; display: grid;
    place-items: center }
  figcaption p { margin: .4rem 0 }
  .prompt { font-family: ui-monospace, monospace; font-size: 12px; opacity: .8 }
  .why { color: #c33; font-weight: 600 }
</style>
<h1>{{ title }}</h1>
<p>{{ note }}</p>
<main>
{%- for row in rows %}
<figure>
  {% if row.picture -%}
  <img alt="{{ row.text or row.prompt }}" src="{{ row.picture }}">
  {%- else %}<div class="none">no picture</div>{% endif %}
  <figcaption>
    {% if row.reason %}<p class="why">{{ row.reason }}{% if row.detail %}: {{ row.detail }}{% endif %}</p>{% endif %}
    {% if row.text %}<p>{{ row.text }}</p>{% endif %}
    {% if row.prompt %}<p class="prompt">{{ row.prompt }}</p>{% endif %}
    <p class="prompt">{{ row.name }}</p>
  </figcaption>
</figure>
{%- endfor %}
</main>
</html>
"""


def write_contact_sheet(folder: Path, output: Path, *, rows: int = 120, seed: int = 0, dropped: bool = False) -> int:
    """Writes `output` with up to `rows` rows of the data set in `folder`, drawn by `seed` and kept in order.

    Args:
        dropped (`bool`): show what the build dropped and why instead.

    Returns:
        The number of rows shown.

    Raises:
        ConfigError: `folder` is no data set of this form; the file and the line are named.
    """
    table = folder / (f"{STATE}/dropped.jsonl" if dropped else "metadata.jsonl")
    found = read_table(table)
    chosen = sorted(random.Random(seed).sample(range(len(found)), min(rows, len(found))))
    cards = [_card(folder / STATE if dropped else folder, found[index], table, index + 1) for index in chosen]
    kind = "dropped" if dropped else "kept"
    page = Environment(autoescape=True).from_string(PAGE)
    with replacing(output) as file:
        note = f"{len(cards)} of {len(found)} rows {kind}."
        file.write(page.render(title=f"{folder.resolve().name}: {kind}", note=note, rows=cards))
    return len(cards)


def read_table(table: Path) -> list[dict[str, Any]]:
    """The objects of a JSON lines file."""
    try:
        # Not `splitlines`, which cuts at the separators that JSON allows within a string.
        lines = table.read_text("utf-8-sig").split("\n")
    except FileNotFoundError:
        raise ConfigError(f"There is no {table}; name the folder of a data set that was built.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{table} cannot be read: {error}.") from None
    rows = []
    if not lines[-1].strip():
        lines.pop()
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{table}, line {number} is no JSON: {error}.") from None
        if not isinstance(row, dict):
            raise ConfigError(f"{table}, line {number} must be a JSON object.")
        rows.append(row)
    return rows


def _card(folder: Path, row: dict[str, Any], table: Path, number: int) -> dict[str, Any]:
    name = row.get("picture") if "reason" in row else row.get("file_name")
    if "reason" not in row and not isinstance(name, str):
        raise ConfigError(f"{table}, line {number} has no `file_name`.")
    return {
        "name": row.get("key", name),
        "text": row.get("text", ""),
        "prompt": row.get("prompt", ""),
        "reason": row.get("reason", ""),
        "detail": row.get("detail", ""),
        "picture": _thumbnail(folder, str(name)) if name else None,
    }


def _thumbnail(folder: Path, name: str) -> str | None:
    """A small JPEG as a data URL; none for a picture that cannot be read or lies outside the folder."""
    from PIL import Image

    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        return None
    try:
        with Image.open(path) as image:
            small = open_upright(image)
    except Exception:  # what a broken picture raises depends on how it is broken
        return None
    small.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
