"""Asks MLflow's server, or a database, whether it answers and is what it should be; the answer comes within seconds."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass

import requests
import sqlalchemy
import sqlalchemy.exc
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from ..errors import InputError
from ..store import Store
from .outage import TRACKING_URI, explain_server, refuses_login, shorten

PATIENCE = 10.0  # seconds, whatever hangs: a name, a connection or an answer
CONNECT_SECONDS = 5
BACKENDS = ("postgresql", "mysql", "mariadb")


@dataclass(frozen=True)
class Answer:
    """What was found, and what to repair; `repair` is None if nothing is wrong."""

    found: str
    repair: str | None = None


@dataclass(frozen=True)
class Owner:
    """Whose a database is: the name, a table that only it has, and the setting that names the database."""

    name: str
    table: str
    setting: str


MLFLOW = Owner("MLflow", "experiments", TRACKING_URI)
OPTUNA = Owner("Optuna", "studies", "--studies or TAILOR_STUDIES")


def is_server(url: str) -> bool:
    """Whether the address is that of a server that can be asked: MLflow's, PostgreSQL or MySQL."""
    return url.startswith(("http://", "https://", *BACKENDS))


def require_database(store: Store) -> None:
    """Raise InputError if the database of MLflow's tables does not answer: MLflow itself would try for minutes."""
    if store.tracking_uri.startswith(BACKENDS) and (answer := ask(store.tracking_uri, MLFLOW)).repair is not None:
        raise InputError(f"{MLFLOW.setting}: the database {answer.found}; {answer.repair}.")


def ask(url: str, owner: Owner) -> Answer:
    """Ask the server at the address, which should be the owner's; writes nothing."""
    question = _ask_http if url.startswith(("http://", "https://")) else _ask_database
    answer: Future[Answer] = Future()

    def fetch() -> None:
        try:
            answer.set_result(question(url, owner))
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=fetch, daemon=True).start()  # one that hangs ends with the process
    try:
        return answer.result(PATIENCE)
    except TimeoutError:
        repair = f"correct the host and port in {owner.setting}, or let the firewall between pass them"
        return Answer(f"gave no answer within {PATIENCE:g} s", repair)


def _ask_http(url: str, owner: Owner) -> Answer:
    try:
        MlflowClient(url, url).search_experiments(max_results=1)
    except (MlflowException, requests.RequestException) as error:
        return Answer(*explain_server(error, owner.setting))
    return Answer("answers")


def _ask_database(url: str, owner: Owner) -> Answer:
    try:
        options = {"connect_timeout": CONNECT_SECONDS}
        engine = sqlalchemy.create_engine(url, connect_args=options, poolclass=sqlalchemy.NullPool)
        with engine.connect() as connection:
            tables = set(sqlalchemy.inspect(connection).get_table_names())
    except ValueError as error:  # a port that is no number
        return Answer(f"is no address of a database ({shorten(error)})", f"correct {owner.setting}")
    except (ImportError, sqlalchemy.exc.SQLAlchemyError) as error:
        return _explain_database(error, owner)
    if not tables:
        return Answer("answers; empty, so the first search makes its tables")
    if owner.table not in tables:
        held = ", ".join(sorted(tables)[:3])
        return Answer(f"answers, but holds other tables ({held}, …)", f"name a database of {owner.name}'s own in {owner.setting}")
    return Answer("answers")


def _explain_database(error: ImportError | sqlalchemy.exc.SQLAlchemyError, owner: Owner) -> Answer:
    said = shorten(error)
    if isinstance(error, ImportError):
        return Answer(f"cannot be asked ({said})", "install its driver; PostgreSQL's by `pip install 'tailor-hpo[postgres]'`")
    if refuses_login(error):
        return Answer(f"refuses the credentials ({said})", f"correct the user and password in {owner.setting}")
    return Answer(f"cannot be used ({said})", f"start the server, or correct the host, port and database in {owner.setting}")
