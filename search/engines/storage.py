"""Optuna's database: opens it, waits while a server is away, and reports its errors in one line."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar
from urllib.parse import unquote

import optuna
import sqlalchemy.exc
from optuna.exceptions import StorageInternalError

from ..errors import StoreError, StudyError

AGAIN_SECONDS = 0.5
AWAY = (StorageInternalError, sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError)

P = ParamSpec("P")
R = TypeVar("R")


class Patient(Protocol):
    """Something that waits for a database: its readable name, for how many seconds, and how it says so on the screen."""

    place: str
    patience: float
    say: Callable[[str], None]


S = TypeVar("S", bound=Patient)


def open_storage(url: str) -> optuna.storages.RDBStorage:
    """The storage at a SQLAlchemy URL. It tries connections before use: a restarted server has dropped them."""
    options: dict[str, Any] = {} if url.startswith("sqlite") else {"pool_pre_ping": True}
    return optuna.storages.RDBStorage(url, engine_kwargs=options)


@contextmanager
def refusing(url: str) -> Iterator[None]:
    """Turn errors of opening a database into a StudyError or StoreError, without a password."""
    where = place(url)
    try:
        yield
    except (ImportError, RuntimeError, sqlalchemy.exc.ArgumentError) as error:  # no driver, another's tables, no URL
        raise StudyError(
            f"--studies: {where} cannot be opened ({_first_line(error)}); give a database of its own, such as "
            "postgresql+psycopg://USER@HOST/DB, with pip install 'tailor-hpo[postgres]' for that one."
        ) from None
    except AWAY as error:
        raise _store_error(where, error) from error


def place(url: str) -> str:
    """The database's place, without a password."""
    path, escaped = url.removeprefix("sqlite:///"), url.removeprefix("sqlite+pysqlite:///")
    if escaped != url:  # a path with a % in it, say
        return unquote(escaped.partition("?")[0])
    return path.rpartition("@")[2].partition("?")[0]


def lasting(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Call the method again while the database is away, for `patience` seconds. Raises StoreError after that."""

    @functools.wraps(method)
    def lasts(self: S, *arguments: P.args, **named: P.kwargs) -> R:
        deadline, waits = time.monotonic() + self.patience, False
        while True:
            try:
                result = method(self, *arguments, **named)
            except AWAY as error:
                if time.monotonic() >= deadline:
                    raise _store_error(self.place, error) from error
                if not waits:
                    said = f"the studies' database {self.place} cannot be used ({_explain(error)})"
                    self.say(f"{said}; repair it within {self.patience:g} s, and the search goes on")
                waits = True
                time.sleep(AGAIN_SECONDS)
                continue
            if waits:
                self.say(f"the studies' database {self.place} is back")
            return result

    return lasts


def _store_error(where: str, error: Exception) -> StoreError:
    return StoreError(
        f"the studies' database {where} cannot be used ({_explain(error)}); repair it, or wait until it is "
        "free; the same command resumes."
    )


def _explain(error: Exception) -> str:
    """The first line of what went wrong: Optuna's error only says that something did."""
    return _first_line(error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ is not None else error)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
