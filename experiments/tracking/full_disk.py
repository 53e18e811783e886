"""A full disk: how files and SQLite show it, and the line that names the path and says what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import RunError
from ..store import Store

FULL = (errno.ENOSPC, errno.EDQUOT)
SQLITE_FULL = "database or disk is full"
DATABASES = ("mlflow", "sqlalchemy", "sqlite3")  # whose errors pass SQLite's words on


def explain_full_disk(error: BaseException, store: Store) -> str | None:
    """The line for an error of a full disk; None for another one. A server's disk is its administrator's."""
    if isinstance(error, OSError) and error.errno in FULL:  # one of a write names no file
        place, why = error.filename or store.root, error.strerror
    elif type(error).__module__.partition(".")[0] in DATABASES and SQLITE_FULL in str(error) and store.database is not None:
        place, why = store.database, SQLITE_FULL
    else:
        return None
    return f"{place} cannot be written ({why}); make room, and the same command resumes."


@contextmanager
def name_full_disk(store: Store) -> Iterator[None]:
    """Turn an error of a full disk in the block into a RunError with that line."""
    try:
        yield
    except Exception as error:
        if (line := explain_full_disk(error, store)) is None:
            raise
        raise RunError(line) from error
