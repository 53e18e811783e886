"""One `tailor search`: checks, opens the stores and the workers, runs the coordinator, and closes everything again."""

from __future__ import annotations

import dataclasses
import signal
import tempfile
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from experiments.checkpoints import Checkpoints
from experiments.cores import cores
from experiments.datasets import splits as splitting
from experiments.datasets.splits import DataHandle, Splits
from experiments.errors import InputError, RunError
from experiments.lock import known_lock, study_lock
from experiments.plan import differences, ends, make_job, open_data
from experiments.pool import Pool
from experiments.progress import Screen
from experiments.quiet import quiet
from experiments.reconcile import Stores, reconcile
from experiments.recorded import find_study, new_database, open_client, recorded_spec
from experiments.starting_points import best_points
from experiments.store import Store
from experiments.study import Coordinator, Parts
from experiments.tags import common_tags
from experiments.tracking import Tracker
from experiments.worker import Preflight
from search import engines
from search.engine import Engine, Suggestion
from search.spec import StudySpec


@dataclass(frozen=True)
class Places:
    """Where a search finds and keeps things."""

    store: Store
    data_dir: Path | None = None
    cluster: str | None = None
    enqueue_from: str | None = None  # a study whose best points are tried first


@dataclass(frozen=True)
class Ended:
    """How a session ended: why it asked for no more, and the signal that stopped it (0 for none)."""

    experiment_id: str
    reason: str
    signal: int
    complete: int


def run_search(spec: StudySpec, places: Places, screen: Screen) -> Ended:
    """Run a study, or go on with it. Raises InputError for what is wrong before anything is created, RunError otherwise."""
    with quiet():
        engines.check(spec)
    splits = open_data(spec, places.data_dir)
    store = places.store
    if places.enqueue_from is not None:
        if not store.exists:
            raise InputError(f"--enqueue-from: there is no study {places.enqueue_from!r}: the store {store.root} is empty.")
        found_points = best_points(open_client(store), places.enqueue_from, spec.space)
        spec = dataclasses.replace(spec, enqueue=(*spec.enqueue, *found_points))
        screen.line(f"{len(found_points)} points of study {places.enqueue_from} are tried first")
    if store.exists:
        with study_lock(store.locks, spec.name):  # told at once, rather than when the workers have started
            client = open_client(store)
            check_same(client, spec, splits)
            if find_study(client, spec.name) is not None and (ended := _already_done(client, spec, store)):
                return ended
    screen.line("the workers are starting")
    with new_database(store) as keep_database, _pool(spec, places) as pool:
        shape = splits.train.images.shape[1:]
        found = preflight(pool, spec, DataHandle("", shape, len(splits.class_names)))
        store.create()
        keep_database()
        with study_lock(store.locks, spec.name):
            client = open_client(store)
            check_same(client, spec, splits)  # another process may have been first
            return _coordinate(spec, store, splits, pool, Decided(client, screen, found))


@dataclass(frozen=True)
class Decided:
    """What a session has opened and measured before its coordinator begins."""

    client: MlflowClient
    screen: Screen
    found: Preflight


def _coordinate(spec: StudySpec, store: Store, splits: Splits, pool: Pool, decided: Decided) -> Ended:
    """Open the stores and run the coordinator to its end; the study's lock is held."""
    data = splitting.cache(splits, store.cache)
    engine = _engine(spec, store)
    tracker = Tracker.open(decided.client, store, spec, splits, common_tags(Path.cwd()))
    precision = tracker.decided("tailor.precision", decided.found.precision)
    if decided.found.note:
        decided.screen.line(decided.found.note)
    checkpoints = Checkpoints(store.checkpoints, spec.name)
    parts = Parts(spec, splits, data, engine, tracker, pool, decided.screen, checkpoints, precision)
    coordinator = Coordinator(parts)
    with _signals(coordinator) as caught:
        coordinator.run()
    ended = _finish(coordinator, tracker, caught[-1] if caught else 0)
    if not ended.signal:
        _report(tracker, decided.screen)
    return ended


def mend(client: MlflowClient, study: tuple[str, Run], store: Store) -> list[str]:
    """Reconcile a study that nobody runs, and say what was mended. Raises InputError where somebody does, or might."""
    experiment_id, run = study
    spec = recorded_spec(run)
    if not known_lock(store.locks, spec.name):
        raise InputError(
            f"study {spec.name!r} was not run from the store {store.root}: whether it is running now is known only there; "
            "name that store with --store."
        )
    with study_lock(store.locks, spec.name):
        stores = Stores(client, experiment_id, _engine(spec, store), spec.goal, Checkpoints(store.checkpoints, spec.name))
        mended = reconcile(stores)
        if run.info.status == "RUNNING":
            client.set_terminated(run.info.run_id, "KILLED")
            mended.append("the study's run: its search was killed; closed")
        return mended


