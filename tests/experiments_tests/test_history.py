"""The history of a name's aliases: whole after a kill at any step, and what a rollback goes back to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tailor.experiments.errors import InputError, RunError
from tailor.experiments.registry.history import (
    HISTORY,
    LONGEST,
    Move,
    Why,
    find_previous,
    find_strays,
    move_alias,
    read_history,
    settle,
)
from tailor.experiments.registry.rollback import rollback
from tailor.experiments.registry.versions import CHALLENGER, CHAMPION, SETTLED

PROMOTED = Why("promoted", "it is better")


class Killed(BaseException):
    """The process ends here."""


class Mortal:
    """A client whose process is killed at its n-th write."""

    def __init__(self, client: MlflowClient, last: int) -> None:
        self._client, self._left = client, last

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not name.startswith(("set_", "delete_", "log_")):
            return found

        def call(*arguments: Any) -> Any:
            if not self._left:
                raise Killed
            self._left -= 1
            return found(*arguments)

        return call


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of an MLflow with four versions of one name and a run, made once."""
    folder = tmp_path_factory.mktemp("tables")
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    client.create_registered_model("digits")
    for _ in range(4):
        client.create_model_version("digits", folder.as_uri())
    client.create_experiment("evidence", (folder / "artifacts").as_uri())
    return folder / "mlflow.db"


@pytest.fixture
def client(tables: Path, tmp_path: Path) -> MlflowClient:
    (tmp_path / "mlflow.db").write_bytes(tables.read_bytes())
    return MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")


def state(client: MlflowClient, name: str = "digits") -> tuple[dict[str, str], dict[str, str]]:
    """Where the aliases stand, and each version's tag that speaks of one."""
    aliases = {alias: str(version) for alias, version in client.get_registered_model(name).aliases.items()}
    versions = client.search_model_versions(f"name = '{name}'")
    return aliases, {str(v.version): v.tags[SETTLED] for v in versions if SETTLED in v.tags}


def promote(client: MlflowClient, *versions: str) -> None:
    for version in versions:
        move_alias(client, "digits", CHAMPION, version, PROMOTED)


def test_every_move_is_recorded_and_the_tags_move_with_the_alias(client: MlflowClient) -> None:
    promote(client, "1")
    move_alias(client, "digits", CHALLENGER, "2", Why("challenger", "not shown\nto be " + "better " * 200))
    promote(client, "2")
    first, second, third = read_history(client, "digits")
    assert (first.number, first.alias, first.before, first.after, first.verdict) == (1, "champion", "", "1", "promoted")
    assert first.done
    assert first.when.endswith("+00:00") and "@" in first.who and first.reason == "it is better"
    assert second.reason.startswith("not shown to be better") and len(second.reason) == LONGEST
    assert (third.before, third.after) == ("1", "2")
    assert state(client) == ({"champion": "2"}, {"2": "champion"})  # it is no challenger any more
    assert find_strays(client, "digits") == []


def test_the_same_move_again_adds_no_record(client: MlflowClient) -> None:
    promote(client, "1", "1")
    assert len(read_history(client, "digits")) == 1


def test_a_version_that_is_not_there_leaves_no_record(client: MlflowClient) -> None:
    with pytest.raises(Exception, match="not found"):
        promote(client, "9")
    assert read_history(client, "digits") == []


def test_the_history_is_an_artifact_of_the_evidences_run(client: MlflowClient, tmp_path: Path) -> None:
    run = client.create_run(client.get_experiment_by_name("evidence").experiment_id).info.run_id
    promote(client, "1")
    move_alias(client, "digits", CHAMPION, "2", Why("promoted", "größer", run))
    logged = json.loads(Path(client.download_artifacts(run, HISTORY, str(tmp_path))).read_text(encoding="utf-8"))
    assert [Move(**move) for move in logged["moves"]] == read_history(client, "digits")
    move_alias(client, "digits", CHAMPION, "3", Why("promoted", "its run is gone", "0" * 32))
    assert state(client)[0] == {"champion": "3"}


def test_a_kill_at_any_write_leaves_one_outcome_and_a_whole_history(client: MlflowClient, tmp_path: Path) -> None:
    seen = []
    for step in range(99):
        name = f"killed-{step}"
        client.create_registered_model(name)
        for _ in range(2):
            client.create_model_version(name, tmp_path.as_uri())
        move_alias(client, name, CHAMPION, "1", PROMOTED)
        move_alias(client, name, CHALLENGER, "2", Why("challenger", "no better"))
        run = client.create_run(client.get_experiment_by_name("evidence").experiment_id).info.run_id
        why = Why("promoted", "it is better", run)
        try:
            move_alias(Mortal(client, step), name, CHAMPION, "2", why)  # type: ignore[arg-type]
        except Killed:
            seen.append(len(read_history(client, name)))
            settle(client, name)
            moved = len(read_history(client, name)) == 3
            assert moved == (step > 0)
            assert state(client, name)[0] == ({"champion": "2"} if moved else {"champion": "1", "challenger": "2"})
            move_alias(client, name, CHAMPION, "2", why)  # the same command again
            ended = False
        else:
            ended = True
        assert state(client, name) == ({"champion": "2"}, {"2": "champion"})
        moves = read_history(client, name)
        assert [(m.number, m.after, m.done) for m in moves] == [(1, "1", True), (2, "2", True), (3, "2", True)]
        assert [file.path for file in client.list_artifacts(run)] == [HISTORY]
        if ended:
            break
    assert seen == [2, *[3] * (len(seen) - 1)] and len(seen) == 7


