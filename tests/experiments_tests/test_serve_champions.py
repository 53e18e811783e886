"""`tailor serve` follows the champion: another version, one that does not load, a name that was deleted, several processes."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from conftest import Shell
from mlflow.exceptions import MlflowException
from servers import tailor_serve
from test_serve import DIGIT, ask

from tailor.experiments.registry.files import SHA256
from tailor.experiments.registry.register import Registration, register
from tailor.experiments.registry.versions import find_version
from tailor.experiments.serving.live import Live
from tailor.experiments.store import Store
from tailor.experiments.tracking.reader import open_client


def add_champion(recorded: Shell, name: str, **tags: str) -> str:
    """Register the model of `digits` once more, under another name, as its champion; returns the version."""
    client = open_client(Store.at(str(recorded.folder / "mlruns"), {}))
    first = find_version(client, "digits")
    with suppress(MlflowException):  # it is there
        client.create_registered_model(name)
    model = first.source.removeprefix("models:/")
    made = register(client, Registration(name, model, first.run_id, {**first.tags, **tags}, "A card."))
    client.set_registered_model_alias(name, "champion", made.version)
    return str(made.version)


def test_a_champion_that_does_not_load_leaves_the_old_one(recorded: Shell, capfd: pytest.CaptureFixture[str]) -> None:
    add_champion(recorded, "renewed")
    live = Live(open_client(Store.at(str(recorded.folder / "mlruns"), {})), "renewed")
    before = live.model
    live.refresh()
    assert live.model is before and not live.trouble
    add_champion(recorded, "renewed", **{SHA256: "0" * 64})
    for _ in range(2):
        live.refresh()
        assert live.model is before and "SHA-256" in live.trouble
    add_champion(recorded, "renewed")
    live.refresh()
    assert live.model.version == "3" and not live.trouble
    said = capfd.readouterr().err
    assert said.count("version 1 still answers") == 1 and said.count("version 3 answers now") == 1


def test_a_champion_of_a_deleted_and_reused_name_is_another_model(recorded: Shell, capfd: pytest.CaptureFixture[str]) -> None:
    """MLflow counts the versions of such a name from 1 again."""
    client = open_client(Store.at(str(recorded.folder / "mlruns"), {}))
    add_champion(recorded, "reused")
    live = Live(client, "reused")
    before = live.model

    def replace(**tags: str) -> None:
        client.delete_registered_model("reused")
        assert add_champion(recorded, "reused", **tags) == "1"

    replace(**{SHA256: "0" * 64})
    live.refresh()
    assert live.model is before and "SHA-256" in live.trouble
    replace()  # what was refused under this number is not refused now
    live.refresh()
    assert live.model is not before and not live.trouble
    assert capfd.readouterr().err.count("version 1 answers now") == 1
    before = live.model
    live.refresh()
    assert live.model is before


@pytest.mark.slow
def test_two_processes_follow_the_champion_and_count_together(recorded: Shell) -> None:
    add_champion(recorded, "followed")
    with tailor_serve(recorded.folder, "followed", "--workers", "2") as address:
        add_champion(recorded, "followed")
        deadline = time.monotonic() + 100
        while json.loads(ask(f"{address}/healthz")[1])["version"] == "1":
            assert time.monotonic() < deadline
        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(lambda _: ask(f"{address}/predict", DIGIT.read_bytes())[0], range(200)))
        assert answers == [200] * 200
        # Of both processes together; a request is counted after its answer is sent, so the last ones a moment later.
        while 'tailor_requests_total{path="/predict",status="200"} 200.0' not in ask(f"{address}/metrics")[1]:
            assert time.monotonic() < deadline
