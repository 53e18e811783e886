"""How long a call waits for MLflow's server: seconds, instead of MLflow's own minutes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..system.environment import default_variables

SETTINGS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "15"}


@contextmanager
def shorten_timeouts() -> Iterator[None]:
    """Notice soon that the server is away: you wait, or trials do; the outbox keeps what the server misses.

    Your own settings win. The environment is restored afterwards.
    """
    with default_variables(SETTINGS):
        yield
