"""`tailor doctor` asks MLflow's server and the databases whether they answer, and names what is wrong in one line."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from conftest import Shell
from postgres import database, role, table
from servers import mlflow_server

from tailor.experiments.tracking import question

SECRET = "s3cr3t-pw"


@contextmanager
def answering(status: int, body: str) -> Iterator[str]:
    """The address of a server that gives every request this answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://me:{SECRET}@127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def diagnose(tailor: Shell, what: str, **environment: str) -> tuple[int, str, str | None]:
    """The exit code, and doctor's finding of that name with its repair."""
    done = tailor("doctor", "--json", **environment)
    assert SECRET not in done.stdout + done.stderr and "Traceback" not in done.stderr, done.stderr
    finding = json.loads(done.stdout)[what]
    return done.returncode, finding["found"], finding["repair"]


NO_ACCESS = '{"error_code": "PERMISSION_DENIED", "message": "Permission denied"}'


@pytest.mark.parametrize(
    ("status", "body", "found", "repair"),
    [
        (401, "who are you?", "refuses the credentials (", "set MLFLOW_TRACKING_USERNAME and"),
        (
            403,
            NO_ACCESS,
            "does not permit this (PERMISSION_DENIED: Permission denied)",
            "the right to EDIT it, or take another",
        ),
        (200, "<html>a wiki</html>", "answers, but not as MLflow does (", "correct the host and port in MLFLOW_TRACKING_URI"),
        (404, '{"detail": "Not Found"}', "answers, but not as MLflow does (", "correct the host and port in MLFLOW_TRACKING_URI"),
        (502, "<html>Bad Gateway</html>", "answers with an error (", "look at the server's own log"),
    ],
)
def test_an_answer_that_is_not_mlflows_is_named(tailor: Shell, status: int, body: str, found: str, repair: str) -> None:
    with answering(status, body) as url:
        code, said, todo = diagnose(tailor, "tracking", MLFLOW_TRACKING_URI=url, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    assert code == 1 and found in said and todo is not None and repair in todo, (said, todo)
    assert said.startswith("http://me:***@127.0.0.1:")


def test_a_search_that_is_refused_at_its_start_names_the_credentials(tailor: Shell, write_study: Callable[..., Path]) -> None:
    write_study()
    with answering(401, "who are you?") as url:
        done = tailor("search", "small.toml", MLFLOW_TRACKING_URI=url)
    assert done.returncode == 1 and SECRET not in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert "MLflow refuses the credentials (" in done.stderr and "set MLFLOW_TRACKING_USERNAME and" in done.stderr
    assert sorted(path.name for path in tailor.folder.iterdir()) == ["small.toml"]


def test_a_wrong_port_is_named(tailor: Shell) -> None:
    environment = {"MLFLOW_TRACKING_URI": f"http://me:{SECRET}@127.0.0.1:1", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    code, said, todo = diagnose(tailor, "tracking", **environment)
    assert code == 1 and "cannot be reached (" in said
    assert todo == "start the server, or correct the host and port in MLFLOW_TRACKING_URI"


def test_a_server_that_hangs_is_not_waited_for(tailor: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(question, "PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        code, said, _ = diagnose(tailor, "tracking", MLFLOW_TRACKING_URI=f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert code == 1 and "gave no answer within 0.5 s" in said


def test_databases_that_answer(tailor: Shell) -> None:
    with database() as studies, database() as tracking:
        on_server = {"TAILOR_STUDIES": studies.replace("postgres@", f"postgres:{SECRET}@"), "MLFLOW_TRACKING_URI": tracking}
        for what in ("tracking", "studies"):
            code, said, todo = diagnose(tailor, what, **on_server)
            assert code == 0 and todo is None and said.endswith("answers; empty, so the first search makes its tables"), said
        with table(tracking, "experiments"):
            assert diagnose(tailor, "tracking", **on_server)[1].endswith("/" + tracking.rpartition("/")[2] + " answers")
            code, said, todo = diagnose(tailor, "studies", **{**on_server, "TAILOR_STUDIES": f"{tracking}?application_name=x"})
    assert code == 1 and "holds other tables (experiments" in said
    assert todo == "name a database of Optuna's own in --studies or TAILOR_STUDIES"


def test_a_database_that_refuses_the_login_or_is_not_there(tailor: Shell) -> None:
    with role() as owned:
        owned.lock()
        url = owned.studies.replace("@", f":{SECRET}@")
        code, said, todo = diagnose(tailor, "studies", TAILOR_STUDIES=url)
        assert code == 1 and "refuses the credentials (" in said and "not permitted to log in" in said
        assert todo == "correct the user and password in --studies or TAILOR_STUDIES"
        code, said, todo = diagnose(tailor, "tracking", MLFLOW_TRACKING_URI=url)
        assert code == 1 and todo == "correct the user and password in MLFLOW_TRACKING_URI"
    code, said, todo = diagnose(tailor, "studies", TAILOR_STUDIES=f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/x")
    assert code == 1 and "cannot be used (" in said and todo is not None and "host, port and database" in todo
    code, said, todo = diagnose(tailor, "studies", TAILOR_STUDIES=f"postgresql+nosuch://me:{SECRET}@127.0.0.1:1/x")
    assert code == 1 and todo is not None
    code, said, todo = diagnose(tailor, "studies", TAILOR_STUDIES=f"postgresql+psycopg://me:{SECRET}@127.0.0.1:abc/x")
    assert code == 1 and "is no address of a database (" in said and todo == "correct --studies or TAILOR_STUDIES"


@pytest.mark.slow
def test_a_real_server_answers(tailor: Shell, tmp_path: Path) -> None:
    with mlflow_server(tmp_path) as server:
        assert diagnose(tailor, "tracking", MLFLOW_TRACKING_URI=server.url) == (0, f"{server.url} answers", None)
