"""The variables that our processes run with, whatever the shell sets: TensorFlow, its threads, what they import."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

Settings = Mapping[str, str | None]  # None: not set

TENSORFLOW_ENV: Settings = {
    "KERAS_BACKEND": "tensorflow",
    "KERAS_MAX_EPOCHS": None,  # this and the next one shorten training and predictions
    "KERAS_MAX_STEPS_PER_EPOCH": None,
    "KERAS_NNX_ENABLED": None,
    "PYTHONWARNINGS": None,  # "error" would end the libraries' imports
    "PYTHONSAFEPATH": "1",  # or `python -c`, as multiprocessing starts it, imports a `queue.py` of the current folder
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "1",  # on by default only with AVX-512; without oneDNN a CNN takes 1.5 times as long
    "TF_SET_ONEDNN_FPMATH_MODE": None,  # it would compute float32 in bfloat16
    "TF_USE_LEGACY_KERAS": None,
    "TF_XLA_FLAGS": None,  # XLA compiles only what Tailor chooses
}
WORKER_ENV: Settings = {**TENSORFLOW_ENV, "MKL_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def apply_settings(settings: Settings) -> None:
    """Set them in this process permanently, and remove the current folder from the path that its children begin with."""
    _set({**settings, "PYTHONPATH": _without_current_folder(os.environ.get("PYTHONPATH", ""))})


def reset_warnings() -> None:
    """Python's own filters in this process and its children, if PYTHONWARNINGS or -W chose others."""
    if sys.warnoptions:
        sys.warnoptions.clear()  # multiprocessing hands them on
        warnings.resetwarnings()
        for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)


@contextmanager
def inherit_settings(settings: Settings) -> Iterator[None]:
    """Apply them for the processes that this one starts in the block; then put its own environment back."""
    before = {name: os.environ.get(name) for name in (*settings, "PYTHONPATH")}
    apply_settings(settings)
    try:
        yield
    finally:
        _set(before)


@contextmanager
def default_variables(defaults: Mapping[str, str], also: Sequence[str] = ()) -> Iterator[None]:
    """Set the variables that are not set, for the block; existing values stay.

    Afterwards all of them are put back, and those in `also`, which a library sets meanwhile.
    """
    before = {name: os.environ.get(name) for name in (*defaults, *also)}
    _set({name: value for name, value in defaults.items() if name not in os.environ})
    try:
        yield
    finally:
        _set(before)


def _set(settings: Settings) -> None:
    for name, value in settings.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _without_current_folder(path: str) -> str | None:
    """PYTHONPATH without the current folder, which is an empty entry there after `PYTHONPATH=$PYTHONPATH:/elsewhere`."""
    kept = [entry for entry in path.split(os.pathsep) if entry and os.path.realpath(entry) != os.path.realpath(os.curdir)]
    return os.pathsep.join(kept) or None
