"""Defaults and limits of a request; every refusal names the field."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from vignette.engine.catalogue import Catalogue
from vignette.engine.request import GenerationInput, GenerationRequest, resolve
from vignette.errors import InvalidInput

SCHEDULERS = ("DDIMScheduler", "EulerDiscreteScheduler")


def resolved(catalogue: Catalogue, **given: Any) -> GenerationRequest:
    return resolve(
        GenerationInput(**({"prompt": "a cat"} | given)),
        id="a",
        catalogue=catalogue,
        schedulers=lambda model: SCHEDULERS,
        random_seed=lambda: 42,
    )


def test_absent_fields_take_the_models_defaults(catalogue: Catalogue) -> None:
    r = resolved(catalogue)
    assert (r.model, r.adapter, r.adapter_scale) == ("tiny", "sur", 1.0)
    assert (r.width, r.height, r.num_inference_steps, r.guidance_scale) == (32, 32, 4, 4.0)
    assert (r.scheduler, r.seed, r.num_images, r.output_format) == ("DDIMScheduler", 42, 1, "png")
    assert r.negative_prompt == ""


def test_null_means_no_adapter(catalogue: Catalogue) -> None:
    assert resolved(catalogue, adapter=None).adapter is None
    assert resolved(catalogue, adapter="sur").adapter == "sur"


def test_zero_is_a_value(catalogue: Catalogue) -> None:
    r = resolved(catalogue, seed=0, guidance_scale=0, adapter_scale=0)
    assert (r.seed, r.guidance_scale, r.adapter_scale) == (0, 0, 0)
    assert not r.uses_cfg


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("prompt", "", "empty"),
        ("prompt", " \n\t", "empty"),
        ("prompt", "a" * 2001, "2001 characters"),
        ("prompt", "half \ud83d", "surrogate"),
        ("negative_prompt", "a" * 100_000, "2000 is the most"),
        ("model", "other", "tiny"),
        ("adapter", "other", "sur"),
        ("width", 33, "multiple of 8"),
        ("width", 4096, "between 16 and 64"),
        ("height", 8, "between 16 and 64"),
        ("num_inference_steps", 51, "between 1 and 50"),
        ("num_images", 5, "between 1 and 4"),
        ("scheduler", "KarrasScheduler", "DDIMScheduler, EulerDiscreteScheduler"),
    ],
)
def test_what_the_model_cannot_do_is_named(catalogue: Catalogue, field: str, value: object, says: str) -> None:
    with pytest.raises(InvalidInput) as error:
        resolved(catalogue, **{field: value})
    assert error.value.field == field
    assert says in error.value.message
    error.value.message.encode()  # a sentence that could not be sent would be none


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", 7),
        ("width", "128"),
        ("width", 128.0),
        ("width", True),
        ("num_inference_steps", -1),
        ("num_inference_steps", 0),
        ("guidance_scale", float("nan")),
        ("guidance_scale", float("inf")),
        ("guidance_scale", -1),
        ("adapter_scale", 2.5),
        ("seed", -1),
        ("seed", 2**53),
        ("num_images", 0),
        ("output_format", "gif"),
        ("surprise", 1),
    ],
)
def test_wrong_types_and_ranges_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as error:
        GenerationInput.model_validate({"prompt": "a cat", field: value})
    assert error.value.errors()[0]["loc"] == (field,)
