"""A SQLite database that is only read, as it is at one moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def read_database(path: Path, patience: float = 1.0) -> Iterator[sqlite3.Connection]:
    """A connection for the block; waits for a writer for at most `patience` seconds. Raises sqlite3.Error."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=patience)) as database:
        database.execute("BEGIN")
        yield database
