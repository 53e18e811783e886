"""Faults 1 to 6: processes killed at random and at chosen moments, and stopped by a signal."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from conftest import Shell
from faults import broken, dice, finish, search, study, times, to_the_end
from ledger import Ledger, whole_table
from searches import client, count_runs, runs, wait_for_epochs, wait_for_runs, worker_pids

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")


def test_1_workers_killed_at_random(tailor: Shell, ledger: Ledger) -> None:
    kills = times(20, 5)
    study(tailor.folder, trials=2 * kills, epochs=120, retries=kills)
    chance = dice("workers")
    running = search(tailor.folder)
    wait_for_epochs(tailor.folder, 1)
    killed, victims = 0, set[int]()
    while killed < kills and running.poll() is None:
        time.sleep(chance.uniform(0.1, 1.5))
        workers = worker_pids(running.pid)
        if workers:
            chosen = chance.choice(workers)
            try:
                os.kill(chosen, signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                continue
            victims.add(chosen)
            time.sleep(0.5)
            assert all(_state(pid) != "Z" for pid in set(workers) - victims), "the other worker went with it"
    said = finish(running)
    assert running.returncode == 0, said
    wrong = broken(tailor.folder, trials=2 * kills)
    for _ in range(killed):
        ledger.add("1 SIGKILL of one of two workers", held=not wrong)
    assert killed == kills and not wrong, wrong
    lost = [run for run in runs(tailor.folder)[1] if run.data.tags["tailor.status"] == "lost"]
    # A kill between two trials loses none; an attempt that waited for the killed worker did not begin, and counts as no loss.
    assert 1 <= sum(run.data.tags["tailor.status_reason"] == "its worker went away" for run in lost) <= kills, said


def test_2_coordinators_killed_at_random(tailor: Shell, ledger: Ledger) -> None:
    """In turn in the middle of its trials and at any time since its start; the budget grows with the kills, so that no search
    ends before its own."""
    study(tailor.folder, trials=1000, epochs=100)
    chance = dice("coordinators")
    kills = times(20, 4)
    for kill in range(kills):
        begun = count_runs(tailor.folder)
        running = search(tailor.folder)
        if in_trials := kill % 2 == 0:
            wait_for_runs(tailor.folder, begun + 1)
        time.sleep(chance.uniform(0.0, 1.5 if in_trials else 8.0))
        workers = worker_pids(running.pid)
        running.kill()
        running.communicate()
        assert running.returncode == -signal.SIGKILL
        ledger.check("2 SIGKILL of the coordinator", _alive(workers))
    budget = 2 + len({run.data.tags["tailor.trial"] for run in runs(tailor.folder)[1]})
    to_the_end(tailor, "--trials", str(budget))
    assert not (wrong := broken(tailor.folder, trials=budget)), wrong


@pytest.mark.parametrize(
    ("fault", "driver"),
    [
        ("3 SIGKILL between ask and the run's first write", ("entry", "start", "before", "2")),
        pytest.param("5 SIGKILL before a model is written", ("entry", "model", "before", "1"), marks=whole_table),
        ("5 SIGKILL between the model and the trial's end in MLflow", ("entry", "model", "after", "1")),
        ("5 SIGKILL between writing MLflow and telling the engine", ("entry", "end", "after", "1")),
        pytest.param("5 SIGKILL right after telling the engine", ("tell", "after", "2"), marks=whole_table),
        ("5 SIGKILL between the study's run and its spec", ("call", "mlflow:MlflowClient.create_run", "after", "1")),
        (
            "5 SIGKILL between the last trial and the study's end",
            ("call", "tailor.experiments.tracking.tracker:Tracker.end_study", "before", "1"),
        ),
        pytest.param(
            "5 SIGKILL before the report is there",
            ("call", "tailor.experiments.reports.report:log", "before", "1"),
            marks=whole_table,
        ),
    ],
)
def test_3_and_5_a_coordinator_killed_between_two_writes(
    tailor: Shell, ledger: Ledger, fault: str, driver: tuple[str, ...]
) -> None:
    study(tailor.folder, trials=3)
    running = search(tailor.folder, driver=driver)
    finish(running)
    assert running.returncode == -signal.SIGKILL
    to_the_end(tailor)
    wrong = broken(tailor.folder, trials=3)
    (parent,), _ = runs(tailor.folder)
    drawn = {file.path for file in client(tailor.folder).list_artifacts(parent.info.run_id)}
    ledger.check(fault, wrong + ([] if "report.html" in drawn else ["there is no report"]))


def test_4_a_coordinator_killed_in_the_last_trial_is_mended_by_looking(tailor: Shell, ledger: Ledger) -> None:
    study(tailor.folder, trials=2, epochs=6000)
    running = search(tailor.folder)
    wait_for_epochs(tailor.folder, 20)
    running.kill()
    running.communicate()
    said = tailor("status", "small")
    assert said.stdout.count("its coordinator went away; closed as lost") == 2, said.stdout + said.stderr
    assert "its search was killed; the same `tailor search` resumes it" in said.stdout
    assert tailor("fsck", "small").stdout == "nothing to repair\n"
    (parent,), trials = runs(tailor.folder)
    assert {run.info.status for run in (parent, *trials)} == {"KILLED"}
    left = [run.info.run_name for kind in runs(tailor.folder) for run in kind if run.info.status == "RUNNING"]
    ledger.check("4 SIGKILL during the last trial, then `tailor status`", left)


@pytest.mark.parametrize(
    ("signals", "code", "within"),
    [((signal.SIGTERM,), 143, 30), ((signal.SIGINT,), 130, 30), ((signal.SIGINT, signal.SIGINT), 130, 12)],
    ids=["SIGTERM", "Ctrl-C", "Ctrl-C twice"],
)
def test_6_signals(tailor: Shell, ledger: Ledger, signals: tuple[int, ...], code: int, within: float) -> None:
    epochs = 600
    study(tailor.folder, trials=2, epochs=epochs)
    running = search(tailor.folder)
    wait_for_epochs(tailor.folder, 40)
    begun = time.monotonic()
    for number in signals:  # to all of its processes, as a terminal or `timeout` sends it
        for process in psutil.Process(running.pid).children(recursive=True):
            process.send_signal(number)
        running.send_signal(number)
        time.sleep(0.1)
    said = finish(running, timeout=60)
    took = time.monotonic() - begun
    wrong = [] if running.returncode == code else [f"exit {running.returncode}"]
    wrong += [] if took <= within else [f"took {took:.0f} s"]
    wrong += [] if "Traceback" not in said and "lost (" not in said else [said]
    to_the_end(tailor)
    wrong += broken(tailor.folder, trials=2)
    if len(signals) == 1:  # nothing was trained twice: each attempt counts the epochs that it trained itself
        trained = sum(int(run.data.tags["tailor.epochs"]) for run in runs(tailor.folder)[1])
        wrong += [] if trained <= 2 * (epochs + 1) else [f"{trained} epochs were trained for {2 * epochs}"]
    ledger.check("6 SIGTERM" if code == 143 else f"6 Ctrl-C{' twice' * (len(signals) - 1)}", wrong)


def _alive(pids: list[int]) -> list[str]:
    """Worker processes that are there ten seconds after their coordinator."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        there = [pid for pid in pids if Path(f"/proc/{pid}").exists() and "Z" not in _state(pid)]
        if not there:
            return []
        time.sleep(0.2)
    return [f"worker {pid} is still there: {subprocess.getoutput(f'ps -o pid,ppid,stat,cmd -p {pid}')}" for pid in there]


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"
