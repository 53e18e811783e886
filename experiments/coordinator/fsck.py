"""A study's stores brought to agree when nobody runs it: its engine opened, what MLflow lacks written, the rest reconciled."""

from __future__ import annotations

from ...search import engines
from ...search.engines.protocol import Engine
from ...search.study.spec import StudySpec
from ..errors import InputError, RunError
from ..store import Store
from ..system.file_lock import hold_lock, lock_study, was_locked
from ..system.silence import silence
from ..tracking.leaderboard import OVERVIEW
from ..tracking.outbox import Outbox
from ..tracking.reader import RecordedStudy
from ..tracking.spool import Spool
from ..trials.checkpoints import Checkpoints
from .reconcile import Stores, reconcile


def repair(study: RecordedStudy, store: Store) -> list[str]:
    """Reconcile a study that nobody runs; a line for each repair. Raises InputError if somebody runs it, or might."""
    spec = study.read_spec()
    if not was_locked(store.locks, spec.name):
        raise InputError(
            f"study {spec.name!r} was not run from the store {store.root}: whether it is running now is known only there; "
            "name that store with --store."
        )
    with lock_study(store.locks, spec.name):
        lines: list[str] = []
        catch_up(Outbox(study, Spool(store.spool, spec.name), lines.append))
        checkpoints = Checkpoints(store.checkpoints, spec.name)
        lines += reconcile(Stores(study, open_engine(spec, store), spec.goal, checkpoints), study.read_attempts()).lines
        if study.running:
            study.client.set_terminated(study.run_id, "KILLED")
            lines.append("the study's run: its search was killed; closed")
        if lines and OVERVIEW in study.tags:
            study.client.delete_tag(study.run_id, OVERVIEW)
        return lines


def catch_up(outbox: Outbox) -> None:
    """See that MLflow has all that an earlier session kept for it. Raises RunError where it still takes nothing."""
    outbox.retry(at_once=True)
    if outbox.waiting:
        raise RunError(f"MLflow cannot be written to, and {outbox.waiting} of an earlier session; try again when it can.")


def open_engine(spec: StudySpec, store: Store) -> Engine:
    """The study's engine on the store, created where it is new. Raises StudyError, StoreError."""
    # One at a time: two that make the tables of one database at once trip over each other.
    with silence(), hold_lock(store.locks / ".engines"):  # Keras Tuner brings TensorFlow, which chatters
        return engines.open_engine(spec, store.studies_url, store.oracles)
