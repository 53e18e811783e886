"""The history of a registered name: every move of its champion and challenger, in the registry itself.

A move is recorded before it is made, as a tag of the registered model, and marked as done after it. Each step may be repeated, so
the next process finishes what a killed one left. Callers hold the name (`name_lock.hold_name`).
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from mlflow import MlflowClient
from mlflow.entities.model_registry import RegisteredModel
from mlflow.exceptions import MlflowException

from ..errors import InputError
from ..tracking.outage import is_away
from ..tracking.tags import read_user
from .versions import CHALLENGER, CHAMPION, MISSING, SETTLED, find_model, list_versions

TAG = "tailor.move."  # and the move's number, in five digits
PROMOTED, ROLLBACK = "promoted", "rollback"
UNFINISHED = "unfinished"  # the verdict of a move that was cut off and cannot be finished: it does not count
HISTORY = "history.json"
LONGEST = 500  # characters of a reason: a tag of MLflow's holds 5,000 on PostgreSQL


@dataclass(frozen=True)
class Why:
    """Why an alias moves: the verdict (promoted, challenger, rollback), its reason in one line, the run with the evidence."""

    verdict: str
    reason: str
    run_id: str = ""


@dataclass(frozen=True)
class Move:
    """A move of an alias (champion, challenger) from one version to another; `number` counts from 1 for each registered name.

    `when` is UTC, ISO 8601, to the second; `who` is user@host. `before` is empty if no version had the alias, `run_id` if no run
    holds evidence. `done` is false while the move is made, and if its process was killed.
    """

    number: int
    when: str
    who: str
    alias: str
    before: str
    after: str
    verdict: str
    reason: str
    run_id: str
    done: bool


def _unlocked() -> None:
    """Nobody to ask whether the name is still held."""


def move_alias(
    client: MlflowClient, name: str, alias: str, version: str, why: Why, still_mine: Callable[[], None] = _unlocked
) -> Move:
    """Give the alias to a version, and record that. Returns the last record, and adds none, if it says the same already.

    Asks `still_mine`, which raises RunError if another process has taken the name over, just before the alias moves.
    """
    settle(client, name, still_mine)
    client.get_model_version(name, version)  # raises MLflow's error before anything is recorded
    model = client.get_registered_model(name)
    moves, before = list_moves(model), str(model.aliases.get(alias, ""))
    last = next((move for move in reversed(moves) if move.alias == alias), None)
    if last is not None and last.after == before == str(version):
        return last
    move = Move(
        number=moves[-1].number + 1 if moves else 1,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        who=f"{read_user()}@{socket.gethostname()}",
        alias=alias,
        before=before,
        after=str(version),
        verdict=why.verdict,
        reason=_shorten(why.reason),
        run_id=why.run_id,
        done=False,
    )
    still_mine()
    _write(client, name, move)
    return _finish(client, name, move, still_mine)


def settle(client: MlflowClient, name: str, still_mine: Callable[[], None] = _unlocked) -> None:
    """Finish the move that a killed process left half-way. A person who moved the alias since, or deleted the version, wins."""
    model = _find(client, name)
    if model is None:
        return
    for move in list_moves(model):
        if move.done:
            continue
        if move.after not in {str(version.version) for version in list_versions(client, name)}:
            _close(client, name, move, f"version {move.after} was deleted before this move was finished")
        elif str(model.aliases.get(move.alias, "")) not in (move.before, move.after):
            _close(client, name, move, "the alias was moved by hand before this move was finished")
        else:
            _finish(client, name, move, still_mine)


def read_history(client: MlflowClient, name: str) -> list[Move]:
    """Every move, the first one first. Raises InputError if there is no such name."""
    return list_moves(find_model(client, name))


def list_moves(model: RegisteredModel) -> list[Move]:
    """The moves in a registered model's tags, the first one first. Raises InputError for one that was changed by hand."""
    moves = []
    for key, text in model.tags.items():
        if key.startswith(TAG):
            try:
                moves.append(Move(**json.loads(text)))
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"{model.name}: expected the record of a move in its tag {key}, got {text[:60]!r}; delete the tag in MLflow."
                ) from error
    return sorted(moves, key=lambda move: move.number)


def has_past(client: MlflowClient, name: str) -> bool:
    """Whether the name has a version, or a move that counts, of one that was deleted since."""
    model = _find(client, name)
    moves = [] if model is None else list_moves(model)
    return any(move.verdict != UNFINISHED for move in moves) or bool(list_versions(client, name))


