"""The coordinator by itself: every branch, with fake workers, recorder and engine."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
from coordination import (
    FakeWorkers,
    complete,
    failed,
    lost,
    pruned,
    report,
    spec_of,
    states,
    stopped,
    world,
)

from tailor.experiments.workers.pool import Note, WorkerEvent
from tailor.experiments.workers.retries import MOST_NOT_BEGUN, NOT_BEGUN
from tailor.search.engines.protocol import Done, Outcome, Suggestion, Wait
from tailor.search.errors import StudyError
from tailor.search.study.goal import Objective
from tailor.search.study.load import build


def test_trials_run_on_free_workers_and_are_recorded_before_they_are_told(tmp_path: Path) -> None:
    made = world(tmp_path, trials=3)
    seen: list[list[str]] = []
    made.engine.on_tell = lambda: seen.append(list(made.recorder.log))
    coordinator, workers = made.play([[report(0, 1, 0.3)], [complete(0, 0.6)], [complete(2, 0.7), complete(1, 0.5)]], workers=2)
    assert [job.trial for job in workers.submitted] == [0, 1, 2] and not workers.jobs
    assert seen[0] == ["begin 0", "begin 1", "model 0", "end 0 complete"]  # MLflow first, the model before the run is closed
    assert {trial: outcome.values for trial, outcome in made.engine.told.items()} == {
        0: {"val_accuracy": 0.6}, 1: {"val_accuracy": 0.5}, 2: {"val_accuracy": 0.7}
    }  # fmt: skip
    assert (coordinator.exhausted, coordinator.broken) == ("3 of 3 trials", "")
    assert coordinator.progress.best == (2, 0.7)
    assert [(one.trial, one.value, one.hparams["units"]) for one in coordinator.progress.leaders] == [
        (2, 0.7, 3), (0, 0.6, 1), (1, 0.5, 2)
    ]  # fmt: skip
    assert (coordinator.progress.complete, coordinator.progress.running) == (3, {})
    assert "trial 2: done, val_accuracy 0.7000" in made.screen.lines
    assert made.screen.progress is coordinator.progress and made.recorder.ticks == 3


def test_a_job_has_what_the_worker_needs(tmp_path: Path) -> None:
    made = world(tmp_path, trials=1)
    _, workers = made.play([[complete(0)]])
    (job,) = workers.submitted
    assert (job.study, job.trial, job.attempt, job.epochs) == ("small", 0, 1, 3)
    assert job.values["precision"] == "float32" and job.values["units"] == 1
    assert job.saves_to == str(made.checkpoints.attempt(0, 1)) and job.resumes is None and job.weights is None
    assert made.recorder.runs[0, 1].params["units"] == "1"


def test_the_best_models_are_kept_and_displaced_ones_dropped(tmp_path: Path) -> None:
    made = world(tmp_path, trials=5, keep_models=2)
    made.play([[complete(0, 0.5)], [complete(1, 0.6)], [complete(2, 0.4)], [complete(3, 0.7)], [complete(4, 0.9, model=None)]])
    assert made.recorder.models == {1, 3}
    assert [line for line in made.recorder.log if line.startswith(("model", "drop"))] == [
        "model 0",
        "model 1",
        "model 3",
        "drop 0",
    ]


def test_reports_are_answered_by_the_engine(tmp_path: Path) -> None:
    made = world(tmp_path, trials=1)
    made.engine.stops = {(0, 2)}
    coordinator, workers = made.play([[report(0, 1, 0.4)], [report(0, 2, 0.3)], [pruned(0)]])
    assert workers.answers == [(0, 1, False), (0, 2, True)]
    assert made.engine.told[0] == Outcome("pruned", reason="pruned after epoch 1")
    assert coordinator.progress.pruned == 1 and made.recorder.runs[0, 1].epochs == 2


def test_the_screen_is_shown_the_epoch_and_value_of_what_runs(tmp_path: Path) -> None:
    made, shown = world(tmp_path, trials=1), []
    made.screen.show = lambda progress: shown.append([(t.trial, t.epoch, t.value) for t in progress.running.values()])  # type: ignore[method-assign]
    made.play([[], [report(0, 1, 0.4)], [complete(0)]])
    assert shown == [[(0, 0, None)], [(0, 1, 0.4)], []]


def test_replayed_epochs_are_logged_and_judged_no_second_time(tmp_path: Path) -> None:
    made = world(tmp_path, trials=1)
    _, workers = made.play([[report(0, 1, replayed=True), report(0, 2)], [complete(0)]])
    assert (made.engine.replayed, made.engine.reported, workers.answers) == ([(0, 1)], [(0, 2)], [(0, 2, False)])
    assert made.recorder.runs[0, 1].epochs == 1


def test_a_lost_attempt_is_tried_again_with_its_newest_checkpoint(tmp_path: Path) -> None:
    made = world(tmp_path, trials=1)

    def leave_checkpoint() -> None:
        if made.recorder.log == ["begin 0"]:
            made.checkpoints.attempt(0, 1).write_bytes(b"checkpoint")

    made.recorder.on_write = leave_checkpoint
    _, workers = made.play([[lost(0)], [complete(0, attempt=2)]])
    assert states(made) == [(0, 1, "lost", "KILLED"), (0, 2, "complete", "FINISHED")]
    assert workers.submitted[1].resumes == str(made.checkpoints.attempt(0, 1))
    assert workers.submitted[1].values == workers.submitted[0].values and workers.submitted[1].seed == workers.submitted[0].seed
    assert "trial 0: attempt 1 lost (its worker went away); trying again" in made.screen.lines
    assert not made.checkpoints.trials()


def test_a_trial_that_loses_too_many_attempts_fails(tmp_path: Path) -> None:
    made = world(tmp_path, trials=2, retries=1)
    coordinator, _ = made.play([[lost(0)], [complete(1)], [lost(0, 2)]], workers=2)
    assert made.engine.told[0] == Outcome("failed", reason="its worker went away (lost 2 times)")
    assert states(made)[-1] == (0, 2, "failed", "FAILED") and coordinator.progress.failed == 1


def test_attempts_that_never_began_are_no_fault_of_the_trial(tmp_path: Path) -> None:
    made = world(tmp_path, trials=1, retries=0)
    tries = [[lost(0, i + 1, NOT_BEGUN)] for i in range(3)]
    made.play([*tries, [complete(0, attempt=4)]])
    assert made.engine.told[0].status == "complete" and not any("trying again" in line for line in made.screen.lines)
    other = world(tmp_path / "other", trials=1, retries=0)
    other.play([[lost(0, i + 1, NOT_BEGUN)] for i in range(MOST_NOT_BEGUN + 1)])
    assert other.engine.told[0].status == "failed"


def test_a_late_word_of_an_attempt_that_was_given_up_is_fenced_off(tmp_path: Path) -> None:
    made = world(tmp_path, trials=1)
    made.play([[lost(0)], [complete(0, 0.9), report(0, 3), lost(0)], [complete(0, 0.4, attempt=2)]])
    assert made.engine.told[0].values == {"val_accuracy": 0.4}
    assert states(made) == [(0, 1, "lost", "KILLED"), (0, 2, "complete", "FINISHED")]


def test_what_the_workers_have_to_say_reaches_the_screen(tmp_path: Path) -> None:
    made = world(tmp_path, trials=1)
    made.play([[Note("a worker came")], [complete(0)]])
    assert made.screen.lines[0] == "a worker came"


def test_a_complete_trial_that_measures_too_little_fails(tmp_path: Path) -> None:
    made = world(tmp_path, trials=1)
    coordinator, _ = made.play([[complete(0, math.nan)]])
    assert made.engine.told[0].status == "failed" and made.engine.told[0].reason.startswith("non_finite")
    assert not made.recorder.models and coordinator.first_failure.startswith("non_finite")


def test_the_first_traceback_is_shown_and_only_that(tmp_path: Path) -> None:
    made = world(tmp_path, trials=3)
    coordinator, _ = made.play([[failed(0, shown="Traceback one\n")], [failed(1, shown="Traceback two\n")], [complete(2)]])
    assert "Traceback one" in made.screen.lines and "Traceback two" not in made.screen.lines
    assert coordinator.first_failure == "error: KeyError" and coordinator.progress.failed == 2


def test_when_all_fail_it_ends_but_not_before_what_still_runs(tmp_path: Path) -> None:
    made = world(tmp_path, trials=9)
    coordinator, workers = made.play([[failed(0)], [failed(2)], [failed(3)], [failed(1)]], workers=2)
    assert coordinator.exhausted == "the first 4 trials of this session all failed" and len(workers.submitted) == 4
    other = world(tmp_path / "other", trials=5)
    steps = [[failed(0)], [failed(2)], [failed(3)], [complete(1)], [complete(4)]]
    assert other.play(steps, workers=2)[0].exhausted == "5 of 5 trials"


def test_waiting_for_a_running_trial_and_an_engine_that_is_done(tmp_path: Path) -> None:
    made = world(tmp_path, trials=9)
    made.engine.script = [Suggestion(0, {"units": 1}, 3), Wait(), Suggestion(1, {"units": 2}, 3), Done("nothing more")]
    coordinator, workers = made.play([[complete(0)], [complete(1)]], workers=2)
    assert coordinator.exhausted == "nothing more" and len(workers.submitted) == 2


def test_an_engine_that_cannot_answer_ends_the_search_cleanly(tmp_path: Path) -> None:
    made = world(tmp_path, trials=9)
    made.engine.script = [Suggestion(0, {"units": 1}, 3), StudyError("study.space: 'f' failed")]
    coordinator, workers = made.play([[stopped(0)]], workers=2)
    assert (coordinator.broken, workers.stopped) == ("study.space: 'f' failed", 1)
    assert states(made) == [(0, 1, "stopped", "KILLED")] and made.engine.unfinished()


def test_an_engine_that_fails_at_a_report_or_a_tell_ends_the_search_cleanly(tmp_path: Path) -> None:
    def fail() -> None:
        raise StudyError("search.sampler: S fails")

    for asked, first in (("on_report", report(0, 1)), ("on_tell", complete(0))):
        made = world(tmp_path / asked, trials=9)
        setattr(made.engine, asked, fail)
        ends = [stopped(1)] if asked == "on_tell" else [stopped(0), stopped(1)]
        coordinator, workers = made.play([[first, report(1, 1)] if asked == "on_tell" else [first], ends], workers=2)
        assert (coordinator.broken, workers.stopped) == ("search.sampler: S fails", 1)
        assert states(made)[1] == (1, 1, "stopped", "KILLED")


def test_a_second_signal_leaves_nothing_unwritten(tmp_path: Path) -> None:
    def interrupt(workers: FakeWorkers) -> list[WorkerEvent]:
        raise KeyboardInterrupt

    made = world(tmp_path, trials=1)
    with pytest.raises(KeyboardInterrupt):
        made.open(FakeWorkers(1, interrupt)).run()
    assert made.recorder.log == ["begin 0", "flush"]


def test_time_is_up_by_the_clock(tmp_path: Path) -> None:
    made = world(tmp_path, trials=9, timeout=100)

    def steps() -> list[list[WorkerEvent]]:
        yield []
        made.now = 101.0
        yield [complete(0)]

    coordinator, workers = made.play(steps())
    assert coordinator.exhausted == "the time is up" and len(workers.submitted) == 1
    assert coordinator.progress.seconds == [101.0] and coordinator.progress.deadline == 100.0


def test_an_attempt_that_gave_up_waiting_by_itself_is_tried_again(tmp_path: Path) -> None:
    made = world(tmp_path, trials=1)
    made.play([[stopped(0)], [complete(0, attempt=2)]])
    assert states(made) == [(0, 1, "stopped", "KILLED"), (0, 2, "complete", "FINISHED")]


def test_several_objectives_count_the_pareto_front_as_something_better(tmp_path: Path) -> None:
    plain = spec_of(trials=9, patience=2)
    spec = dataclasses.replace(plain, others=(Objective("parameters", "minimize"),))
    made = world(tmp_path, trials=9, spec=spec)
    steps = [[complete(0, 0.9, parameters=9.0)], [complete(1, 0.5, parameters=5.0)], [complete(2, 0.4, parameters=9.0)]]
    coordinator, workers = made.play([*steps, [complete(3, 0.3, parameters=8.0)]])
    assert coordinator.exhausted == "no improvement in 2 trials" and len(workers.submitted) == 4


def test_a_trial_that_breaks_a_constraint_is_never_the_best(tmp_path: Path) -> None:
    spec = spec_of(trials=3)
    tables = spec.tables()
    tables["study"]["constraints"] = ["parameters <= 100"]
    made = world(tmp_path, trials=3, spec=build(tables))
    ends = [[complete(0, 0.9, parameters=500.0)], [complete(1, 0.5, parameters=50.0)], [failed(2)]]
    coordinator, _ = made.play(ends)
    assert coordinator.progress.best == (1, 0.5)
    assert "trial 0: infeasible, val_accuracy 0.9000, parameters 500" in made.screen.lines
    assert "trial 1: done, val_accuracy 0.5000, parameters 50" in made.screen.lines and coordinator.progress.infeasible == 1
