"""Holds a study, or a whole store, for a change that no search or promotion may see half-done."""

from __future__ import annotations

import fcntl
import resource
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from mlflow import MlflowClient

from ..errors import InputError
from ..store import Store
from ..system.file_lock import lock_study, was_locked
from ..tracking.lease import CANDIDATES, TAG, Lease, Owner

SUFFIX = ".lock"
LONGEST_FILE = 255  # letters of a file's name; of a study with a longer one no promotion can begin


def ran_here(store: Store, study: str) -> bool:
    """Whether a study that was searched ran from this store; another one may share its MLflow."""
    return store.local or was_locked(store.locks, study)


def find_elsewhere(client: MlflowClient, store: Store, experiment_id: str) -> Owner | None:
    """The process of another store that runs or promotes the study, or died while it did."""
    found = (Lease(client, store, tag=tag).find_other(experiment_id) for tag in (TAG, CANDIDATES))
    return next((owner for owner in found if owner is not None), None)


@contextmanager
def hold_study(
    client: MlflowClient, store: Store, study: str, experiment_id: str, say: Callable[[str], None], searched: bool = True
) -> Iterator[None]:
    """Hold a study for the block. Raises InputError if a search or a promotion runs, here or by the lease elsewhere.

    If it was never `searched`, no store has anything of it, and any may hold it.
    """
    if searched and not ran_here(store, study):
        raise InputError(
            f"study {study!r} did not run from the store {store.root}, so it may be running elsewhere; "
            "name its store with --store."
        )
    with ExitStack() as stack:
        stack.enter_context(store.reserved())
        stack.enter_context(lock_study(store.locks, study))
        stack.enter_context(_hold_promotions(store, [study]))
        for tag in (TAG, CANDIDATES):
            lease = stack.enter_context(Lease(client, store, tag=tag))
            lease.acquire(experiment_id, study, say)
        yield


@contextmanager
def hold_store(store: Store) -> Iterator[None]:
    """Hold every study that ever ran from the store, for the block. Raises InputError if a search or a promotion runs."""
    with suppress(ValueError, OSError):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # two files a study are open at once
    with ExitStack() as stack:
        stack.enter_context(store.reserved())
        names = [path.name.removesuffix(SUFFIX) for path in sorted(store.locks.glob(f"*{SUFFIX}"))]
        studies = [name for name in names if "+" not in name]  # the others are promotions'
        for study in studies:
            stack.enter_context(lock_study(store.locks, study))
        stack.enter_context(_hold_promotions(store, studies))
        yield


@contextmanager
def _hold_promotions(store: Store, studies: Sequence[str]) -> Iterator[None]:
    """Hold every promotion that there was in the store, and the first one of these studies, which would make its lock."""
    first = {path for path in map(store.lock_of_promotions, studies) if len(path.name) <= LONGEST_FILE}
    with ExitStack() as stack:
        for path in (*store.locks.glob(".promote-*"), *sorted(first.union(store.locks.glob(f"*+*{SUFFIX}")))):
            file = stack.enter_context(path.open("a", encoding="utf-8"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(f"--store: a promotion runs in {store.root}; wait for it, or stop it first.") from error
        yield
