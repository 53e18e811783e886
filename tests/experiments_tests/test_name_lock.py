"""Turns at a registered name: in the order of their numbers, past the dead, and one at a time through a real server."""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from clocks import Clock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from servers import mlflow_server

from tailor.experiments.errors import RunError
from tailor.experiments.registry.history import Why, move_alias, read_history
from tailor.experiments.registry.name_lock import TAG, Turn, hold_name
from tailor.experiments.registry.versions import CHAMPION
from tailor.experiments.store import Store
from tailor.experiments.tracking.lease import BEAT, STALE, Owner, Timing

PRELOAD = [  # of the process that others are forked from
    "tailor.experiments.registry.history",
    "tailor.experiments.registry.name_lock",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
]


@dataclass
class Shared:
    """One MLflow, and turns at one name from several stores."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.uri = f"sqlite:///{self.folder / 'shared.db'}"
        self.client = MlflowClient(self.uri)

    def store(self, name: str) -> Store:
        return Store.at(str(self.folder / name), {"MLFLOW_TRACKING_URI": self.uri})

    def turn(self, store: str) -> Turn:
        timing = Timing(lambda: self.clock.time, self.clock.sleep)
        return Turn(self.client, "digits", Owner.of_this_process(self.store(store)), timing)

    def take(self, store: str) -> Turn:
        turn = self.turn(store)
        turn.take(self.said.append)
        return turn

    @property
    def tickets(self) -> list[str]:
        """The stores whose processes have or wait for a turn, in order."""
        tags = self.client.get_registered_model("digits").tags
        plain = sorted((json.loads(text) for key, text in tags.items() if key.startswith(TAG)), key=lambda t: t["number"])
        return [ticket["owner"]["store"].rpartition("/")[2] for ticket in plain]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of an MLflow, made once."""
    folder = tmp_path_factory.mktemp("tables")
    MlflowClient(f"sqlite:///{folder / 'shared.db'}").search_experiments()
    return folder / "shared.db"


@pytest.fixture
def shared(tmp_path: Path, database: Path) -> Shared:
    (tmp_path / "shared.db").write_bytes(database.read_bytes())
    return Shared(tmp_path)


def test_the_next_one_waits_for_its_turn_and_is_told_for_whom(shared: Shared) -> None:
    first = shared.take("a")
    first.check()
    shared.clock.events = [(5.0, first.leave)]
    second = shared.take("b")
    assert 5.0 <= shared.clock.time < 6.0 and shared.tickets == ["b"]
    assert len(shared.said) == 1 and "digits: waiting for process" in shared.said[0] and "/a)" in shared.said[0]
    second.leave()


def test_a_name_that_got_nothing_is_not_there_afterwards(shared: Shared) -> None:
    with hold_name(shared.client, shared.store("a"), "digits", print):
        shared.client.get_registered_model("digits")
    with pytest.raises(MlflowException, match="not found"):
        shared.client.get_registered_model("digits")
    assert not (shared.folder / "a").exists() or not list((shared.folder / "a").glob("*.db"))
    with hold_name(shared.client, shared.store("a"), "digits", print):
        shared.client.set_registered_model_tag("digits", "tailor.test_openings", "1")
    assert shared.client.get_registered_model("digits").tags == {"tailor.test_openings": "1"}
    shared.client.create_registered_model("mine")  # by a person, for later
    with hold_name(shared.client, shared.store("a"), "mine", print):
        pass
    assert shared.client.get_registered_model("mine").tags == {}


def test_one_that_waits_draws_again_when_the_new_name_goes_away(shared: Shared) -> None:
    first = shared.take("a")

    def leave() -> None:  # it read the tags before the other one drew its number
        shared.client.delete_registered_model("digits")

    shared.clock.events = [(1.0, leave)]
    shared.take("b").check()
    assert shared.tickets == ["b"]
    with pytest.raises(RunError):
        first.check()
    first.leave()
    assert shared.tickets == ["b"]


def test_the_dead_lose_their_turn_and_the_sleepers_move_nothing(shared: Shared) -> None:
    dead = shared.take("a")
    shared.take("b").check()
    assert STALE <= shared.clock.time <= STALE + 5 and shared.tickets == ["b"]
    with pytest.raises(RunError, match="gave no sign of life for 45 s"):
        dead.check()
    dead.renew()
    dead.leave()
    assert shared.tickets == ["b"]


