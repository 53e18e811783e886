"""What of a benchmark's log still counts when it goes on elsewhere."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

from common import comparable


@dataclass(frozen=True)
class Run:
    side: str
    round: int
    machine: str


def test_sides_are_compared_within_one_machine() -> None:
    whole = [Run("ours", 0, "old"), Run("theirs", 0, "old")]
    begun_elsewhere = [Run("ours", 1, "old")]
    both_but_apart = [Run("ours", 2, "old"), Run("theirs", 2, "here")]
    begun_here = [Run("ours", 3, "here")]
    runs = [*whole, *begun_elsewhere, *both_but_apart, *begun_here]
    kept = comparable(runs, ["ours", "theirs"], lambda run: run.round, "here")
    assert kept == [*whole, Run("theirs", 2, "here"), *begun_here]
