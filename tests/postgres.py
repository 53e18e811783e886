"""Real PostgreSQL for tests: a database of a test's own on the server at hand, or a whole cluster of its own, to restart."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy

SERVER = os.environ.get("TAILOR_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")


@contextmanager
def database() -> Iterator[str]:
    """The URL of a new, empty database; skips where no server listens."""
    name = f"tailor_{uuid.uuid4().hex[:12]}"
    try:
        _run(SERVER, f'CREATE DATABASE "{name}"')
    except sqlalchemy.exc.OperationalError:
        pytest.skip("no PostgreSQL listens on 127.0.0.1:5432 (or where TAILOR_TEST_POSTGRES says)")
    try:
        yield SERVER.rpartition("/")[0] + f"/{name}"
    finally:
        _run(SERVER, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@dataclass
class Role:
    """A user of the server at hand, with a database for Optuna's studies and one for MLflow."""

    name: str
    studies: str
    tracking: str

    def lock(self) -> None:
        """Take the right to log in away, and end the connections, as a password that is changed does once they are lost."""
        _run(SERVER, f'ALTER ROLE "{self.name}" NOLOGIN')
        _run(SERVER, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{self.name}'")

    def unlock(self) -> None:
        _run(SERVER, f'ALTER ROLE "{self.name}" LOGIN')


@contextmanager
def role() -> Iterator[Role]:
    """A user with two new, empty databases; skips where no server listens."""
    with database() as studies, database() as tracking:
        name, names = f"tailor_{uuid.uuid4().hex[:12]}", [url.rpartition("/")[2] for url in (studies, tracking)]
        _run(SERVER, f'CREATE ROLE "{name}" LOGIN')
        try:
            for one in names:
                _run(SERVER, f'ALTER DATABASE "{one}" OWNER TO "{name}"')
            yield Role(name, *(url.replace("postgres@", f"{name}@") for url in (studies, tracking)))
        finally:
            for one in names:
                _run(SERVER, f'ALTER DATABASE "{one}" OWNER TO postgres')
                _run(SERVER.rpartition("/")[0] + f"/{one}", f'DROP OWNED BY "{name}"')
            _run(SERVER, f'DROP ROLE "{name}"')


@contextmanager
def table(url: str, name: str) -> Iterator[None]:
    """A table of that name in the database."""
    _run(url, f"CREATE TABLE {name} (id INTEGER)")
    yield
    _run(url, f"DROP TABLE {name}")


def _run(url: str, statement: str) -> None:
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(statement))
    engine.dispose()


def wait_for_metrics(url: str) -> None:
    """Until MLflow's database has a metric; its tables are its own to make."""
    engine, deadline = sqlalchemy.create_engine(url), time.monotonic() + 90
    while time.monotonic() < deadline:
        with suppress(sqlalchemy.exc.ProgrammingError), engine.connect() as connection:  # there is no such table yet
            if connection.execute(sqlalchemy.text("SELECT COUNT(*) FROM metrics")).scalar():
                engine.dispose()
                return
        time.sleep(0.3)
    raise AssertionError("no metric came in 90 seconds")


@dataclass
class Cluster:
    """A PostgreSQL of a test's own: its folder, its port and where its programs are."""

    folder: Path
    port: int
    programs: Path

    def database(self, name: str) -> str:
        """Make an empty database and answer its URL."""
        server = f"postgresql+psycopg://postgres@127.0.0.1:{self.port}"
        _run(f"{server}/postgres", f'CREATE DATABASE "{name}"')
        return f"{server}/{name}"

    def control(self, *arguments: str) -> None:
        self._program("pg_ctl", "-D", str(self.folder), "-w", "-t", "60", "-l", str(self.folder.parent / "log"), *arguments)

    def start(self) -> None:
        self.control("start", "-o", f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off")

    def make(self) -> None:
        self._program("initdb", "-D", str(self.folder), "-U", "postgres", "-A", "trust")

    def _program(self, program: str, *arguments: str) -> None:
        # It refuses to run as root: as the system's user for it, then.
        user = "postgres" if os.geteuid() == 0 else None
        command = [str(self.programs / program), *arguments]
        subprocess.run(command, check=True, user=user, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=120)


@contextmanager
def cluster(folder: Path, port: int) -> Iterator[Cluster]:
    """A running cluster in an empty folder that its user can reach; skips where PostgreSQL's programs are not installed."""
    found = [Path(p).parent for p in (shutil.which("initdb"),) if p] or sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found or not (found[-1] / "initdb").exists():
        pytest.skip("PostgreSQL's initdb is not installed")
    if os.geteuid() == 0:
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    made = Cluster(folder / "data", port, found[-1])
    made.make()
    made.start()
    try:
        yield made
    finally:
        made.control("stop", "-m", "immediate")
