"""One session of a search: check the input, open the stores and the workers, run the coordinator, close everything."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from mlflow import MlflowClient

from ...models.errors import ModelError
from ...models.references import is_file
from ...models.training.keras_config import require_tensorflow
from ...search import engines
from ...search.engines.protocol import Suggestion
from ...search.study.capabilities import explain_pruner, explain_repeats
from ...search.study.spec import StudySpec
from ..datasets import splits as splitting
from ..datasets.splits import DataHandle, Splits
from ..errors import InputError, RunError, write_command
from ..planning import recorded_defaults
from ..planning.initial_points import add_defaults, add_recorded, draws_alike, find_best_points
from ..planning.keras_tuner_space import discover
from ..planning.resolve import ask_about, find_ends, open_all
from ..planning.resume_check import find_same, has_code_changed, keep_losses, list_digests
from ..store import Store
from ..system.cpus import count_cores
from ..system.file_lock import lock_study
from ..system.signals import stopping
from ..system.silence import silence
from ..system.words import count, list_names
from ..tracking.full_disk import name_full_disk
from ..tracking.lease import Lease
from ..tracking.outbox import Outbox
from ..tracking.question import require_database
from ..tracking.reader import RecordedStudy, find_study, no_study, open_client, prepare_database
from ..tracking.recorded import DEFAULTS, PRECISION, PROMOTABLE, RecordedAttempt
from ..tracking.spool import Spool
from ..tracking.tags import describe_machine, describe_origin, describe_study
from ..tracking.tracker import Tracker, open_experiment, open_study
from ..trials.checkpoints import Checkpoints
from ..trials.failure import advise, describe_error, trace_own
from ..trials.job import make_job
from ..trials.preflight import Preflight, list_losses
from ..workers.cluster import Cluster
from ..workers.pool import Pool
from .coordinator import Coordinator, Parts
from .display import describe_resumed
from .finish import Ended, draw_report, finish, warn_of_chance
from .fsck import catch_up, is_known, open_engine
from .progress import Screen
from .reconcile import Stores, check_known, check_new, reconcile


@dataclass(frozen=True)
class Places:
    """Where a search finds and keeps things."""

    store: Store
    data_dir: Path | None = None
    cluster: str | None = None
    enqueue_from: str | None = None  # a study whose best points are tried first
    make_room: Callable[[str], None] | None = None  # renames an earlier study of that name, once this one can begin


def run_search(spec: StudySpec, places: Places, screen: Screen) -> Ended:
    """Run a study, or resume it. Raises InputError for wrong input, before it creates anything, and RunError otherwise."""
    with silence():
        if spec.search.engine == "keras-tuner":  # it brings Keras into this process
            require_tensorflow()
        engines.check(spec)
    splits = open_all(spec, places.data_dir)
    for note in splits.notes:
        screen.line(f"{spec.dataset}: {note}")
    if not spec.source.known:
        screen.line("calling the model, to find the hyperparameters that it declares")
        spec = discover(spec, splits)
        screen.line(f"declared: {', '.join(spec.found.declared) or 'none'}")
    for question in ask_about(spec):
        screen.line(question)
    if repeats := explain_repeats(spec):
        screen.line(repeats)
    store = places.store
    require_database(store)
    if places.enqueue_from is not None:  # while the name of a study that makes room still means it
        spec = _enqueued(spec, store, places.enqueue_from, screen)
    with store.reserved(), ExitStack() as held:
        found = None
        if places.make_room is None:
            found = _take(spec, splits, store, held)
            if found is not None and (ended := _already_done(found, spec, store, screen)) is not None:
                return ended
        measured = "auto" if found is None else found.tags.get(PRECISION, "auto")
        given = [f"workers.{name}" for name in ("count", "threads") if getattr(spec.workers, name)]
        if places.cluster is not None and given:
            screen.line(f"the cluster's workers decide how much runs at once, not {list_names(given)}")
        screen.line("starting the workers")
        with prepare_database(store) as keep_database, open_pool(spec, places) as pool:
            shape = splits.train.images.shape[1:]
            preflight = check_model(pool, spec, DataHandle("", shape, len(splits.class_names)), screen.line, measured)
            code = _read_code(spec, preflight.code)
            if places.make_room is not None:
                places.make_room(spec.name)
                found = _take(spec, splits, store, held)
            if found is None:
                spec = add_defaults(spec, preflight.first)
            with name_full_disk(store):
                keep_database()  # first: an address that cannot be created leaves nothing behind
                store.create()
                client = open_client(store)
                if found is None and is_known(spec, store):  # before the experiment is made
                    check_new(spec.name, open_engine(spec, store, screen.line))
                with Lease(client, store) as lease:
                    lease.acquire(open_experiment(client, store, spec.name), spec.name, screen.line)
                    machine = describe_machine(count_workers(spec)[1]) if places.cluster is None else {}
                    return _coordinate(spec, store, splits, pool, Decided(client, screen, preflight, code, lease, machine))


def _take(spec: StudySpec, splits: Splits, store: Store, held: ExitStack) -> RecordedStudy | None:
    """Lock the study until `held` closes, and return it if it is in the store. Raises InputError if it is another one."""
    held.enter_context(lock_study(store.locks, spec.name, keep=store.spool.is_dir))
    return find_same(open_client(store), spec, splits) if store.exists else None


def _enqueued(spec: StudySpec, store: Store, study: str, screen: Screen) -> StudySpec:
    """The spec with the best points of another study enqueued."""
    if not store.exists:
        raise InputError(f"--enqueue-from: there is no study {study!r}: the store {store.place} is empty; name another --store.")
    if not spec.source.declared:
        raise InputError("--enqueue-from: expected a study with a declared [space]; remove --enqueue-from, or study.space.")
    client = open_client(store)
    other = find_study(client, study)
    if other is None:
        raise no_study("--enqueue-from", study, client)
    points = find_best_points(other, spec.space)
    screen.line(f"trying {count(len(points), 'point')} of study {study} first")
    if draws_alike(other.read_spec(), spec):
        screen.line(f"the rest may repeat draws of study {study}, which had the same seed; --seed N draws others")
    return dataclasses.replace(spec, enqueue=(*spec.enqueue, *points))


@dataclass(frozen=True)
class Decided:
    """What a session opened and measured before its coordinator starts."""

    client: MlflowClient
    screen: Screen
    preflight: Preflight
    code: bytes | None  # the factory's file, if the study names a file
    lease: Lease
    machine: Mapping[str, str]  # tags; empty for a cluster, whose workers are elsewhere


def _coordinate(spec: StudySpec, store: Store, splits: Splits, pool: Pool, decided: Decided) -> Ended:
    """Open the stores and run the coordinator to its end; the study's lock is held."""
    client, screen, preflight = decided.client, decided.screen, decided.preflight
    before = find_study(client, spec.name)
    data = splitting.cache(splits, store.cache)
    if before is not None:
        spec = recorded_defaults.keep_pruner(add_recorded(spec, before), before.read_spec())
    if pruner := explain_pruner(spec):
        screen.line(pruner)
    engine = open_engine(spec, store, screen.line)
    checkpoints, digests = Checkpoints(store.checkpoints, spec.name), list_digests(spec, preflight.code)
    attempts: Sequence[RecordedAttempt] = ()
    if before is not None:  # before its run opens again: the kept entries may hold its end
        if has_code_changed(spec, before, digests, engine):
            checkpoints.clear()
            for tag in digests.keys() & before.tags.keys():
                client.delete_tag(before.run_id, tag)
        catch_up(Outbox(before, Spool(store.spool, spec.name), screen.line))
        attempts = before.read_attempts()
        check_known(spec, engine, attempts)
    # Trials use copies, so you may edit the files during the search.
    code = None if decided.code is None else checkpoints.keep_code(_find_code(spec).name, decided.code)
    losses = keep_losses(checkpoints, list_losses(spec), digests)
    tags = {**describe_origin(Path.cwd()), **describe_study(spec, splits), **decided.machine}
    study = open_study(client, store, spec, {**tags, PROMOTABLE: "yes" if preflight.promotable else "no"})
    tracker = Tracker(Outbox(study, Spool(store.spool, spec.name), screen.line), splits, tags, decided.lease)
    tracker.begin_study()
    study.record_once(DEFAULTS, json.dumps(recorded_defaults.list_defaults(spec)))
    for tag, text in digests.items():
        study.record_once(tag, text)
    precision = study.record_once(PRECISION, preflight.precision)
    if preflight.note:
        screen.line(preflight.note)
    repairs = reconcile(Stores(study, engine, spec.goal, checkpoints), attempts)
    for line in repairs.lines:
        screen.line(line)
    coordinator = Coordinator(Parts(spec, data, engine, tracker, pool, screen, checkpoints, precision, code, losses))
    coordinator.resume(repairs.attempts, tracker.outbox.find_models())
    if attempts:
        screen.line(describe_resumed(coordinator.progress, len(engine.unfinished())))
    with stopping(coordinator.stop) as caught:
        coordinator.run()
    ended = finish(coordinator, tracker, caught[-1] if caught else 0)
    if not ended.signal and not ended.waiting:
        draw_report(study, screen)
        warn_of_chance(study, splits, screen)
    return dataclasses.replace(ended, promotable=preflight.promotable)


