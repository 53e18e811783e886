"""A lease on a study in MLflow: one coordinator at a time, from any store or machine.

The store's file lock sees one folder, and one MLflow may serve several: a server, or a local store under a second address. So the
coordinator writes itself into a tag of the study's experiment too, and renews it every BEAT seconds. No clocks are compared: a
process that finds a lease watches, by its own clock, whether it changes. It does not wait for one that its file lock shows dead:

| lease of | a local store | another machine or store | this machine and store |
| --- | --- | --- | --- |
| for a local store | dead: its file lock is ours | watch it | dead |
| for another | watch it | watch it | dead |
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from types import TracebackType

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from ..errors import InputError, RunError
from ..store import Store
from .deleted import refuse_deleted_experiment
from .outage import is_away, refuses_request

TAG = "tailor.lease"
CANDIDATES = "tailor.lease.candidates"  # of a promotion that trains the study's candidates
BEAT = 10.0  # seconds between renewals
STALE = 45.0  # seconds without a renewal; then its owner counts as dead
SETTLE = 1.0  # seconds after which two processes that write at once have both written; the later one wins


@dataclass(frozen=True)
class Owner:
    """The process that holds a lease: a unique token, its id, machine and store, and how often it renewed.

    `local`: MLflow's data lies in its store, so that its file lock speaks for all that say so, also once the store was moved.
    """

    token: str
    pid: int
    host: str
    store: str
    beats: int = 0
    local: bool = False

    @classmethod
    def of_this_process(cls, store: Store) -> Owner:
        return cls(uuid.uuid4().hex, os.getpid(), socket.gethostname(), str(store.root), local=store.local)


@dataclass(frozen=True)
class Timing:
    """The clock of a lease, in seconds."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Lease:
    """The lease of one session, whose process holds the store's file lock of the study."""

    def __init__(self, client: MlflowClient, store: Store, timing: Timing = Timing(), tag: str = TAG) -> None:
        self._client = client
        self._timing = timing
        self._tag = tag
        self._me = Owner.of_this_process(store)
        self._experiment_id: str | None = None
        self._renewed = 0.0

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Give the lease back if MLflow takes that; otherwise it goes stale. It hides no error of the block."""
        if self._experiment_id is None:
            return
        try:
            found = self._read(self._experiment_id)
            if found is not None and found.token == self._me.token:
                self._client.set_experiment_tag(self._experiment_id, self._tag, "")
        except Exception as trouble:
            if not (is_away(trouble) or isinstance(trouble, MlflowException)):  # it refuses if the study was deleted
                raise

    def acquire(self, experiment_id: str, study: str, say: Callable[[str], None]) -> None:
        """Take the study. Raises InputError, which names the process that already runs it."""
        held = self._read(experiment_id)
        if held is not None and self._is_elsewhere(held):
            say(f"study {study!r}: {describe_owner(held)} may be running it; waiting {STALE:g} s for a sign of life")
            self._wait_for_silence(experiment_id, study, held)
        self._write(experiment_id)
        if self._me.local:  # few share it: no second is spent on them, and the first renewal looks whether one began at once
            self._experiment_id, self._renewed = experiment_id, self._timing.now() + SETTLE - BEAT
            return
        self._timing.sleep(SETTLE)
        found = self._read(experiment_id)
        if found is None or found.token != self._me.token:
            raise _refuse(study, found or self._me)
        self._experiment_id, self._renewed = experiment_id, self._timing.now()

    def find_other(self, experiment_id: str) -> Owner | None:
        """The process of another store or machine that holds the study's lease, alive or dead."""
        held = self._read(experiment_id)
        return held if held is not None and self._is_elsewhere(held) else None

    def renew(self) -> None:
        """Say that this process is alive, every BEAT seconds.

        Raises RunError if another process has taken the study, or it was deleted.
        """
        if self._experiment_id is None or self._timing.now() - self._renewed < BEAT:
            return
        self._renewed = self._timing.now()
        try:
            found = self._read(self._experiment_id)
            if found is not None and found.token != self._me.token:
                raise RunError(
                    f"{describe_owner(found)} has taken this study over: this process gave no sign of life, or both began at the "
                    "same moment. It stops here."
                )
            self._me = replace(self._me, beats=self._me.beats + 1)
            self._write(self._experiment_id)
        except Exception as trouble:
            if not (is_away(trouble) or refuses_request(trouble)):
                refuse_deleted_experiment(self._client, self._experiment_id)
                raise

    def _is_elsewhere(self, owner: Owner) -> bool:
        """Whether this process's file lock says nothing about that one."""
        same = (owner.host, owner.store) == (self._me.host, self._me.store)
        return not (same or (owner.local and self._me.local))

    def _wait_for_silence(self, experiment_id: str, study: str, held: Owner) -> None:
        begun = self._timing.now()
        while self._timing.now() - begun < STALE:
            self._timing.sleep(1.0)
            found = self._read(experiment_id)
            if found is None:
                return
            if found != held:
                raise _refuse(study, found)

    def _read(self, experiment_id: str) -> Owner | None:
        text = self._client.get_experiment(experiment_id).tags.get(self._tag)
        return Owner(**json.loads(text)) if text else None

    def _write(self, experiment_id: str) -> None:
        self._client.set_experiment_tag(experiment_id, self._tag, json.dumps(asdict(self._me)))


def describe_owner(owner: Owner) -> str:
    """The process, its machine and its store, for a line on the screen."""
    return f"process {owner.pid} on {owner.host} (store {owner.store})"


def _refuse(study: str, owner: Owner) -> InputError:
    return InputError(f"study {study!r} is being run by {describe_owner(owner)}; wait for it, or stop it first.")
