"""Searches that are stopped or that fail: what stands afterwards, and that they go on (see fault_tests for those killed)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import SMALL, Shell
from searches import artifacts, client, runs, start, wait_for_epochs

from tailor.experiments.coordinator import session
from tailor.experiments.trials.preflight import Preflight
from tailor.experiments.workers import dask_settings, pool

Write = Callable[..., Path]
LONG = (("max_epochs = 3", "max_epochs = 9000"), ("trials = 4", "trials = 2"), ('pruner = "median"', 'pruner = "none"'))
SHORT = ("--set", "search.max_epochs=3")


def test_an_interrupt_while_the_workers_start_shows_nothing_of_dasks(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pool, "LocalBackend", interrupted)
    for name in ("begin_loading", "end_loading"):  # the tests keep that process
        monkeypatch.setattr(pool, name, lambda: None)
    with dask_settings.prepare(own=True) as loop:
        with pytest.raises(KeyboardInterrupt):
            pool._start_workers(1, 1, loop)
        loop.asyncio_loop.call_exception_handler({"message": "Task exception was never retrieved"})  # type: ignore[attr-defined]
    assert not caplog.records


@pytest.mark.slow
def test_metrics_arrive_while_a_trial_trains_and_ctrl_c_stops_cleanly(tailor: Shell, write_study: Write) -> None:
    write_study(*LONG)
    search = start(tailor.folder, "small.toml", "--workers", "1")
    wait_for_epochs(tailor.folder, 3)
    second = tailor("search", "small.toml")
    assert second.returncode == 2
    assert f"study 'small' is being run by process {search.pid} on " in second.stderr
    search.send_signal(signal.SIGINT)
    said, _ = search.communicate(timeout=40)
    assert search.returncode == 130
    assert "resume with:  tailor search small.toml" in said and "Traceback" not in said
    (parent,), trials = runs(tailor.folder)
    assert {run.info.status for run in (parent, *trials)} == {"KILLED"}

    done = tailor("search", "small.toml", "--workers", "1", *SHORT)
    assert done.returncode == 0, done.stderr
    _, trials = runs(tailor.folder)
    state = [(r.data.tags["tailor.trial"], r.data.tags["tailor.attempt"], r.data.tags["tailor.status"]) for r in trials]
    assert state == [("0", "1", "stopped"), ("0", "2", "complete"), ("1", "1", "complete")]


@pytest.mark.slow
def test_a_search_survives_its_trials_run_and_not_its_experiment(tailor: Shell, write_study: Write) -> None:
    write_study(*LONG[1:], ("max_epochs = 3", "max_epochs = 1500"))
    search = start(tailor.folder, "small.toml", "--workers", "1", "--set", "search.keep_models=1")
    wait_for_epochs(tailor.folder, 3)
    mlflow, (study,), (trial,) = client(tailor.folder), *runs(tailor.folder)
    mlflow.delete_run(trial.info.run_id)
    while len(running := runs(tailor.folder)[1]) == 0 or not running[-1].data.metrics:  # the second trial
        assert search.poll() is None, search.communicate()[0]
        time.sleep(0.3)
    mlflow.delete_experiment(study.info.experiment_id)
    said, _ = search.communicate(timeout=60)
    assert search.returncode == 1 and "Traceback" not in said, said
    assert "trial 0: the run of attempt 1 was deleted in MLflow; the search goes on" in said and "trial 0: done" in said
    restore = f"mlflow experiments restore -x {study.info.experiment_id}."
    assert said.count("was deleted") == 2 and said.rstrip().endswith(restore), said
    mlflow.restore_experiment(study.info.experiment_id)
    done = tailor("search", "small.toml", "--workers", "1", "--set", "search.keep_models=1")
    assert done.returncode == 0 and "Finished: 2 of 2 trials" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_a_stopped_trial_goes_on_in_its_middle_to_the_same_numbers(tailor: Shell, write_study: Write) -> None:
    study = write_study(*LONG[1:], ("max_epochs = 3", "max_epochs = 1500"), ("trials = 2", "trials = 1"))
    one = ("--workers", "1", "--set", "workers.threads=1")
    search = start(tailor.folder, "small.toml", *one)
    wait_for_epochs(tailor.folder, 20)
    search.send_signal(signal.SIGTERM)
    search.communicate(timeout=40)
    assert search.returncode == 143
    assert len(list((tailor.folder / "mlruns" / "checkpoints" / "small").glob("0.1.npz"))) == 1
    assert tailor("search", "small.toml", *one).returncode == 0
    whole = Shell(tailor.folder / "whole")
    whole.folder.mkdir()
    assert whole("search", str(study), *one).returncode == 0
    _, (stopped, resumed) = runs(tailor.folder)
    _, (never,) = runs(whole.folder)
    assert (stopped.info.status, resumed.info.status) == ("KILLED", "FINISHED")
    for metric in ("train_loss", "val_loss", "learning_rate"):
        history = [
            [(m.step, m.value) for m in client(shell.folder).get_metric_history(run.info.run_id, metric)]
            for shell, run in ((tailor, resumed), (whole, never))
        ]
        assert history[0] == history[1]
        assert len(history[0]) == 1500
    replay = json.loads((artifacts(resumed) / "trial.json").read_text())
    assert replay["resumes"] == "0.1.npz"
    assert int(resumed.data.tags["tailor.epochs"]) < 1500  # the others were brought by the checkpoint
    assert resumed.data.tags["tailor.epoch"] == "1500" and stopped.data.tags["tailor.epoch"] == stopped.data.tags["tailor.epochs"]
    assert resumed.data.metrics["best_val_loss"] == never.data.metrics["best_val_loss"]
    assert len(client(tailor.folder).get_metric_history(stopped.info.run_id, "val_loss")) < 1500
    assert not (tailor.folder / "mlruns" / "checkpoints" / "small").exists()


@pytest.mark.slow
def test_a_killed_search_leaves_no_lines_of_python_s(tailor: Shell, write_study: Write) -> None:
    write_study(*LONG)
    search = start(tailor.folder, "small.toml", "--workers", "1")
    wait_for_epochs(tailor.folder, 3)
    search.kill()
    said, _ = search.communicate(timeout=60)  # until its last process has ended
    assert "starting the workers" in said and "resource_tracker" not in said, said


def test_every_trial_failing_ends_early_with_the_reason(tailor: Shell, write_study: Write) -> None:
    # A linear network that no rate of the space keeps finite.
    write_study(
        ("low = 1e-3, high = 1e-2, log = true", "low = 900.0, high = 1000.0"),
        ("batch_norm = true", 'activation = "linear"\noptimizer = "sgd"'),
        ("depth = { low = 1, high = 2 }", "depth = { low = 4, high = 5 }"),
        ("trials = 4", "trials = 9"),
    )
    done = tailor("search", "small.toml", "--workers", "1")
    assert done.returncode == 1
    assert "no trial completed (3 failed, 0 pruned)" in done.stderr and "non_finite" in done.stderr
    way = "the same command resumes the study; if the repair changes [space] or [training], begin anew with --fresh.\n"
    assert done.stderr.endswith(way)
    _, trials = runs(tailor.folder)
    assert [run.info.status for run in trials] == ["FAILED"] * 3
    assert all(run.data.tags["tailor.status_reason"].startswith("non_finite") for run in trials)
    assert tailor("promote", "small", "--to", "digits").returncode == 1
    rate = ("--set", "space.learning_rate=0.01")  # the repair
    assert tailor("search", "small.toml", *rate).returncode == 2
    assert tailor("search", "small.toml", *rate, "--fresh", "--trials", "1").returncode == 0


LEAVING = """
import os, signal, time
from tailor.experiments.workers import worker
worker.LEAVE_SECONDS = 1.0
signal.signal(signal.SIGTERM, worker._leave_soon)
print(time.monotonic(), flush=True)
os.kill(os.getpid(), signal.SIGTERM)
signal.pause()
"""
FORKING = """
import multiprocessing, os, signal
from multiprocessing import forkserver
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["tailor.experiments.system.ignore_sigterm"])
def wait(begun):
    begun.set()
    signal.pause()