def _read_code(spec: StudySpec, digest: str) -> bytes | None:
    """The factory's file, if the study names a file. Raises InputError if it is not the one that was checked."""
    if not is_file(spec.model):
        return None
    path = _find_code(spec)
    code = path.read_bytes()
    if hashlib.sha256(code).hexdigest() != digest:
        raise InputError(f"study.model: {path} changed while the search started; run the same command again.")
    return code


def _find_code(spec: StudySpec) -> Path:
    """The file of a study whose model names one."""
    return Path(spec.model.rpartition(":")[0])


def check_model(pool: Pool, spec: StudySpec, data: DataHandle, say: Callable[[str], None], precision: str = "auto") -> Preflight:
    """Build the space's smallest model on a worker; `precision` is what the study trains in, if it began before.

    Raises InputError if it cannot be built.
    """
    smallest, _ = find_ends(spec)
    try:
        job = make_job(spec, Suggestion(0, smallest, 1), 0, data, precision)
        return pool.preflight(job, say, list_losses(spec))
    except RunError:
        raise
    except (InputError, ModelError) as error:
        raise InputError(str(error)) from error
    except Exception as error:
        said = describe_error(error)
        raise InputError(f"model {spec.model!r} failed while it was built: {said}{advise(said)}{trace_own(error)}") from error


