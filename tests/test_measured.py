"""What of a benchmark's log still counts when it goes on elsewhere."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

from rounds import following, pairs


@dataclass(frozen=True)
class Run:
    side: str
    round: int
    machine: str


def test_a_rival_is_paired_with_our_run_of_its_round_and_machine() -> None:
    ours, theirs = Run("ours", 0, "old"), Run("theirs", 0, "old")
    alone = [Run("ours", 1, "old"), Run("theirs", 1, "here"), Run("ours", 0, "here")]
    assert pairs([ours, theirs, *alone], "ours", "theirs") == [(ours, theirs)]


def test_a_round_elsewhere_begins_with_ours_and_runs_only_what_rivals_lack() -> None:
    runs = [Run(side, 0, "old") for side in ("ours", "first", "second")]
    steps = []
    while step := following(runs, ("ours", "first", "second", "third"), 2, "here"):
        steps.append(step)
        runs.append(Run(*step, "here"))
    assert steps == [("ours", 1), ("first", 1), ("second", 1), ("third", 1), ("ours", 2), ("third", 2)]
