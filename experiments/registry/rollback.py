"""Take a champion back: the version that was champion before is champion again."""

from __future__ import annotations

from collections.abc import Callable

from mlflow import MlflowClient

from ..errors import InputError
from .history import PROMOTED, ROLLBACK, Move, Why, find_previous, move_alias, read_history, settle
from .versions import CHAMPION, find_model, list_versions

GIVE = f"Give the alias {CHAMPION!r} to a version of your choice in MLflow's pages (`tailor ui`)."


def rollback(client: MlflowClient, name: str, still_mine: Callable[[], None]) -> Move:
    """Make the champion before the present one champion again, and record that. The caller holds the name.

    Raises InputError if there is none, or if it was deleted.
    """
    settle(client, name, still_mine)
    moves, champion = read_history(client, name), str(find_model(client, name).aliases.get(CHAMPION, ""))
    target = find_previous(moves, champion)
    now = f"version {champion}" if champion else "now"
    last = next((move.after for move in reversed(moves) if move.alias == CHAMPION), "")
    if not target and not champion and last:
        raise InputError(
            f"NAME: no version of {name!r} is champion now, and its history has none before the last one, version {last}. {GIVE}"
        )
    if not target:
        raise InputError(f"NAME: {name!r} has nothing to go back to: its history has no champion before {now}.")
    if target not in {str(version.version) for version in list_versions(client, name)}:
        raise InputError(f"NAME: {name!r} cannot go back: version {target}, the champion before {now}, was deleted. {GIVE}")
    promoted = (move for move in reversed(moves) if (move.alias, move.after, move.verdict) == (CHAMPION, target, PROMOTED))
    evidence = next(promoted, None)
    reason = f"version {champion} was taken back" if champion else "there was no champion"
    return move_alias(client, name, CHAMPION, target, Why(ROLLBACK, reason, evidence.run_id if evidence else ""), still_mine)
