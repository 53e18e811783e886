"""Faults 8 to 10, 14 and 15: many writers at once, locked databases, full disks and state files cut short."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest
from conftest import OwnProcess, Shell
from faults import broken, dice, finish, search, sleepy_study, study, times, to_the_end
from ledger import FULL, Ledger, whole_table
from searches import client, runs, wait_for_epochs

from tailor.experiments.coordinator.fsck import repair
from tailor.experiments.store import Store
from tailor.experiments.tracking.reader import find_study, open_client


def test_8_eight_workers_on_sqlite(tailor: Shell, ledger: Ledger) -> None:
    trials = times(200, 16)
    sleepy_study(tailor.folder, trials, workers=8)
    running = search(tailor.folder)
    said = finish(running, timeout=600)
    wrong = [] if running.returncode == 0 and "locked" not in said else [said]
    ledger.check(f"8 8 workers, {trials} trials of a second, SQLite", wrong + broken(tailor.folder, trials))


@whole_table
def test_9_sixteen_first_starts_at_once(tailor: Shell, ledger: Ledger) -> None:
    study(tailor.folder, trials=2)
    starts = [search(tailor.folder) for _ in range(16)]
    said = [finish(start, timeout=280) for start in starts]
    codes = [start.returncode for start in starts]
    wrong = [text for code, text in zip(codes, said, strict=True) if code not in (0, 2) or "Traceback" in text]
    wrong += [] if 0 in codes else ["none of them ran the study"]
    wrong += [text for code, text in zip(codes, said, strict=True) if code == 2 and "is being run by" not in text]
    experiments = [e.name for e in client(tailor.folder).search_experiments()]
    wrong += [] if experiments.count("small") == 1 else [f"experiments {experiments}"]
    wrong += broken(tailor.folder, trials=2)
    for code in codes:
        ledger.add("9 sixteen first starts at once", held=code in (0, 2) and not wrong)
    assert not wrong, wrong


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a database's write lock."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("ROLLBACK")


def searched_while_locked(folder: Path, name: str, seconds: float) -> tuple[int, str]:
    """The exit code of a search whose database is locked for so long, or until it has ended, and what it said."""
    running = search(folder)
    wait_for_epochs(folder, 5)
    with locked(folder / "mlruns" / name):
        begun = time.monotonic()
        while time.monotonic() - begun < seconds and running.poll() is None:
            time.sleep(0.2)
    said = finish(running)
    return running.returncode, said


@whole_table
def test_10_another_process_holds_a_database(tmp_path: Path, ledger: Ledger) -> None:
    """Each in a store of its own, side by side: they mostly wait."""
    cases = [("mlflow.db", 240.0), ("studies.db", 15.0), ("studies.db", 60.0)]
    shells = [Shell(tmp_path / f"{name}-{seconds}") for name, seconds in cases]
    for shell in shells:
        shell.folder.mkdir()
        study(shell.folder, trials=4, epochs=300)
    with ThreadPoolExecutor() as pool:
        ends = list(pool.map(lambda shell, case: searched_while_locked(shell.folder, *case), shells, cases))
    for shell, (name, seconds), (code, said) in zip(shells, cases, ends, strict=True):
        long = "until the search has ended" if name == "mlflow.db" else f"for {seconds:g} s"
        if seconds == 15:
            wrong = [] if code == 0 else [said]
        else:  # Optuna's is waited for in vain; what MLflow's lacks is kept, and written by the next command
            says = f"{shell.folder}/mlruns/studies.db cannot be used" if name == "studies.db" else "entries wait in"
            wrong = [] if code == 1 and says in said else [said]
            to_the_end(shell)
        wrong += ["a traceback is shown"] if "Traceback" in said else []
        ledger.check(f"10 {name} locked {long}", wrong + broken(shell.folder, trials=4))


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A disk of 24 MB, to be filled up."""
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def searched_on_a_full_disk(shell: OwnProcess, engine: str) -> list[str]:
    """What was wrong with a search whose disk, which holds its store, is full from its first trial on, until it has ended."""
    path = study(shell.folder, trials=6, epochs=250, workers=1)
    path.write_text(path.read_text().replace("[search]", f'[search]\nengine = "{engine}"'))
    disk = shell.folder / "disk"
    running = search(shell.folder, TAILOR_STORE=str(disk / "store"))
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and not list(disk.glob("store/artifacts/small/*/artifacts/trial.json")):
        time.sleep(0.1)
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    said = finish(running)
    told = running.returncode == 1 and str(disk) in said and "Traceback" not in said
    wrong = [] if told else [f"exit {running.returncode}: {said}"]
    filler.unlink()
    for name in ("mlflow.db", "studies.db"):
        with closing(sqlite3.connect(disk / "store" / name)) as database:
            (state,) = database.execute("PRAGMA integrity_check").fetchone()
        wrong += [] if state == "ok" else [f"{name}: {state}"]
    to_the_end(shell, TAILOR_STORE=str(disk / "store"))
    (shell.folder / "mlruns").symlink_to(disk / "store")
    return wrong