if __name__ == "__main__":
    children = []
    for _ in range(2):
        begun = context.Event()
        child = context.Process(target=wait, args=(begun,))
        child.start()
        assert begun.wait(20)
        os.kill(forkserver._forkserver._forkserver_pid, signal.SIGTERM)
        child.terminate()
        child.join(10)
        children.append(child.exitcode)
        child.kill()  # where it outlived the signal
    print(children)
"""


def test_a_worker_that_gets_sigterm_alone_outlives_it_for_a_while_only() -> None:
    done = subprocess.run([sys.executable, "-c", LEAVING], capture_output=True, text=True, timeout=25, check=False)
    assert done.returncode == 143, done.stderr
    assert time.monotonic() - float(done.stdout) >= 1.0  # LEAVE_SECONDS: one clock for all processes


def test_the_process_that_workers_are_forked_from_ignores_sigterm_and_they_do_not(tmp_path: Path) -> None:
    (tmp_path / "forking.py").write_text(FORKING)
    done = subprocess.run([sys.executable, "forking.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "[-15, -15]\n", done.stderr


def test_a_model_that_changes_as_its_search_starts_leaves_nothing(tailor: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    net, build_one = tailor.folder / "net.py", session.check_model
    net.write_text(
        "import keras\n\ndef build(hparams, input_shape, num_classes):\n"
        "    layers = [keras.layers.Flatten(), keras.layers.Dense(num_classes, 'softmax')]\n"
        "    return keras.Sequential([keras.Input(input_shape), *layers])\n"
    )
    (tailor.folder / "small.toml").write_text(SMALL[: SMALL.index("[training]")].replace('"mlp"', '"net.py:build"'))

    def check_model(*arguments: Any) -> Preflight:
        found = build_one(*arguments)
        net.write_text(net.read_text() + "\n")
        return found

    monkeypatch.setattr(session, "check_model", check_model)
    refused = tailor("search", "small.toml", "--workers", "1")
    assert refused.returncode == 2 and "net.py changed while the search started" in refused.stderr, refused
    assert not (tailor.folder / "mlruns").exists()