@pytest.mark.parametrize(
    ("change", "note", "champion"),
    [
        (lambda c: c.set_registered_model_alias("digits", CHAMPION, "3"), "moved by hand", "3"),
        (lambda c: c.delete_model_version("digits", "2"), "version 2 was deleted", "1"),
    ],
)
def test_a_person_wins_over_a_killed_process(
    client: MlflowClient, change: Callable[[MlflowClient], None], note: str, champion: str
) -> None:
    promote(client, "1")
    with pytest.raises(Killed):
        promote(Mortal(client, 1), "2")  # type: ignore[arg-type]
    change(client)
    settle(client, "digits")
    assert state(client)[0] == {"champion": champion}
    last = read_history(client, "digits")[-1]
    assert note in last.reason and last.verdict == "unfinished" and last.done
    promote(client, "4")
    assert rollback(client, "digits", lambda: None).after == champion  # and not the one that never was champion


def test_one_that_lost_its_turn_moves_nothing(client: MlflowClient) -> None:
    def lost() -> None:
        raise RunError("another process has it")

    promote(client, "1")
    with pytest.raises(RunError):
        move_alias(client, "digits", CHAMPION, "2", PROMOTED, lost)
    assert state(client)[0] == {"champion": "1"} and len(read_history(client, "digits")) == 1


def test_an_alias_moved_by_hand_is_named(client: MlflowClient) -> None:
    promote(client, "1")
    client.set_registered_model_alias("digits", CHAMPION, "3")
    assert find_strays(client, "digits") == ["champion is at version 3, and the last record says 1: it was moved by hand."]
    client.delete_registered_model_alias("digits", CHAMPION)
    assert "champion is at no version" in find_strays(client, "digits")[0]
    promote(client, "2")
    assert find_strays(client, "digits") == [
        "Before move 2 champion stood at no version, and the record said 1: it was moved by hand."
    ]


def test_a_champion_from_before_the_history_was_not_moved_by_hand(client: MlflowClient) -> None:
    client.set_registered_model_alias("digits", CHAMPION, "3")
    promote(client, "2")
    assert find_strays(client, "digits") == []
    client.set_registered_model_alias("digits", CHAMPION, "3")
    promote(client, "1")
    assert find_strays(client, "digits") == ["Before move 2 champion stood at 3, and the record said 2: it was moved by hand."]


def test_a_record_that_was_changed_is_named(client: MlflowClient) -> None:
    client.set_registered_model_tag("digits", "tailor.move.00001", "{}")
    with pytest.raises(InputError, match=r"tag tailor\.move\.00001"):
        read_history(client, "digits")


def test_each_rollback_goes_one_further_back(client: MlflowClient) -> None:
    promote(client, "1", "2", "3")
    back = [rollback(client, "digits", lambda: None) for _ in range(2)]
    assert [(move.before, move.after, move.verdict) for move in back] == [("3", "2", "rollback"), ("2", "1", "rollback")]
    with pytest.raises(InputError, match="nothing to go back to: its history has no champion before version 1"):
        rollback(client, "digits", lambda: None)
    promote(client, "4")
    assert rollback(client, "digits", lambda: None).after == "1"
    assert state(client) == ({"champion": "1"}, {"1": "champion"})


def test_a_rollback_after_a_person_took_the_alias_away_names_the_last_champion(client: MlflowClient) -> None:
    promote(client, "1", "2")
    rollback(client, "digits", lambda: None)
    client.delete_registered_model_alias("digits", CHAMPION)
    with pytest.raises(InputError, match=r"no version of 'digits' is champion now, .* version 1\. Give the alias"):
        rollback(client, "digits", lambda: None)


def test_a_rollback_names_the_first_promotions_evidence(client: MlflowClient) -> None:
    run = client.create_run("0").info.run_id
    move_alias(client, "digits", CHAMPION, "1", Why("promoted", "first", run))
    promote(client, "2")
    assert rollback(client, "digits", lambda: None).run_id == run


def test_a_deleted_version_is_not_gone_back_to(client: MlflowClient) -> None:
    promote(client, "1", "2")
    client.delete_model_version("digits", "1")
    with pytest.raises(InputError, match="version 1, the champion before version 2, was deleted"):
        rollback(client, "digits", lambda: None)
    assert len(read_history(client, "digits")) == 2


def move(before: str, after: str, verdict: str = "promoted") -> Move:
    return Move(1, "", "", CHAMPION, before, after, verdict, "", "", True)


@pytest.mark.parametrize(
    ("moves", "champion", "previous"),
    [
        ([], "1", ""),
        ([move("", "1")], "1", ""),
        ([move("", "1"), move("1", "2")], "2", "1"),
        ([move("1", "2")], "2", "1"),  # the first one is older than the history
        ([move("", "1"), move("1", "2")], "", "1"),  # the champion was deleted
        ([move("", "1"), move("1", "2")], "7", "2"),  # by hand
        ([move("", "1"), move("1", "2")], "1", ""),  # back by hand
        ([move("", "1"), move("1", "2"), move("2", "1")], "1", "2"),  # promoted again
        ([move("", "1"), move("1", "2"), move("2", "1"), move("1", "2", "rollback")], "2", "1"),
        ([move("", "1"), move("7", "2")], "2", "7"),
        ([move("", "1"), move("1", "2"), move("2", "1", "rollback"), move("1", "2")], "2", "1"),
    ],
)
def test_the_champion_before(moves: list[Move], champion: str, previous: str) -> None:
    assert find_previous(moves, champion) == previous
