"""Rounds of a benchmark that takes hours, one run of each side: which runs of its log compare, and which is to be run next.

A machine is faster than the next, and at another hour slower: sides compare only within a round on one machine.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
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


def comparable(runs: Iterable[R], sides: Iterable[str], here: str) -> list[R]:
    """The runs of the rounds that were run whole on one machine, and those of this one, with which a begun round goes on."""
    rounds: dict[Hashable, dict[str, list[R]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        rounds[run.round][run.machine].append(run)
    kept = []
    for machines in rounds.values():
        whole = [mine for mine in machines.values() if {run.side for run in mine} >= set(sides)]
        kept += (whole or [machines.get(here, [])])[0]
    return kept


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
