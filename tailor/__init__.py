"""Tailor from Python: a few names, imported at their first use.

import tailor
result = tailor.run("quickstart")      # or a study file, or its tables as a mapping
result.trials                          # a DataFrame, best first
model = result.model()                 # the best trial's Keras model
model, labels = tailor.load("got")     # a folder that `tailor pull` wrote
tailor.open("quickstart")              # a study that was searched before
tailor.promote("quickstart", to="digits")
tailor.predict("digits", images)       # probabilities (n, classes) of raw uint8 images
tailor.pull("digits", "got")
tailor.export("digits", "onnx")        # for tools without Keras; also "litert" and "savedmodel"
tailor.compress("digits", prune=(0.8,))  # a smaller challenger
versions = tailor.registered("digits")  # records of a name's versions, or of all there are
spec = tailor.read_study("my.toml")    # a study file, or a shipped study's name, as a frozen record

Errors are StudyError, ModelError, InputError, RunError or StoreError; their messages say what to do.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .experiments.api import Result, open, run
    from .experiments.deployment import compress, export, predict, promote, pull
    from .experiments.errors import InputError, RunError
    from .experiments.planning.study_file import read_study
    from .experiments.registry.listing import Registered, registered
    from .experiments.registry.load import load
    from .models.errors import ModelError
    from .search.errors import StoreError, StudyError

_PLACES = {
    "InputError": ".experiments.errors",
    "ModelError": ".models.errors",
    "Registered": ".experiments.registry.listing",
    "Result": ".experiments.api",
    "RunError": ".experiments.errors",
    "StoreError": ".search.errors",
    "StudyError": ".search.errors",
    "compress": ".experiments.deployment",
    "export": ".experiments.deployment",
    "load": ".experiments.registry.load",
    "open": ".experiments.api",
    "predict": ".experiments.deployment",
    "promote": ".experiments.deployment",
    "pull": ".experiments.deployment",
    "read_study": ".experiments.planning.study_file",
    "registered": ".experiments.registry.listing",
    "run": ".experiments.api",
}

__all__ = [
    "InputError",
    "ModelError",
    "Registered",
    "Result",
    "RunError",
    "StoreError",
    "StudyError",
    "compress",
    "export",
    "load",
    "open",
    "predict",
    "promote",
    "pull",
    "read_study",
    "registered",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'tailor' has no attribute {name!r}; it has: {', '.join(__all__)}")
    from .experiments.system.import_path import prefer_installed

    with prefer_installed():  # a script or notebook may have a `queue.py` beside it
        _load_tqdm()
        return getattr(importlib.import_module(_PLACES[name], __name__), name)


def _load_tqdm() -> None:
    """Load it before MLflow and Optuna do: in a notebook without ipywidgets it warns that it has no bar, and we show none."""
    if "tqdm.auto" in sys.modules:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("tqdm.auto")


def __dir__() -> list[str]:
    return list(__all__)
