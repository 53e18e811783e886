"""Optuna's storage and MLflow's on a real PostgreSQL server, and passwords in addresses, which never show."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from conftest import Shell
from postgres import database, role

Write = Callable[..., Path]
SECRET = "s3cr3t-pw"


def asked(url: str, query: str) -> Any:
    """One value of a database's."""
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        value = connection.execute(sqlalchemy.text(query)).scalar()
    engine.dispose()
    return value


@pytest.mark.slow
def test_a_whole_study_on_postgresql(tailor: Shell, write_study: Write) -> None:
    write_study()
    with database() as studies, database() as tracking:
        secret = [url.replace("postgres@", f"postgres:{SECRET}@") for url in (studies, tracking)]  # the server trusts anybody
        on_server = {"TAILOR_STUDIES": secret[0], "MLFLOW_TRACKING_URI": secret[1]}
        said = [
            tailor("search", "small.toml", "--workers", "2", **on_server),
            tailor("search", "small.toml", "--trials", "5", **on_server),
            tailor("status", "small", "--json", **on_server),
            tailor("promote", "small", "--to", "served", **on_server),
            tailor("fsck", "small", **on_server),
        ]
        assert [done.returncode for done in said] == [0] * 5, said
        assert json.loads(said[2].stdout)["counts"]["complete"] >= 3
        assert said[4].stdout == "nothing to repair\n"
        assert not (tailor.folder / "mlruns" / "mlflow.db").exists()
        kinds = {
            kind: asked(tracking, f"SELECT COUNT(*) FROM tags WHERE key = 'tailor.kind' AND value = '{kind}'")
            for kind in ("trial", "study", "candidate", "promotion")
        }
        trials, runs = asked(studies, "SELECT COUNT(*) FROM trials"), asked(tracking, "SELECT COUNT(*) FROM runs")
        dump = asked(tracking, "SELECT string_agg(value, ' ') FROM tags")
        assert kinds == {"trial": trials, "study": 1, "candidate": 9, "promotion": 1}
        assert (trials, runs) == (5, 16)
        assert SECRET not in dump
        assert all(SECRET not in done.stdout + done.stderr for done in said)
        files = [
            path for path in (tailor.folder / "mlruns").rglob("*") if path.is_file() and path.suffix in (".json", ".html", "")
        ]
        assert files and all(SECRET not in path.read_text(errors="replace") for path in files)


@pytest.mark.parametrize(
    ("arguments", "setting", "code", "says"),
    [
        (
            ("search", "small.toml"),
            ("TAILOR_STUDIES", f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/x"),
            1,
            "the studies' database",
        ),
        (("search", "small.toml"), ("TAILOR_STUDIES", f"nosuch://me:{SECRET}@127.0.0.1:1/x"), 2, "--studies: 127.0.0.1:1/x"),
        (
            ("status", "small"),
            ("MLFLOW_TRACKING_URI", f"http://me:{SECRET}@127.0.0.1:1"),
            1,
            "MLflow cannot be reached (Connection refused); start the server, or correct the host and port in MLFLOW_",
        ),
        (("env",), ("TAILOR_STUDIES", f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/x"), 0, "# OPTUNA_STORAGE holds a password"),
        (
            ("doctor",),
            ("TAILOR_STUDIES", f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/x"),
            None,
            "postgresql+psycopg://me:***@127.0.0.1:1/x",
        ),
    ],
)
def test_a_password_in_an_address_never_shows(
    tailor: Shell, write_study: Write, arguments: tuple[str, ...], setting: tuple[str, str], code: int | None, says: str
) -> None:
    write_study()
    done = tailor(*arguments, **dict([setting]))
    said = done.stdout + done.stderr
    assert says in said and SECRET not in said and "Traceback" not in said
    assert done.returncode == code or code is None


def test_a_database_of_mlflow_that_refuses_the_login_is_one_line_at_the_start(tailor: Shell, write_study: Write) -> None:
    with role() as owned:
        owned.lock()
        for command in (("search", str(write_study())), ("status", "small"), ("models",)):
            done = tailor(*command, MLFLOW_TRACKING_URI=owned.tracking)
            assert done.returncode == 2, done.stderr
            (said,) = [line for line in done.stderr.splitlines() if line.startswith("tailor: ")]
            assert said.startswith("tailor: MLFLOW_TRACKING_URI: the database refuses the credentials ("), said
            assert said.endswith("correct the user and password in MLFLOW_TRACKING_URI."), said
        assert not (tailor.folder / "mlruns").exists()
