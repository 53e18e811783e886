"""The same study and seed give the same numbers, trial by trial, with one worker of one thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Shell
from searches import client, runs

ONE = ("--workers", "1", "--set", "workers.threads=1")
MEASURED_TIME = {"train_seconds", "samples_per_second", "latency_ms"}


def numbers(folder: Path) -> list[dict[str, Any]]:
    """Each trial's hyperparameters and every metric by epoch, but for times."""
    mlflow = client(folder)
    found = []
    for run in runs(folder)[1]:
        names = sorted(run.data.metrics.keys() - MEASURED_TIME)
        history = {name: [m.value for m in mlflow.get_metric_history(run.info.run_id, name)] for name in names}
        found.append({**run.data.params, **history, "tag": run.data.tags["tailor.status"]})
    return found


STREAMED = ("--set", "workers.in_memory=false")


@pytest.mark.slow
def test_a_repeat_gives_the_same_numbers_of_images_from_a_file_too(tmp_path: Path, write_study: Callable[..., Path]) -> None:
    study = write_study(('sampler = "random"', 'sampler = "tpe"'), ("batch_norm = true", "batch_norm = true\ndropout = 0.2"))
    seen = []
    for name, options in (("first", ()), ("same", ()), ("streamed", STREAMED)):
        folder = tmp_path / name
        folder.mkdir()
        done = Shell(folder)("search", str(study), *ONE, *options)
        assert done.returncode == 0, done.stderr
        seen.append(numbers(folder))
    assert len(seen[0]) == 4
    assert seen[0] == seen[1] == seen[2]
