"""A lease on a study in MLflow, by a clock: one coordinator at a time; the dead lose it, the living are named."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from clocks import Clock
from mlflow import MlflowClient

from tailor.experiments.coordinator.fsck import repair
from tailor.experiments.errors import InputError, RunError
from tailor.experiments.store import Store
from tailor.experiments.system.file_lock import lock_study
from tailor.experiments.tracking.lease import BEAT, SETTLE, STALE, TAG, Lease, Timing
from tailor.experiments.tracking.reader import open_client
from tailor.experiments.tracking.tracker import open_study
from tailor.search.study.load import build


@dataclass
class Shared:
    """One MLflow, and leases on its one study from several stores; it lies in the store `home`."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.uri = f"sqlite:///{self.folder / 'home' / 'mlflow.db'}"
        self.client = MlflowClient(self.uri)
        self.experiment = self.client.create_experiment("small")

    def lease(self, store: str) -> Lease:
        place = Store.at(str(self.folder / store), {"MLFLOW_TRACKING_URI": self.uri})
        return Lease(self.client, place, Timing(lambda: self.clock.time, self.clock.sleep))

    def acquire(self, lease: Lease) -> Lease:
        lease.acquire(self.experiment, "small", self.said.append)
        return lease

    @property
    def tag(self) -> str:
        return self.client.get_experiment(self.experiment).tags.get(TAG, "")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of an MLflow, made once."""
    folder = tmp_path_factory.mktemp("tables")
    MlflowClient(f"sqlite:///{folder / 'shared.db'}").search_experiments()
    return folder / "shared.db"


@pytest.fixture
def shared(tmp_path: Path, database: Path) -> Shared:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "mlflow.db").write_bytes(database.read_bytes())
    return Shared(tmp_path)


def test_a_free_study_is_taken_renewed_and_given_back(shared: Shared) -> None:
    with shared.acquire(shared.lease("a")) as held:
        first = shared.tag
        held.renew()
        assert shared.tag == first != ""  # not before it is time
        shared.clock.time += BEAT
        held.renew()
        assert shared.tag != first
    assert shared.tag == "" and shared.said == []
    shared.acquire(shared.lease("b"))
    assert shared.clock.time == BEAT + 2 * SETTLE  # nobody waited for what was given back


@pytest.mark.parametrize(("first", "second"), [("a", "b"), ("home", "b"), ("a", "home")])
def test_a_second_search_is_refused_and_told_who_runs_it(shared: Shared, first: str, second: str) -> None:
    """Also if one has MLflow's data in its own store, and the other reaches it by another address."""
    held = shared.acquire(shared.lease(first))
    shared.clock.events = [(15.0, held.renew)]
    with pytest.raises(InputError, match=rf"study 'small' is being run by process \d+ on .* \(store .*/{first}\); wait for it"):
        shared.acquire(shared.lease(second))
    assert "waiting 45 s for a sign of life" in shared.said[0]
    shared.clock.time += BEAT
    held.renew()  # undisturbed


def test_the_lease_of_a_dead_search_is_taken_over_after_its_silence(shared: Shared) -> None:
    dead = shared.acquire(shared.lease("a"))
    shared.acquire(shared.lease("b"))
    assert STALE <= shared.clock.time <= STALE + 5
    shared.clock.time += BEAT
    with pytest.raises(RunError, match=r"process \d+ on .* \(store .*/b\) has taken this study over"):
        dead.renew()  # it was only asleep
    with dead:
        pass
    assert '/b"' in shared.tag  # what is not its own it does not give back


def test_one_that_is_given_back_meanwhile_is_waited_for_no_longer(shared: Shared) -> None:
    held = shared.acquire(shared.lease("a"))
    shared.clock.events = [(5.0, lambda: held.__exit__(None, None, None))]
    shared.acquire(shared.lease("b"))
    assert shared.clock.time < 10


def test_the_same_store_resumes_at_once_after_a_kill(shared: Shared) -> None:
    shared.acquire(shared.lease("a"))
    shared.acquire(shared.lease("a"))
    assert shared.clock.time == 2 * SETTLE and not shared.said


def test_of_two_that_take_it_at_once_one_has_it(shared: Shared) -> None:
    first, second = shared.lease("a"), shared.lease("b")
    refused: list[str] = []

    def take_too() -> None:  # it found no lease either, and writes while the first one waits
        second._write(shared.experiment)

    shared.clock.events = [(SETTLE / 2, take_too)]
    try:
        shared.acquire(first)
    except InputError as error:
        refused.append(str(error))
    assert len(refused) == 1 and "/b)" in refused[0]


def test_a_local_store_waits_for_no_time_and_for_none_of_its_own(shared: Shared) -> None:
    """Its file lock shows that an earlier search of it died, also if the store was moved since."""
    for name in ("home", "moved"):
        dead = shared.acquire(shared.lease("home"))
        dead._me = replace(dead._me, store=str(shared.folder / name), host="elsewhere")
        dead._write(shared.experiment)
    with shared.acquire(shared.lease("home")):
        assert f'"pid": {os.getpid()}' in shared.tag
    assert shared.clock.time == 0.0 and not shared.said and shared.tag == ""


def test_a_local_store_sees_one_that_began_at_the_same_moment_when_it_renews(shared: Shared) -> None:
    here, there = shared.acquire(shared.lease("home")), shared.lease("b")
    there._write(shared.experiment)  # it had found no lease
    here.renew()
    shared.clock.time += SETTLE
    with pytest.raises(RunError, match=r"/b\) has taken this study over: .* both began at the same moment"):
        here.renew()


def test_a_server_that_is_away_ends_no_search(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    held = shared.acquire(shared.lease("a"))
    shared.clock.time += BEAT
    held._client = MlflowClient("http://127.0.0.1:1")
    with held:
        held.renew()


def test_a_deleted_study_is_not_renewed_and_says_how_to_restore_it(shared: Shared) -> None:
    wrong = pytest.raises(RunError, match=r"^study 'small' was deleted .* mlflow experiments restore")
    with wrong, shared.acquire(shared.lease("a")) as held:
        shared.client.delete_experiment(shared.experiment)
        shared.clock.time += BEAT
        held.renew()


def test_a_study_that_runs_from_another_store_is_not_repaired(shared: Shared) -> None:
    """It ran from this store once, and nobody holds it here; its runs are another coordinator's."""
    place = Store.at(str(shared.folder / "a"), {"MLFLOW_TRACKING_URI": shared.uri})
    tables = {"study": {"name": "small", "dataset": "digits", "model": "mlp", "objective": "val_loss", "direction": "minimize"}}
    study = open_study(open_client(place), place, build(tables), {"tailor.study": "small"})
    place.locks.mkdir(parents=True)
    with lock_study(place.locks, "small"), shared.acquire(shared.lease("a")):
        pass
    with shared.acquire(shared.lease("b")), pytest.raises(InputError, match=r"may be running elsewhere, by process .*/b\)"):
        repair(study, place)
    assert study.refresh().running
    assert repair(study, place)[-1] == "repaired: the study's run: its search was killed; closed"
