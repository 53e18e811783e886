"""A study's stores brought to agree when nobody runs it: its engine opened, what MLflow lacks written, the rest reconciled."""

from __future__ import annotations

from mlflow import MlflowClient
from mlflow.entities import Run

from ...search import engines
from ...search.engines.protocol import Engine
from ...search.study.spec import StudySpec
from ..errors import InputError, RunError
from ..store import Store
from ..system.file_lock import known_lock, study_lock, waiting_lock
from ..system.silence import quiet
from ..tracking.outbox import Outbox
from ..tracking.reader import recorded_spec
from ..tracking.spool import Spool
from ..trials.checkpoints import Checkpoints
from .reconcile import Stores, reconcile


def mend(client: MlflowClient, study: tuple[str, Run], store: Store) -> list[str]:
    """Reconcile a study that nobody runs, and say what was mended. Raises InputError where somebody does, or might."""
    experiment_id, run = study
    spec = recorded_spec(client, run)
    if not known_lock(store.locks, spec.name):
        raise InputError(
            f"study {spec.name!r} was not run from the store {store.root}: whether it is running now is known only there; "
            "name that store with --store."
        )
    with study_lock(store.locks, spec.name):
        mended: list[str] = []
        catch_up(Outbox(client, (experiment_id, run.info.run_id), Spool(store.spool, spec.name), mended.append))
        stores = Stores(client, experiment_id, engine_of(spec, store), spec.goal, Checkpoints(store.checkpoints, spec.name))
        mended += reconcile(stores)
        if run.info.status == "RUNNING":
            client.set_terminated(run.info.run_id, "KILLED")
            mended.append("the study's run: its search was killed; closed")
        return mended


def catch_up(outbox: Outbox) -> None:
    """See that MLflow has all that an earlier session kept for it. Raises RunError where it still takes nothing."""
    outbox.retry(at_once=True)
    if outbox.waiting:
        raise RunError(f"MLflow cannot be written to, and {outbox.waiting} of an earlier session; try again when it can.")


def engine_of(spec: StudySpec, store: Store) -> Engine:
    """The study's engine on the store, created where it is new. Raises StudyError, StoreError."""
    # One at a time: two that make the tables of one database at once trip over each other.
    with quiet(), waiting_lock(store.locks / ".engines"):  # Keras Tuner brings TensorFlow, which chatters
        return engines.open_engine(spec, store.studies_url, store.oracles)
