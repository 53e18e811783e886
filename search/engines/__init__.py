"""The engines: each only translates between the protocol and its library."""

from __future__ import annotations

from search.engine import Engine
from search.spec import StudySpec


def open_engine(spec: StudySpec, storage_url: str) -> Engine:
    """The spec's engine on its store, created where it is new. Heavy libraries load here, not on import."""
    from search.engines.optuna import OptunaEngine

    return OptunaEngine.open(spec, storage_url)
