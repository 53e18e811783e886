"""The coordinator by itself, from one session to the next: stops, kills, checkpoints, and weights that trials begin with."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
from coordination import (
    FakeWorkers,
    Killed,
    complete,
    failed,
    lost,
    report,
    spec_of,
    states,
    stopped,
    world,
)

from tailor.experiments.coordinator.finish import _find_way_on
from tailor.experiments.workers.pool import WorkerEvent
from tailor.search.engines.protocol import Suggestion
from tailor.search.space.parameters import Int
from tailor.search.space.space import Space

HYPERBAND = spec_of(trials=3, engine="keras-tuner", sampler="hyperband")


def test_a_stop_ends_what_runs_and_the_next_session_resumes_it(tmp_path: Path) -> None:
    made = world(tmp_path, trials=2)

    def plan(workers: FakeWorkers) -> Sequence[WorkerEvent]:
        if not workers.stopped:
            made.checkpoints.attempt(0, 1).write_bytes(b"checkpoint")
            coordinator.stop()
            coordinator.stop()  # a second time changes nothing
            return []
        return [stopped(0)]

    workers = FakeWorkers(1, plan)
    coordinator = made.open(workers)
    coordinator.run()
    assert (workers.stopped, coordinator.exhausted) == (1, "")
    assert states(made) == [(0, 1, "stopped", "KILLED")] and made.checkpoints.trials() == {0}
    _, again = made.play([[complete(0, attempt=2)], [complete(1)]])
    assert again.submitted[0].attempt == 2 and again.submitted[0].resumes is not None
    assert sorted(made.engine.told) == [0, 1]


def test_a_later_session_counts_what_earlier_ones_did(tmp_path: Path) -> None:
    made = world(tmp_path, trials=4, total_epochs=5, retries=1)
    made.engine.trials = 2
    made.play([[report(0, 1), report(0, 2), lost(0)], [complete(0, 0.8, attempt=2), complete(1, 0.6)]], workers=2)
    made.engine.trials = 3
    coordinator, workers = made.play([[report(2, 1), report(2, 2), report(2, 3), complete(2, 0.7)]])
    assert (coordinator.progress.complete, coordinator.progress.best) == (3, (0, 0.8))
    assert coordinator.exhausted == "all 5 epochs are spent" and len(workers.submitted) == 1
    made.spec = spec_of(trials=3, total_epochs=5)  # all trials were done: that ended it, not the epochs
    assert made.play([])[0].exhausted == "3 of 3 trials"
    assert made.recorder.models == {0, 2}  # the best two over both sessions


def test_budgets_hold_if_a_grid_follows_another_sampler(tmp_path: Path) -> None:
    made = world(tmp_path, trials=3)
    made.play([[report(trial, 1), complete(trial)] for trial in range(3)])
    spec = spec_of(trials=20, total_epochs=4, sampler="grid")
    made.spec = dataclasses.replace(spec, space=Space((Int("units", 1, 4),)))
    made.engine.trials, made.engine.points = 7, 4
    coordinator, _ = made.play([[report(3, 1), complete(3)]])
    assert (coordinator.exhausted, coordinator.progress.trials) == ("all 4 epochs are spent", 7)


def test_a_study_that_failed_out_of_epochs_resumes_with_more_of_them(tmp_path: Path) -> None:
    made = world(tmp_path, trials=4, total_epochs=1)
    coordinator, _ = made.play([[report(0, 1), failed(0)]])
    assert coordinator.exhausted == "the 1 epoch is spent" and coordinator.out_of_epochs
    assert _find_way_on(coordinator).startswith("a larger search.total_epochs resumes the study")


def test_losses_of_earlier_sessions_count_towards_a_trials_retries(tmp_path: Path) -> None:
    made = world(tmp_path, trials=1, retries=1)
    with pytest.raises(AssertionError, match="it waits for ever"):
        made.play([[lost(0)]])
    made.play([[lost(0, 3)]])  # attempt 2 died with its coordinator, which is no fault of the trial's
    assert [state[2] for state in states(made)] == ["lost", "lost", "failed"]


def test_models_that_a_killed_coordinator_should_have_dropped_go(tmp_path: Path) -> None:
    made = world(tmp_path, trials=3, keep_models=1)
    made.play([[complete(0, 0.9)], [complete(1, 0.5)], [complete(2, 0.6)]])
    made.recorder.models |= {1, 7}  # displaced, and of an attempt that was lost
    made.engine.trials = 4
    made.spec = spec_of(trials=4, keep_models=1)
    made.play([[complete(3, 0.1)]])
    assert made.recorder.models == {0}


def test_trials_that_continue_others_begin_with_their_weights(tmp_path: Path) -> None:
    made = world(tmp_path, spec=HYPERBAND)
    made.engine.script = [
        Suggestion(0, {"units": 1}, 1),
        Suggestion(1, {"units": 1}, 3, continues=0, epochs_done=1),
        Suggestion(2, {"units": 1}, 3, continues=8, epochs_done=1),
    ]
    made.engine.trials = 3
    _, workers = made.play([[complete(0, model=b"weights")], [complete(1)], [complete(2)]])
    _, second, third = workers.submitted
    assert second.weights is not None and Path(second.weights).read_bytes() == b"weights" and second.epochs_done == 1
    assert third.weights is None and third.epochs_done == 0
    assert "trial 2: the weights of trial 8 are gone; it trains from the first epoch" in made.screen.lines
    assert made.checkpoints.find(0) is not None  # a larger budget may ask for them


@pytest.mark.parametrize("write", ["model 0", "end 0 complete"])
def test_a_kill_between_mlflow_and_the_engine_keeps_the_weights_that_later_trials_continue(tmp_path: Path, write: str) -> None:
    made = world(tmp_path, spec=HYPERBAND)

    def die() -> None:
        if made.recorder.log[-1] == write:
            raise Killed

    made.recorder.on_write = die
    with pytest.raises(Killed):
        made.play([[complete(0, model=b"weights")]])
    saved = made.checkpoints.find(0)
    assert saved is not None and saved.read_bytes() == b"weights"


def test_a_trials_checkpoint_goes_when_it_ends(tmp_path: Path) -> None:
    made = world(tmp_path, trials=2)
    left: list[set[int]] = []

    def look() -> None:
        if made.recorder.log[-1] == "begin 0":
            made.checkpoints.attempt(0, 1).write_bytes(b"checkpoint")
        left.append(made.checkpoints.trials())

    made.recorder.on_write = look
    made.play([[complete(0)], [complete(1)]])
    assert left[0] == {0} and left[-1] == set()


def test_checkpoints_go_when_the_study_ends(tmp_path: Path) -> None:
    made = world(tmp_path, trials=1)
    made.checkpoints.save(5, b"left")
    made.play([[complete(0)]])
    assert not list(tmp_path.rglob("*.*"))
