"""What a call from Python puts back in its host's process: settings that our libraries change for the whole process."""

from __future__ import annotations

import logging
import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from .environment import default_variables
from .log_levels import levels
from .shared import Shared

LOGGERS = {
    "alembic": logging.ERROR,
    "mlflow": logging.ERROR,
    "mlflow.store.db.utils": logging.CRITICAL,  # it prints a traceback of what it raises
    "optuna": logging.ERROR,
    "urllib3": logging.ERROR,
}
VARIABLES = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}


@contextmanager
def _kept() -> Iterator[None]:
    """Put back the loggers' levels, the warnings' filters, variables, random states and the path of modules."""
    folder, states = str(Path.cwd()), (random.getstate(), np.random.get_state())
    added = folder not in sys.path
    try:
        with default_variables(VARIABLES), levels(LOGGERS), warnings.catch_warnings():
            yield
    finally:
        random.setstate(states[0])  # Dask draws from it
        np.random.set_state(states[1])
        if added and folder in sys.path:
            sys.path.remove(folder)  # a study's custom modules were found there


kept = Shared(_kept).held