def _already_done(study: RecordedStudy, spec: StudySpec, store: Store, screen: Screen) -> Ended | None:
    """How a finished study ended; None if any work is left, even only a run to close or a report to draw."""
    engine = open_engine(spec, store, screen.line)
    records = engine.records()
    if engine.unfinished() or len(records) < spec.search.trials:
        return None
    known = is_file(spec.model) and _find_code(spec).is_file()
    code = hashlib.sha256(_find_code(spec).read_bytes()).hexdigest() if known else ""
    has_code_changed(spec, study, list_digests(spec, code), engine)  # what it raises, no larger --trials would change
    catch_up(Outbox(study, Spool(store.spool, spec.name), screen.line))
    complete = sum(record.outcome.status == "complete" for record in records)
    if study.refresh().run_status != "FINISHED" or (complete and not study.has_report()):
        return None
    spent = engine.left() == 0
    if not complete:
        shown, way = write_command("ui", spec.name), "--fresh begins anew" if spent else "a larger --trials resumes it"
        raise RunError(f"no trial of study {spec.name!r} completed; {shown} shows why, and {way}.")
    reason = f"all {len(records)} trials were done before" + ("" if spent else "; a larger --trials resumes it")
    return Ended(study.experiment_id, reason, 0, complete, promotable=study.promotable, spent=spent)


def count_workers(spec: StudySpec) -> tuple[int, int]:
    """The number of workers, and of threads in each: by default one worker a core; fewer workers share the cores."""
    count = spec.workers.count or count_cores()
    return count, spec.workers.threads or max(1, count_cores() // count)


@contextmanager
def open_pool(spec: StudySpec, places: Places) -> Iterator[Pool]:
    """The workers for a study: this machine's, or the cluster's that share the store's folder."""
    with ExitStack() as held:
        cluster = None
        if places.cluster is not None:
            shared = held.enter_context(NamedTemporaryFile(prefix=".shared-", dir=places.store.locks.resolve()))
            cluster = Cluster(places.cluster, Path(shared.name))
        pool = Pool.open(*count_workers(spec), spec.workers.grace, cluster)
        held.callback(pool.close)
        yield pool
