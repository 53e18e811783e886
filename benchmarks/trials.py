"""What a trial costs besides its training: fixed cost, tracking, memory over 200 trials, the engine's ask, the start.

TAILOR_DATA=DIR python benchmarks/trials.py [--only start,fixed,tracking,memory,engine] [--out benchmarks/RESULTS.md]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from common import machine, markdown, spread, write_section
from worker_side import job_of, opened

from tailor.experiments.datasets import splits as splitting
from tailor.experiments.planning.study_file import read_study
from tailor.experiments.store import Store
from tailor.experiments.trials.job import EpochReport
from tailor.search.engines.protocol import Outcome, Suggestion
from tailor.search.study.spec import StudySpec

HERE = Path(__file__).resolve().parent
ROWS: dict[str, Callable[[Path], list[list[str]]]] = {}  # by the name of --only


def row(name: str) -> Callable[..., Any]:
    """Enter a measurement under its name."""

    def enter(measure: Callable[[Path], list[list[str]]]) -> Callable[[Path], list[list[str]]]:
        ROWS[name] = measure
        return measure

    return enter


@row("start")
def start(folder: Path) -> list[list[str]]:
    """From the shell to the first epoch's metrics in MLflow, three times, each in a new store."""
    seconds = []
    for repeat in range(3):
        store = folder / f"start-{repeat}"
        begun = time.monotonic()
        command = [str(Path(sys.executable).parent / "tailor"), "search", "fashion-mlp", "--trials", "2", "--store", str(store)]
        search = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not _has_metrics(store / "mlflow.db"):
            if search.poll() not in (None, 0):
                raise SystemExit(f"the search failed; run it by hand: {' '.join(command)}")
            time.sleep(0.05)
        seconds.append(time.monotonic() - begun)
        search.terminate()
        search.wait()
    return [["`tailor search fashion-mlp`, shell to first report in MLflow", spread(seconds) + " s", "≤ 12 s (8 s)"]]


def _has_metrics(database: Path) -> bool:
    if not database.exists():
        return False
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)) as connection:
            return connection.execute("SELECT 1 FROM metrics LIMIT 1").fetchone() is not None
    except sqlite3.OperationalError:
        return False  # its tables are being made


