"""Tailor's importable face: a few names, loaded when they are first used.

import tailor
result = tailor.search("quickstart")   # or a study file, or its tables as a mapping
result.trials                          # a DataFrame, best first
model = result.model()                 # the best trial's Keras model
model, labels = tailor.load("got")     # a folder that `tailor pull` wrote
spec = tailor.read_study("my.toml")    # a study file as a frozen record
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.api import Result, search
    from experiments.pulled import load
    from search.load import load as read_study

_PLACES = {
    "Result": ("experiments.api", "Result"),
    "load": ("experiments.pulled", "load"),
    "read_study": ("search.load", "load"),
    "search": ("experiments.api", "search"),
}

__all__ = ["Result", "load", "read_study", "search"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'tailor' has no attribute {name!r}; it has: {', '.join(__all__)}")
    module, attribute = _PLACES[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return list(__all__)
