"""The JSON Schema of a study file: it takes what `load` takes, and marks what it refuses."""

from __future__ import annotations

import tomllib

import pytest
from conftest import SMALL
from jsonschema import Draft202012Validator

from tailor.experiments.errors import InputError
from tailor.experiments.planning.resolve import list_shipped, validate
from tailor.models.errors import ModelError
from tailor.models.factory import BUILT_IN
from tailor.models.training import options
from tailor.search.errors import StudyError
from tailor.search.study.load import ENQUEUE, FOUND, TABLES, build
from tailor.search.study.offers import SAMPLERS
from tailor.search.study.schema import schema
from tailor.search.study.sections import SearchPlan

SCHEMA = schema(options.schema(), ("digits", "fashion-mnist", "mnist"), BUILT_IN)


def test_it_is_a_schema_and_knows_every_section_and_key() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) == {*TABLES, ENQUEUE, FOUND}
    assert {"api", "objectives", "constraints"} < set(SCHEMA["properties"]["study"]["properties"])
    assert set(SCHEMA["properties"]["search"]["properties"]) == set(vars(SearchPlan()))
    assert set(SCHEMA["properties"]["training"]["properties"]) == set(options.NAMES)


@pytest.mark.parametrize("study", list_shipped())
def test_the_shipped_studies_pass(study: str) -> None:
    Draft202012Validator(SCHEMA).validate(tomllib.loads(list_shipped()[study].read_text()))


@pytest.mark.parametrize("sampler", sorted({s for group in SAMPLERS.values() for s in group}))
def test_every_sampler_passes_by_name_and_with_arguments(sampler: str) -> None:
    tables = tomllib.loads(SMALL)
    for value in (sampler, {"name": sampler, "more": 3}):
        tables["search"]["sampler"] = value
        Draft202012Validator(SCHEMA).validate(tables)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("trials = 4", "trails = 4"),
        ("trials = 4", "trials = 0"),
        ("trials = 4", "trials = 10_000_000"),
        ('name = "small"', 'name = "a..b"'),
        ('direction = "maximize"', ""),
        ('objective = "val_accuracy"', ""),
        ('direction = "maximize"', 'direction = "maximize"\nobjectives = [{ metric = "val_loss", direction = "minimize" }]'),
        ('objective = "val_accuracy"\ndirection = "maximize"', "objectives = []"),
        ('objective = "val_accuracy"\ndirection = "maximize"', 'objectives = [{ metric = "val_loss" }]'),
        ('sampler = "random"', "sampler = { n_startup_trials = 3 }"),
        ('sampler = "random"', 'sampler = "randm"'),
        ('dataset = "digits"', 'dataset = "digit"'),
        ("low = 1, high = 2", "low = 1"),
        ('direction = "maximize"', 'direction = "up"'),
        ("units = 32", "units = 32\nbatch_size = 0"),
        ("units = 32", 'units = 32\noptimizer = "adm"'),
    ],
)
def test_what_is_wrong_is_marked_and_refused(old: str, new: str) -> None:
    assert old in SMALL
    tables = tomllib.loads(SMALL.replace(old, new))
    assert list(Draft202012Validator(SCHEMA).iter_errors(tables))
    with pytest.raises((StudyError, ModelError, InputError)):
        validate(build(tables))
