"""Rounds of a benchmark that takes hours, one run of each side: which runs of its log pair, and which is to be run next.

A machine is faster than the next, and at another hour slower: sides compare only within a round on one machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Noted(Protocol):
    """A run that a log holds: of which side, in which round, and on which machine."""

    @property
    def side(self) -> str: ...
    @property
    def round(self) -> int: ...
    @property
    def machine(self) -> str: ...


R = TypeVar("R", bound=Noted)


def pairs(runs: Sequence[R], ours: str, side: str) -> list[tuple[R, R]]:
    """Our run and the side's, of each round that has both on one machine."""
    theirs = {(run.round, run.machine): run for run in runs if run.side == side}
    return [(run, theirs[key]) for run in runs if run.side == ours and (key := (run.round, run.machine)) in theirs]


def following(runs: Sequence[R], sides: Sequence[str], repeats: int, here: str) -> tuple[str, int] | None:
    """The side and the round to run next on this machine, where ratios to the first side are wanted; None when all are paired."""
    ours, *rivals = sides
    wanting = [side for side in rivals if len(pairs(runs, ours, side)) < repeats]
    current = max((run.round for run in runs if run.machine == here), default=-1)
    done = {run.side for run in runs if (run.round, run.machine) == (current, here)}
    if ours in done and (left := [side for side in wanting if side not in done]):
        return left[0], current
    return (ours, max((run.round for run in runs), default=-1) + 1) if wanting else None
