"""A worker process that grows from trial to trial is replaced between two of them; one with a built-in model does not grow."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faults import study
from pools import wait_for_end
from searches import worker_pids

from tailor.experiments.datasets.splits import cache
from tailor.experiments.planning.resolve import open_data
from tailor.experiments.trials.job import TrialResult, make_job
from tailor.experiments.workers.growth import FACTOR, SETTLED, Growth
from tailor.experiments.workers.pool import Pool
from tailor.search.engines.protocol import Suggestion
from tailor.search.study.load import load

LEAKY = """
import keras

HELD = []


def build(hparams, input_shape, num_classes):
    HELD.append(b"x" * 100_000_000)
    layers = [keras.layers.Input(input_shape), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    return keras.Sequential([*layers, keras.layers.Dense(num_classes, activation="softmax")])
"""


def test_a_process_is_too_large_by_what_it_was_after_its_first_trials() -> None:
    growth = Growth()
    for trial in range(SETTLED):
        growth.measure(100 * trial)
        assert not growth.is_too_large
    settled = 100 * (SETTLED - 1)
    growth.measure(int(FACTOR * settled))
    assert not growth.is_too_large
    growth.measure(int(FACTOR * settled) + 1)
    assert growth.is_too_large
    growth.measure(settled)  # it let go of it
    assert not growth.is_too_large


def run_trials(path: Path, count: int, vary: Callable[[int], dict[str, Any]]) -> list[int]:
    """Run the study's trials in turn on one worker; returns the process of each. All of them must be complete."""
    spec = load(path)
    data = cache(open_data(spec, None), path.parent / "cache")
    pool, processes, ends = Pool.open(1, 1, grace=60.0), list[int](), []
    try:
        for trial in range(count):
            job = make_job(spec, Suggestion(trial, {"learning_rate": 0.002, **vary(trial)}, 1), 1, data, "float32")
            pool.submit(job)
            ends.append(wait_for_end(pool))
            pool.forget(job)
            processes += worker_pids(os.getpid())
    finally:
        pool.close()
    assert [end.status if isinstance(end, TrialResult) else end.reason for end in ends] == ["complete"] * count
    return processes


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")
def test_a_worker_that_leaks_is_replaced_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leaky.py").write_text(LEAKY)
    path = study(tmp_path, trials=1, epochs=1)
    path.write_text(path.read_text().replace('model = "mlp"', 'model = "leaky.py:build"').replace("units = 16\n", ""))
    assert len(set(run_trials(path, SETTLED + 5, lambda trial: {}))) == 2


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")
def test_a_new_architecture_in_each_trial_is_no_growth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that grew by a tenth after its first SETTLED trials would be replaced, as it once was at trial 36."""
    monkeypatch.chdir(tmp_path)
    path = study(tmp_path, trials=1, epochs=1)
    path.write_text(path.read_text().replace("units = 16\n", ""))
    assert len(set(run_trials(path, SETTLED + 40, lambda trial: {"units": 8 + trial}))) == 1
