"""The coordinator by itself, in hundreds of interleavings with kills, after each of which the books balance."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from coordination import (
    FakeWorkers,
    Killed,
    World,
    complete,
    failed,
    lost,
    pruned,
    report,
    stopped,
    world,
)
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tailor.experiments.trials.job import TrialResult
from tailor.experiments.workers.pool import WorkerEvent
from tailor.experiments.workers.retries import NOT_BEGUN


def result_of(draw: st.DataObject, trial: int, attempt: int, stopping: bool) -> WorkerEvent:
    """How an attempt may end."""
    kinds = ["stopped", "complete"] if stopping else ["complete", "pruned", "failed", "lost", "not begun", "stopped"]
    kind = draw.draw(st.sampled_from(kinds))
    event(kind)
    if kind == "complete":
        return complete(trial, draw.draw(st.sampled_from([0.1, 0.5, 0.9, math.nan])), attempt)
    if kind in ("lost", "not begun"):
        return lost(trial, attempt, NOT_BEGUN if kind == "not begun" else "its worker went away")
    ends = {"pruned": pruned, "failed": failed, "stopped": stopped}
    return ends[kind](trial, attempt)


def play_session(made: World, draw: st.DataObject) -> bool:
    """One session with whatever its workers do; True if it ended by itself, not by a kill or a stop."""
    fuse = draw.draw(st.integers(0, 40) | st.none())  # writes until the process is killed
    burnt = [0]

    def burn() -> None:
        burnt[0] += 1
        if fuse is not None and burnt[0] > fuse:
            raise Killed

    made.recorder.on_write = made.engine.on_tell = burn
    gone: list[tuple[int, int]] = []

    def plan(workers: FakeWorkers) -> Sequence[WorkerEvent]:
        events: list[WorkerEvent] = []
        if gone and draw.draw(st.booleans()):
            events.append(complete(*gone[-1][:1], attempt=gone[-1][1]))  # a late word
        if not coordinator.stopping and draw.draw(st.integers(0, 30)) == 0:
            coordinator.stop()
        workers.count = draw.draw(st.integers(1, 3)) if not workers.jobs else workers.count
        for trial, attempt in list(workers.jobs):
            if draw.draw(st.booleans()):
                events.append(report(trial, draw.draw(st.integers(1, 3)), attempt=attempt, replayed=draw.draw(st.booleans())))
            if coordinator.stopping or draw.draw(st.booleans()):
                events.append(result_of(draw, trial, attempt, coordinator.stopping))
                gone.append((trial, attempt))
        return events

    workers = FakeWorkers(2, plan)
    coordinator = made.open(workers)
    try:
        coordinator.run()
    except Killed:
        event("killed")
        return False
    assert not workers.jobs and sorted(workers.forgotten) == sorted({*workers.forgotten})
    return not coordinator.stopping


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(draw=st.data(), trials=st.integers(1, 6), keep=st.integers(1, 3), retries=st.integers(0, 2))
def test_the_books_balance_whatever_happens(draw: st.DataObject, trials: int, keep: int, retries: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = world(Path(folder), trials=trials, keep_models=keep, retries=retries)
        for _ in range(12):
            if play_session(made, draw):
                break
        made.recorder.on_write = made.engine.on_tell = lambda: None

        def end_all(workers: FakeWorkers) -> Sequence[TrialResult]:
            return [complete(trial, 0.3, attempt) for trial, attempt in workers.jobs]

        coordinator = made.open(FakeWorkers(2, end_all))
        coordinator.run()
        told, runs = made.engine.told, made.recorder.read_attempts()
        if not coordinator.exhausted.startswith("the first"):  # all of a session failed
            assert sorted(told) == list(range(trials))
        ended = Counter(run.status for run in runs)
        assert ended["complete"] + ended["pruned"] + ended["failed"] == len(told)
        assert not ended["running"] and sum(ended.values()) == len(runs)
        for trial, outcome in told.items():
            last = max((run for run in runs if run.trial == trial), key=lambda run: run.attempt)
            assert last.status == outcome.status
            assert sorted(run.attempt for run in runs if run.trial == trial) == list(range(1, last.attempt + 1))
        values = {trial: outcome.values for trial, outcome in told.items() if outcome.status == "complete"}
        best = made.spec.goal.order(values)[:keep]
        assert made.recorder.models == set(best)
        assert not made.checkpoints.trials()
