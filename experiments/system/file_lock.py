"""One coordinator per study: a lock that the system drops when its owner dies, with a note of its owner."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from ..errors import InputError

LOOKS = 10


@contextmanager
def lock_study(folder: Path, study: str, keep: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Hold the study, in this folder of locks. If another process holds it, raises InputError that names the process.

    If `keep` returns False at the end, the study created nothing, and the lock's file is removed too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{study}.lock"
    while True:
        with path.open("a+", encoding="utf-8") as file:
            if not _take(file):
                raise InputError(f"study {study!r} is being run {_owner(path)}; wait for it, or stop it first.")
            if not _same(file, path):
                continue  # its last holder has just removed it
            _note_owner(file)
            try:
                yield
            finally:
                if not keep():
                    path.unlink()
            return


@contextmanager
def hold_lock(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a file's lock for the block; calls `waiting` if another process has it, and waits until it is free."""
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def share_lock(path: Path) -> Iterator[None]:
    """Hold a file's lock for the block together with others that share it; waits for one that holds it alone."""
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold a file's lock for the block; False if another process has it. A file system without locks gives it to everybody."""
    with path.open("a+", encoding="utf-8") as file:
        held = True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = False
        except OSError:
            pass
        yield held


def is_locked(folder: Path, study: str) -> bool:
    """Whether a process holds the study now."""
    with suppress(FileNotFoundError), (folder / f"{study}.lock").open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def was_locked(folder: Path, study: str) -> bool:
    """Whether the study was ever held in this folder of locks."""
    return (folder / f"{study}.lock").exists()


def _take(file: IO[str]) -> bool:
    """Take a file's lock; False if another process keeps it, for longer than `is_locked` looks."""
    for _ in range(LOOKS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return True
    return False


def _note_owner(file: IO[str]) -> None:
    """Write who holds the lock, which others are told. The lock holds without it: on a full disk it is left out.

    Past Python's buffer, which would be written once more, and fail again, when the file is closed.
    """
    note = json.dumps({"pid": os.getpid(), "host": socket.gethostname()})
    with suppress(OSError):
        file.truncate(0)
        os.write(file.fileno(), note.encode())


def _same(file: IO[str], path: Path) -> bool:
    try:
        return os.fstat(file.fileno()).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def _owner(path: Path) -> str:
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, FileNotFoundError):
        return "by another process"
    return f"by process {owner['pid']} on {owner['host']}"