def _find(client: MlflowClient, name: str) -> RegisteredModel | None:
    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != MISSING:
            raise
        return None


def find_strays(client: MlflowClient, name: str) -> list[str]:
    """A line for each move that a person made by hand, as far as the records show it: before another move, or since the last."""
    model = find_model(client, name)
    moves = list_moves(model)
    lines = [*_find_gaps(moves)]
    for alias, version in _replay(moves).items():
        at = str(model.aliases.get(alias, ""))
        if at != version:
            place = f"is at version {at}" if at else "is at no version"
            lines.append(f"{alias} {place}, and the last record says {version or 'none'}: it was moved by hand.")
    return lines


def _find_gaps(moves: list[Move]) -> Iterator[str]:
    """A line for each move that began elsewhere than where the moves before it ended."""
    for place, move in enumerate(moves):
        expected = _replay(moves[:place]).get(move.alias)
        unfinished = any(one.verdict == UNFINISHED for one in moves[: place + 1])  # what was cut off may have moved it
        if expected is not None and move.before != expected and not unfinished:
            where, said = f"at {move.before}" if move.before else "at no version", expected or "none"
            yield f"Before move {move.number} {move.alias} stood {where}, and the record said {said}: it was moved by hand."


def find_previous(moves: list[Move], champion: str) -> str:
    """The version that was champion before this one, by the moves; empty for none.

    Without a champion, it is the one before the last. A version that a rollback took back does not count.
    """
    stack: list[str] = []
    for move in moves:
        if move.alias != CHAMPION or move.verdict == UNFINISHED:
            continue
        if move.before:
            _return_to(stack, move.before)  # it may have been moved by hand
        if move.verdict == ROLLBACK:
            _return_to(stack, move.after)
        elif stack[-1:] != [move.after]:
            stack.append(move.after)
    if champion:
        _return_to(stack, champion)
    return stack[-2] if len(stack) > 1 else ""


def _return_to(stack: list[str], version: str) -> None:
    """Drop what came after the version's last turn; a version that is not there comes on top."""
    if version in stack:
        while stack[-1] != version:
            stack.pop()
    else:
        stack.append(version)


def _replay(moves: list[Move]) -> dict[str, str]:
    """Where each alias stands after the moves; a challenger that becomes champion is no challenger any more."""
    places: dict[str, str] = {}
    for move in moves:
        if move.done and move.verdict != UNFINISHED:
            places[move.alias] = move.after
            if move.alias == CHAMPION and places.get(CHALLENGER) == move.after:
                places[CHALLENGER] = ""
    return places


def _finish(client: MlflowClient, name: str, move: Move, still_mine: Callable[[], None]) -> Move:
    """All that follows the record, in an order in which each step may be repeated."""
    still_mine()
    client.set_registered_model_alias(name, move.alias, move.after)
    model = client.get_registered_model(name)
    if move.alias == CHAMPION and str(model.aliases.get(CHALLENGER, "")) == move.after:
        client.delete_registered_model_alias(name, CHALLENGER)
    for version in list_versions(client, name):  # the tag moves with the alias
        if version.tags.get(SETTLED) == move.alias and str(version.version) != move.after:
            client.delete_model_version_tag(name, version.version, SETTLED)
    client.set_model_version_tag(name, move.after, SETTLED, move.alias)
    done = replace(move, done=True)
    _log(client, name, [*(m for m in list_moves(model) if m.number != move.number), done])
    _write(client, name, done)
    return done


def _close(client: MlflowClient, name: str, move: Move, note: str) -> None:
    _write(client, name, replace(move, done=True, verdict=UNFINISHED, reason=f"{move.reason} ({note})"))


def _log(client: MlflowClient, name: str, moves: list[Move]) -> None:
    """Keep a copy of the history at the last move's evidence. A run that is gone, or another person's, gets none."""
    if not moves[-1].run_id:
        return
    text = json.dumps({"name": name, "moves": [asdict(move) for move in moves]}, indent=2, ensure_ascii=False)
    try:
        client.log_text(moves[-1].run_id, text, HISTORY)
    except (MlflowException, PermissionError) as error:
        if is_away(error) and not isinstance(error, PermissionError):
            raise


def _write(client: MlflowClient, name: str, move: Move) -> None:
    client.set_registered_model_tag(name, f"{TAG}{move.number:05}", json.dumps(asdict(move), ensure_ascii=False))


def _shorten(reason: str) -> str:
    line = " ".join(reason.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