def in_a_worker(measure: str) -> Any:
    """What a function of worker_side.py answers in a process like a worker: one thread, pinned to a core."""
    code = f"import sys; sys.path.insert(0, {str(HERE)!r}); import json, worker_side; print(json.dumps(worker_side.{measure}()))"
    pin = ["taskset", "-c", "0"] if hasattr(os, "sched_getaffinity") else []
    environment = {**os.environ, "TAILOR_WORKER_THREADS": "1"}
    done = subprocess.run([*pin, sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


@row("fixed")
def fixed(folder: Path) -> list[list[str]]:
    """A trial's fixed cost: from the job's arrival to the end of its first 32 steps."""
    seen, new = in_a_worker("fixed_costs")
    return [
        [
            "a trial's fixed cost, build to first 32 steps done: architecture seen before",
            spread(seen, 2) + " s",
            "≤ 0.3 s (0.1 s)",
        ],
        ["the same, new architecture", spread(new, 2) + " s", "≤ 1.5 s (1 s)"],
    ]


@row("memory")
def memory(folder: Path) -> list[list[str]]:
    """A worker's resident memory after trial 200 over that after trial 20, every trial sampled from a wide space."""
    early, late = in_a_worker("memory_of_200")
    text = f"**{late / early:.3f}** ({early:.0f} → {late:.0f} MiB)"
    return [["resident memory of a worker, trial 200 over trial 20", text, "≤ 1.1 (1.02)"]]


@row("tracking")
def tracking(folder: Path) -> list[list[str]]:
    """CPU of this process and its children for what the coordinator writes of a trial of ten epochs, its model too."""
    from tailor.experiments.tracking.lease import Lease
    from tailor.experiments.tracking.model_files import ModelFile
    from tailor.experiments.tracking.outbox import Outbox
    from tailor.experiments.tracking.reader import open_client
    from tailor.experiments.tracking.spool import Spool
    from tailor.experiments.tracking.tags import describe_origin, describe_study
    from tailor.experiments.tracking.tracker import Tracker, open_study

    spec, splits = opened("fashion-cnn")
    data = splitting.cache(splits, folder / "cache")
    result = in_a_worker("a_result")
    store = Store.at(str(folder / "tracking"), {})
    client, tags = open_client(store), {**describe_origin(folder), **describe_study(spec, splits)}
    outbox = Outbox(open_study(client, store, spec, tags), Spool(store.spool, spec.name), print)
    tracker = Tracker(outbox, splits, tags, Lease(client, store))
    ended = _revived(result)
    cpu: list[float] = []
    with_model: list[float] = []
    for trial in range(24):
        job = job_of(spec, {"learning_rate": 1e-3, "batch_size": 64, "blocks": 2}, data, trial)
        begun = _cpu()
        tracker.begin_attempt(job, job.values)
        for epoch, metrics in enumerate(ended.history, start=1):
            tracker.log_epoch(EpochReport(trial, 1, epoch, metrics, 3.0))
            if epoch % 2 == 0:
                tracker.flush()
        tracker.end_attempt(job, dataclasses.replace(ended, trial=trial))
        written = _cpu()
        tracker.log_model(job, ModelFile(ended.model, data.input_shape, data.num_classes, None), ended.best_epoch)
        cpu.append(1000 * (written - begun))
        with_model.append(1000 * (_cpu() - begun))
    limit = "≤ 250 ms (100 ms)"
    return [
        ["tracking: CPU for a trial of 10 epochs, all artifacts", spread(cpu[4:], 0) + " ms", limit],
        ["the same with its model logged (the kept only)", spread(with_model[4:], 0) + " ms", limit],
        ["the former, share of a 30-second trial", f"{statistics.median(cpu[4:]) / 300:.2f} %", "≤ 1 %"],
    ]


def _revived(plain: dict[str, Any]) -> Any:
    from tailor.experiments.trials.job import TrialResult
    from tailor.experiments.trials.metrics import Evaluation

    evaluation, model = Evaluation(**plain["evaluation"]), bytes.fromhex(plain["model"])
    return TrialResult(**{**plain, "evaluation": evaluation, "model": model, "history": tuple(plain["history"])})


def _cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


@row("engine")
def engine(folder: Path) -> list[list[str]]:
    """The engine's ask and tell in a study that has 10,000 trials."""
    import optuna

    from tailor.search.engines import open_engine

    spec = read_study("fashion-mlp", ("search.trials=20000",))
    url = f"sqlite:///{folder}/studies.db"
    open_engine(spec, url, folder)
    study = optuna.load_study(study_name=spec.name, storage=url)
    study.add_trials(list(_trials(spec, 10_000)))
    asker = open_engine(spec, url, folder)
    times: list[float] = []
    for _ in range(25):
        begun = time.perf_counter()
        suggestion = asker.ask()
        assert isinstance(suggestion, Suggestion)
        asker.tell(suggestion.trial, Outcome("complete", {spec.objective.metric: 0.8}))
        times.append(1000 * (time.perf_counter() - begun))
    return [["coordinator's ask + tell with 10,000 trials in the study (TPE)", spread(times[5:], 0) + " ms", "≤ 150 ms (20 ms)"]]


def _trials(spec: StudySpec, count: int) -> Iterator[Any]:
    """Complete trials of the space, drawn at random by Optuna itself."""
    import optuna

    from tailor.search.engines.optuna import HPARAMS

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    for number in range(count):
        trial = study.ask()
        hparams = spec.source.draw(trial)
        trial.set_user_attr(HPARAMS, hparams)
        study.tell(trial, 0.5 + 0.4 * (number * 2654435761 % 1000) / 1000)
    yield from study.get_trials(deepcopy=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(ROWS))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    for name in options.only.split(","):
        with tempfile.TemporaryDirectory() as folder:
            rows += ROWS[name](Path(folder))
            print(rows[-1], file=sys.stderr)
    text = f"""
{machine("tensorflow", "keras", "optuna", "mlflow")} Median (least–most). Command: `python benchmarks/trials.py`.

{markdown(("what", "measured", "floor (reach)"), rows)}
"""
    write_section(options.out, "What a trial costs besides its training", text)


if __name__ == "__main__":
    main()