def check_same(client: MlflowClient, spec: StudySpec, splits: Splits) -> None:
    """Raise InputError with the differences when the store has another study of that name."""
    found = find_study(client, spec.name)
    if found is None:
        return
    _, run = found
    changed = differences(recorded_spec(run).identity(), spec.identity())
    digest = run.data.tags.get("tailor.dataset_sha256")
    if digest != splits.digest:
        changed.append(f"data digest: {digest} → {splits.digest}")
    if changed:
        raise InputError(
            f"study {spec.name!r} is in the store already and differs: {'; '.join(changed)}. "
            "Give the new one another name with --name, or undo the change to go on with the old one."
        )


def preflight(pool: Pool, spec: StudySpec, data: DataHandle) -> Preflight:
    """Build the space's smallest model on a worker. Raises InputError with what is wrong with it."""
    smallest, _ = ends(spec)
    try:
        return pool.preflight(make_job(spec, Suggestion(0, smallest, 1), 0, data))
    except RunError:
        raise
    except ValueError as error:
        if type(error).__module__.startswith("models."):
            raise InputError(str(error)) from error
        raise InputError(f"model {spec.model!r} failed while it was built: {_traced(error)}") from error
    except Exception as error:
        raise InputError(f"model {spec.model!r} failed while it was built: {_traced(error)}") from error


def _already_done(client: MlflowClient, spec: StudySpec, store: Store) -> Ended | None:
    engine = _engine(spec, store)
    told = engine.records()
    if engine.unfinished() or len(told) < spec.search.trials:
        return None
    experiment_id, _ = find_study(client, spec.name) or ("", None)
    complete = sum(record.outcome.status == "complete" for record in told)
    return Ended(experiment_id, f"all {len(told)} trials were done before; a larger --trials goes on", 0, complete)


def _engine(spec: StudySpec, store: Store) -> Engine:
    with quiet():  # Keras Tuner brings TensorFlow, which chatters
        return engines.open_engine(spec, store.studies_url, store.oracles)


def _report(tracker: Tracker, screen: Screen) -> None:
    """Draw the study's report and log it to its run. A search is not lost for a picture: what fails is told."""
    from experiments.reports import report

    screen.line("drawing the report")
    try:
        made = report.make(tracker.client, tracker.experiment_id, tracker.client.get_run(tracker.run_id))
        with tempfile.TemporaryDirectory() as folder:
            report.log(tracker.client, tracker.run_id, made, Path(folder))
    except Exception as error:
        screen.line(f"the report could not be made ({type(error).__name__}: {error}); `tailor report` tries again")


def _finish(coordinator: Coordinator, tracker: Tracker, caught: int) -> Ended:
    progress = coordinator.progress
    tags = {"tailor.ended": coordinator.exhausted or "stopped"}
    if progress.best is not None:
        tags["tailor.best_trial"] = str(progress.best[0])
    tracker.end_study("KILLED" if caught else "FINISHED", tags)
    if progress.failed and not progress.complete and not caught:
        raise RunError(
            f"no trial completed ({progress.failed} failed, {progress.pruned} pruned); the first failed with: "
            f"{coordinator.first_failure or 'see the runs in MLflow'}."
        )
    return Ended(tracker.experiment_id, coordinator.exhausted, caught, progress.complete)


def crew(spec: StudySpec) -> tuple[int, int]:
    """How many workers, and threads each: one worker a core, or the cores shared out among fewer workers."""
    count = spec.workers.count or cores()
    return count, spec.workers.threads or max(1, cores() // count)


@contextmanager
def _pool(spec: StudySpec, places: Places) -> Iterator[Pool]:
    pool = Pool.open(*crew(spec), places.cluster)
    try:
        yield pool
    finally:
        pool.close()


@contextmanager
def _signals(coordinator: Coordinator) -> Iterator[list[int]]:
    """Ctrl-C or SIGTERM once stops cleanly; a second one at once."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def handle(number: int, frame: types.FrameType | None) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)
        coordinator.stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _traced(error: BaseException) -> str:
    import traceback

    return "\n" + "".join(traceback.format_exception(error)).rstrip()
