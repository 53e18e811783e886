"""What trials.py measures inside a worker: each function runs in a process of its own, of one thread, pinned to a core."""

from __future__ import annotations

import dataclasses
import os
import resource
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tailor.experiments.datasets import splits as splitting
from tailor.experiments.datasets.splits import DataHandle, Splits
from tailor.experiments.planning.resolve import open_data
from tailor.experiments.planning.study_file import read_study
from tailor.experiments.trials.job import EpochReport, TrialJob, make_job
from tailor.experiments.trials.run import run_trial
from tailor.search.engines.protocol import Suggestion
from tailor.search.study.spec import StudySpec


def opened(study: str, *settings: str) -> tuple[StudySpec, Splits]:
    """A shipped study and its data."""
    spec = read_study(study, settings)
    return spec, open_data(spec, Path(os.environ["TAILOR_DATA"]))


@dataclasses.dataclass
class Watch:
    """A channel that notes when the first unit of steps was done."""

    first: float = 0.0

    def report(self, report: EpochReport) -> bool:
        self.first = self.first or time.perf_counter()
        return False

    def replay(self, report: EpochReport) -> None:
        raise AssertionError("nothing is resumed here")

    def note(self, text: str) -> None:
        raise AssertionError(text)

    def check(self) -> None:
        self.first = self.first or time.perf_counter()


def fixed_costs() -> tuple[list[float], list[float]]:
    """Seconds for eight trials of architectures seen before and for as many new ones, in turn."""
    from tailor.experiments.workers.worker import prepare

    prepare()
    seen: list[float] = []
    new: list[float] = []
    with tempfile.TemporaryDirectory() as cache:
        spec, splits = opened("mlp-512-256-128")
        data = splitting.cache(splits, Path(cache))
        first = True
        for width in range(500, 509):
            for times, rate in ((new, 1e-3), (seen, 3e-3)):
                hparams = {"units_1": width, "learning_rate": rate, "dropout": 100 * rate, "batch_size": 64}
                job = dataclasses.replace(job_of(spec, hparams, data), epochs=1)
                watch, begun = Watch(), time.perf_counter()
                _succeed(job, watch)
                if not first:
                    times.append(watch.first - begun)
            first = False  # the data set was loaded, once a worker's life
    return seen, new


def job_of(spec: StudySpec, hparams: Mapping[str, Any], data: DataHandle, trial: int = 0) -> TrialJob:
    return make_job(spec, Suggestion(trial, hparams, spec.search.max_epochs), 1, data, "float32")


def _succeed(job: TrialJob, watch: Watch) -> Any:
    result = run_trial(job, watch)
    if result.status != "complete":
        raise SystemExit(result.traceback)
    return result


def memory_of_200() -> tuple[float, float]:
    """MiB after 20 and after 200 trials of a space with hundreds of architectures, on digits."""
    from tailor.experiments.workers.worker import prepare
    from tailor.search.engines import open_engine

    prepare()
    sizes = []
    with tempfile.TemporaryDirectory() as folder:
        spec, splits = opened(
            "fashion-mlp", "study.dataset=digits", "data.splits={}", "search.sampler=random", "search.trials=200"
        )
        spec = dataclasses.replace(spec, data=dataclasses.replace(spec.data, splits={}))
        data = splitting.cache(splits, Path(folder))
        engine = open_engine(spec, f"sqlite:///{folder}/studies.db", Path(folder))
        for trial in range(200):
            suggestion = engine.ask()
            assert isinstance(suggestion, Suggestion)
            _succeed(dataclasses.replace(job_of(spec, suggestion.hparams, data, trial), epochs=2), Watch())
            sizes.append(_resident_mib())
    return sizes[19], sizes[199]


def _resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def a_result() -> dict[str, Any]:
    """A real trial's result, as plain data: a small network on Fashion-MNIST for one epoch, its history made ten long."""
    from tailor.experiments.workers.worker import prepare

    prepare()
    with tempfile.TemporaryDirectory() as cache:
        spec, splits = opened("mlp-512-256-128")  # cut as fashion-cnn
        data = splitting.cache(splits, Path(cache))
        result = _succeed(dataclasses.replace(job_of(spec, {}, data), epochs=1), Watch())
    plain = dataclasses.asdict(dataclasses.replace(result, model=None, history=result.history * 10))
    return {**plain, "model": result.model.hex()}