def test_one_that_gives_signs_of_life_keeps_its_turn(shared: Shared) -> None:
    held = shared.take("a")
    shared.clock.events = [(BEAT * n + 1, held.renew) for n in range(1, 9)] + [(BEAT * 9 + 1, held.leave)]
    shared.take("b")
    assert shared.clock.time > BEAT * 9


def test_the_same_store_goes_on_at_once_after_a_kill(shared: Shared) -> None:
    shared.take("a")
    shared.take("a")
    assert shared.clock.time == 0.0 and shared.tickets == ["a"]


def test_of_two_that_draw_at_once_one_goes_first(shared: Shared) -> None:
    first, second = shared.turn("a"), shared.turn("b")
    first._draw()
    second._write(replace(second._mine, number=0))  # it draws, and nobody knows which number yet
    shared.clock.events = [(1.0, lambda: second._write(replace(second._mine, number=1)))]
    order = sorted([first, second], key=lambda turn: turn._key)
    if order[0] is second:
        shared.clock.events.append((2.0, second.leave))
    first.take(shared.said.append)
    assert shared.clock.time >= (2.0 if order[0] is second else 1.0)


def test_one_that_slept_while_it_drew_draws_again(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = shared.turn("a")
    write, slept = slow._write, iter([0.0, STALE])

    def late(ticket: object) -> None:
        shared.clock.time += next(slept, 0.0)
        write(ticket)  # type: ignore[arg-type]

    monkeypatch.setattr(slow, "_write", late)
    assert not slow._draw()
    assert slow._draw()


def test_a_store_of_its_own_needs_no_tag(tmp_path: Path, database: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mlflow.db").write_bytes(database.read_bytes())
    store = Store.at(str(tmp_path / "a"), {})
    client = MlflowClient(store.tracking_uri)
    with hold_name(client, store, "digits", print) as still_mine:
        still_mine()
        assert client.search_registered_models() == []


def move(uri: str, folder: str, version: str, failed: multiprocessing.Queue[str]) -> None:
    """Make the version champion, in a process of its own."""
    try:
        client = MlflowClient(uri, uri)
        with hold_name(client, Store.at(folder, {"MLFLOW_TRACKING_URI": uri}), "digits", lambda line: None) as still_mine:
            move_alias(client, "digits", CHAMPION, version, Why("promoted", f"by {folder}"), still_mine)
    except BaseException as error:
        failed.put(repr(error))
        raise


def move_at_once(uri: str, folders: list[Path]) -> None:
    """Moves of one alias by as many processes at once as there are folders: all get through, one after the other."""
    client = MlflowClient(uri, uri)
    client.create_registered_model("digits")
    run = client.create_run("0").info
    count = len(folders)
    for _ in range(count):
        client.create_model_version("digits", f"{run.artifact_uri}/model", run.run_id)
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(PRELOAD)
    failed = forks.Queue()
    processes = [forks.Process(target=move, args=(uri, str(folder), str(n + 1), failed)) for n, folder in enumerate(folders)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(200)
    assert [process.exitcode for process in processes] == [0] * count, failed.get() if not failed.empty() else ""
    moves = read_history(client, "digits")
    assert [one.number for one in moves] == list(range(1, count + 1)) and all(one.done for one in moves)
    assert sorted(int(one.after) for one in moves) == list(range(1, count + 1))
    assert [one.before for one in moves] == ["", *(one.after for one in moves[:-1])]  # a chain: nobody moved it in between
    model = client.get_registered_model("digits")
    assert {alias: str(version) for alias, version in model.aliases.items()} == {CHAMPION: moves[-1].after}
    tagged = {str(v.version) for v in client.search_model_versions("name = 'digits'") if "tailor.alias" in v.tags}
    assert tagged == {moves[-1].after} and not [key for key in model.tags if key.startswith(TAG)]


@pytest.mark.slow
def test_many_at_once_on_sqlite_from_four_stores(shared: Shared) -> None:
    move_at_once(shared.uri, [shared.folder / f"store-{n % 4}" for n in range(8)])


@pytest.mark.slow
def test_many_at_once_through_a_server_from_two_stores(tmp_path: Path) -> None:
    with mlflow_server(tmp_path) as server:
        move_at_once(server.url, [tmp_path / f"store-{n % 2}" for n in range(8)])