def test_14_a_full_disk(tmp_path: Path, ledger: Ledger) -> None:
    """An engine each with a worker and a disk of its own, side by side."""
    shells = {engine: OwnProcess(tmp_path / engine) for engine in (("optuna", "keras-tuner") if FULL else ("optuna",))}
    with ExitStack() as disks, ThreadPoolExecutor() as pool:
        for shell in shells.values():
            shell.folder.mkdir()
            disks.enter_context(small_disk(shell.folder / "disk"))
        wrong = list(pool.map(searched_on_a_full_disk, shells.values(), shells))
        for (engine, shell), found in zip(shells.items(), wrong, strict=True):
            ledger.check(f"14 a full disk, engine {engine}", found + broken(shell.folder, trials=6))


def test_14_a_full_disk_for_other_commands(tmp_path: Path, ledger: Ledger) -> None:
    shell = OwnProcess(tmp_path)
    study(shell.folder, trials=1, workers=1)
    with small_disk(tmp_path / "disk") as disk:
        place = {"TAILOR_STORE": str(disk / "store")}
        to_the_end(shell, **place)
        with suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        database = disk / "store" / "mlflow.db"
        says = f"{database} cannot be written (database or disk is full); make room, and the same command resumes."
        for command in (("rename", "small", "other"), ("delete", "small", "--yes"), ("search", "small.toml", "--trials", "2")):
            done = shell(*command, **place)
            told = done.returncode == 1 and done.stderr.rstrip().endswith(says) and "Traceback" not in done.stderr
            ledger.check(f"14 a full disk, {command[0]}", [] if told else [f"exit {done.returncode}: {done.stderr}"])
        (disk / "filler").unlink()
        assert shell("rename", "small", "other", **place).returncode == 0


@whole_table
def test_15_state_files_cut_short(tailor: Shell, ledger: Ledger) -> None:
    path = study(tailor.folder, trials=2)
    path.write_text(path.read_text().replace("[search]", '[search]\nengine = "keras-tuner"'))
    to_the_end(tailor)
    state = tailor.folder / "mlruns" / "keras_tuner" / "small" / "oracle.json"
    whole, chance = state.read_bytes(), dice("cuts")
    store = Store.at(str(tailor.folder / "mlruns"), {})
    mlflow, trials = open_client(store), 2
    for i in range(10):
        state.write_bytes(whole[: chance.randrange(len(whole))])
        if i % 5 == 0:  # the same command resumes
            trials += 1
            to_the_end(tailor, "--trials", str(trials))
        else:
            assert any("copied" in line for line in repair(find_study(mlflow, "small"), store))  # what the state before lacks
        ledger.check("15 the oracle's file cut short", broken(tailor.folder, trials=trials))
        whole = state.read_bytes()
    for file in state.parent.iterdir():
        file.write_bytes(file.read_bytes()[:5])
    said = tailor("search", "small.toml", "--trials", str(trials + 1))
    refused = said.returncode == 2 and "Traceback" not in said.stderr and str(state) in said.stderr
    wrong = [] if refused and len(runs(tailor.folder)[1]) == trials else [said.stderr]
    ledger.check("15 both of the oracle's files cut short", wrong)
