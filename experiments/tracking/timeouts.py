"""How long a call waits for MLflow's server: seconds, instead of MLflow's own minutes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..system.environment import default_variables

SETTINGS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "15"}


@contextmanager
def shorten_timeouts() -> Iterator[None]:
    """Find soon that the server is away: a person waits, or trials do, and what it misses is kept (outbox.py).

    Settings that are there already stand, and all is as it was afterwards.
    """
    with default_variables(SETTINGS):
        yield
