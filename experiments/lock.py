"""One coordinator a study: a lock that the system drops when its owner dies, with a note of who that is."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.errors import InputError


@contextmanager
def study_lock(folder: Path, study: str) -> Iterator[None]:
    """Hold the study, in this folder of locks. Raises InputError naming the process that holds it already."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{study}.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"study {study!r} is being run {_owner(file.name)}; wait for it, or stop it first.") from error
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        file.flush()
        yield


def known_lock(folder: Path, study: str) -> bool:
    """Whether the study was ever held in this folder of locks."""
    return (folder / f"{study}.lock").exists()


def _owner(path: str) -> str:
    try:
        owner = json.loads(Path(path).read_text())
    except ValueError:
        return "by a process that has just begun"
    return f"by process {owner['pid']} on {owner['host']}"
