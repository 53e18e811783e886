"""Lays settings over a finished spec, as options over a study file. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import capabilities
from .key_values import Component
from .load import build, lay
from .offers import SAMPLERS
from .spec import StudySpec


def overlay(spec: StudySpec, settings: Mapping[str, Any]) -> StudySpec:
    """The spec with `settings`, SECTION.KEY to value, laid over it. Raises StudyError."""
    tables = spec.tables()
    _give_way(tables, spec, settings)
    for key, value in settings.items():
        lay(tables, key, value)
    return build(tables)


def _give_way(tables: dict[str, Any], spec: StudySpec, settings: Mapping[str, Any]) -> None:
    """Drop the defaults that the spec writes out and a study file would not: with the settings, other defaults may hold."""
    search, study = tables["search"], tables["study"]
    if spec.search.pruner == capabilities.usual_pruner(spec):
        del search["pruner"]
    if spec.search.sampler == Component(SAMPLERS[spec.search.engine][0]):
        del search["sampler"]
    one, several = ("objective", "direction"), ("objectives",)
    for given, other in ((several, one), (one, several)):
        if any(f"study.{key}" in settings for key in given):
            for key in other:
                study.pop(key, None)
