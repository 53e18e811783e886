"""How long a call waits for MLflow's server: seconds, instead of MLflow's own minutes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

SETTINGS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "15"}


@contextmanager
def impatient() -> Iterator[None]:
    """Find soon that the server is away: a person waits, or trials do, and what it misses is kept (outbox.py).

    Settings that are there already stand, and all is as it was afterwards.
    """
    added = [name for name in SETTINGS if name not in os.environ]
    os.environ.update({name: SETTINGS[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
