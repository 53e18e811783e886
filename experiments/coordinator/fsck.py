"""Repair a study that is not running: write what MLflow lacks, then make the engine, MLflow and the checkpoints agree."""

from __future__ import annotations

from collections.abc import Callable

from ...search import engines
from ...search.engines.protocol import Engine
from ...search.engines.states import has_state
from ...search.study.spec import StudySpec
from ..errors import InputError, RunError
from ..store import Store
from ..system.file_lock import hold_lock, lock_study, was_locked
from ..system.silence import silence
from ..tracking.leaderboard import OVERVIEW
from ..tracking.lease import Lease, describe_owner
from ..tracking.outbox import Outbox
from ..tracking.pending import refuse_pending
from ..tracking.reader import RecordedStudy
from ..tracking.spool import Spool
from ..trials.checkpoints import Checkpoints
from .reconcile import Stores, reconcile


def repair(study: RecordedStudy, store: Store) -> list[str]:
    """Repair a study that is not running. Returns a line for each repair, and for what cannot be repaired.

    Raises InputError if it runs, or may run.
    """
    refuse_pending(study.client, study, "there is nothing to repair")
    spec = study.read_spec()
    if not was_locked(store.locks, spec.name):
        raise InputError(
            f"study {spec.name!r} did not run from the store {store.root}, so it may be running elsewhere; "
            "name its store with --store."
        )
    if other := Lease(study.client, store).find_other(study.experiment_id):
        raise InputError(
            f"study {spec.name!r} may be running elsewhere, by {describe_owner(other)}; name that store with --store, "
            "or resume the study: a search waits for a sign of life."
        )
    with lock_study(store.locks, spec.name):
        study, lines = study.refresh(), list[str]()  # its search may have ended just now
        catch_up(Outbox(study, Spool(store.spool, spec.name), lines.append))
        checkpoints = Checkpoints(store.checkpoints, spec.name)
        lines += reconcile(
            Stores(study, open_engine(spec, store, lines.append), spec.goal, checkpoints), study.read_attempts()
        ).lines
        if study.running:
            study.client.set_terminated(study.run_id, "KILLED")
            lines.append("repaired: the study's run: its search was killed; closed")
        if lines and OVERVIEW in study.tags:
            study.client.delete_tag(study.run_id, OVERVIEW)
        return lines


def catch_up(outbox: Outbox) -> None:
    """Write to MLflow what an earlier session kept for it. Raises RunError if MLflow is still away."""
    outbox.retry(at_once=True)
    if outbox.waiting:
        raise RunError(f"MLflow cannot be written to, and {outbox.waiting} of an earlier session; try again when it can.")


def is_known(spec: StudySpec, store: Store) -> bool:
    """Whether an engine has a study of that name."""
    with hold_lock(store.locks / ".engines"):
        return has_state(spec.name, store.known_studies_url, store.oracles)


def open_engine(spec: StudySpec, store: Store, say: Callable[[str], None]) -> Engine:
    """Open the study's engine on the store, and create its study if it is new. Raises StudyError, StoreError."""
    # One at a time: two processes that create the tables of one database at once fail.
    with silence(), hold_lock(store.locks / ".engines"):  # Keras Tuner imports TensorFlow, which prints
        return engines.open_engine(spec, store.studies_url, store.oracles, say)
