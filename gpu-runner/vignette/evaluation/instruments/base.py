"""What every instrument has in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from PIL import Image

from vignette.evaluation.cases import Case


@dataclass(frozen=True)
class Metric:
    """
    A figure that an instrument gives per picture.

    `judged` marks are shares of facts that the picture shows, from 0 to 1; they enter the mean over the attributes
    and the share of the distance closed.
    """

    name: str
    title: str
    judged: bool = False
    higher_is_better: bool = True


@dataclass(frozen=True)
class Reading:
    """One picture's figures by metric name, without those that do not apply, and what the instrument said, for people."""

    values: dict[str, float]
    said: tuple[str, ...] = field(default=())


class Instrument(Protocol):
    """
    Measures pictures. `id` changes with the weights and settings, so that remembered readings are never stale; `label`
    tells readers of a report what measured, with the model and the scale, without which a figure cannot be compared.
    """

    id: str
    name: str
    label: str
    metrics: tuple[Metric, ...]

    def measure(self, images: Sequence[Image.Image], cases: Sequence[Case]) -> list[Reading]:
        """One reading per picture; `cases[i]` is what `images[i]` was drawn for."""
        ...


def judged_metrics(judge: str, attributes: Sequence[str]) -> tuple[Metric, ...]:
    """The metrics of a judge that marks these attributes."""
    return tuple(Metric(f"{judge}/{a}", f"{a}, judged by {judge}", judged=True) for a in attributes)


def reading_of(judge: str, marks: Sequence[tuple[str, bool, str]]) -> Reading:
    """Marks of (attribute, right, what was said) to a reading: per attribute the share that is right."""
    by_attribute: dict[str, list[bool]] = {}
    for attribute, right, _ in marks:
        by_attribute.setdefault(attribute, []).append(right)
    values = {f"{judge}/{a}": sum(rights) / len(rights) for a, rights in by_attribute.items()}
    return Reading(values, tuple(said for _, _, said in marks))
