"""Tailor from Python: a script without a `__main__` guard, and what a result holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from conftest import Shell

import tailor
from tailor.experiments.api import Result, _spec, run
from tailor.experiments.errors import InputError, RunError
from tailor.experiments.store import Store
from tailor.experiments.system.forkserver import WORKER_ENV
from tailor.experiments.tracking.leaderboard import Row
from tailor.search.errors import StudyError
from tailor.search.study.load import build
from tailor.search.study.plain import read_settings

SCRIPT = """
import json
import tailor

print("the script runs")
import matplotlib
def style():
    return {name: value for name, value in dict.items(matplotlib.rcParams) if not name.startswith("backend")}
before = style()
result = tailor.run("small.toml", settings={"search.trials": 2, "workers.count": 1}, quiet=True)
trials = result.trials
import numpy as np
digits = np.zeros((3, 8, 8, 1), dtype="uint8")
import os, dask
print(json.dumps({
    "style": style() == before,
    "dask": dask.config.get("distributed.scheduler.allowed-failures"),
    "threads": os.environ.get("OMP_NUM_THREADS"),
    "columns": list(trials.columns), "values": trials["value"].tolist(), "best": result.best.value,
    "rate": str(trials["params.learning_rate"].dtype), "shape": result.model().predict(digits, verbose=0).shape,
}))
"""


@pytest.mark.slow
def test_a_script_without_a_main_guard_searches_once_and_gets_its_result(
    tmp_path: Path, write_study: Callable[..., Path]
) -> None:
    write_study()
    (tmp_path / "script.py").write_text(SCRIPT)
    own = {name: value for name, value in os.environ.items() if name not in WORKER_ENV}
    script = [sys.executable, "script.py"]
    done = subprocess.run(script, cwd=tmp_path, env=own, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the script runs") == 1
    got = json.loads(done.stdout.splitlines()[-1])
    assert got["values"] == sorted(got["values"], reverse=True)
    assert got["best"] == got["values"][0]
    assert {"trial", "status", "params.learning_rate", "metrics.best_val_accuracy"} <= set(got["columns"])
    assert got["rate"] == "float64"
    assert got["shape"] == [3, 10]
    assert got["threads"] is None  # the workers' setting, and not the script's
    assert got["style"] and got["dask"] > 0  # what the report's plots and the workers need is not left behind


def test_a_mapping_and_a_wrong_one(recorded: Shell) -> None:
    tables = {"study": {"name": "small", "dataset": "digits", "model": "mlp"}, "space": {"depth": {"low": 1, "high": 2}}}
    spec = _spec(tables, {"search.trials": 7, "training.units": 8})
    assert (spec.search.trials, spec.training) == (7, {"units": 8})
    with pytest.raises(StudyError, match="Did you mean 'trials'"):
        _spec(tables, {"search.trails": 7})
    before = dict(os.environ)
    result = Result(spec, Store.at(str(recorded.folder / "mlruns"), {}))
    assert len(result.trials) == 4
    assert dict(os.environ) == before


class Key(str, Enum):  # noqa: UP042 (older programs have such ones)
    BATCH_NORM = "training.batch_norm"


def test_what_a_program_passes_is_read_as_plain_data() -> None:
    tables = MappingProxyType(
        {
            "study": {"name": "small", "dataset": "digits", "model": "mlp"},
            "space": MappingProxyType({"depth": range(1, 3), "units": {"choices": np.array([8, 16])}}),
            "search": {"trials": np.int64(3)},
            "enqueue": ({"depth": np.int32(2)},),
        }
    )
    settings = {Key.BATCH_NORM: np.bool_(True), "space.dropout": np.float32(0.5), "training.activation": np.str_("relu")}
    spec = _spec(tables, read_settings(settings))
    assert [one.choices for one in spec.space.parameters[:2]] == [(1, 2), (8, 16)]
    assert (spec.search.trials, spec.enqueue[0]["depth"]) == (3, 2) and spec.training["batch_norm"] is True
    for said, wrong in (
        ("expected texts as keys, got 5", {5: 3}),
        ("settings.space.units: expected texts as keys, got 5", {"space.units": {5: 3}}),
        ("expected a mapping of keys to values", [("search.trials", 3)]),
    ):
        with pytest.raises(StudyError, match=said):
            tailor.run("quickstart", settings=wrong, quiet=True)


@pytest.mark.parametrize("wrong", [None, 5, Path("small")])
def test_an_argument_that_must_be_a_text_is_named(recorded: Shell, wrong: Any) -> None:
    store = recorded.folder / "mlruns"
    calls: dict[str, Callable[[], object]] = {
        "study": lambda: tailor.open(wrong, store=store),
        "to": lambda: tailor.promote("small", to=wrong, store=store),
        "reference": lambda: tailor.pull(wrong, "got", store=store),
        "format": lambda: tailor.export("digits", wrong, store=store),
    }
    for field, call in calls.items():
        with pytest.raises(InputError, match=f"^{field}: expected a text, got"):
            call()
    if wrong is not None:
        with pytest.raises(InputError, match=r"^name: expected a text"):
            tailor.registered(wrong, store=store)


def test_a_pulled_model_goes_home_where_a_person_says_so(
    recorded: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    tailor.pull("digits", "~/got", store=recorded.folder / "mlruns")
    model, labels = tailor.load("~/got")
    assert (tmp_path / "got" / "model.keras").is_file() and model.output_shape == (None, len(labels))


def test_a_fresh_search_keeps_the_earlier_one(tmp_path: Path) -> None:
    settings = {"search.max_epochs": 1, "workers.count": 1}
    for trials, fresh in ((2, False), (1, True)):
        result = tailor.run("quickstart", settings={**settings, "search.trials": trials}, store=tmp_path, fresh=fresh, quiet=True)
    assert len(result.trials) == 1 and len(tailor.open("quickstart-1", store=tmp_path).trials) == 2


def test_settings_over_a_spec_are_as_over_its_file() -> None:
    spec = _spec(tailor.read_study("quickstart"), {"search.engine": "keras-tuner", "search.trials": 3})
    assert (spec.search.engine, spec.search.sampler.name, spec.search.trials) == ("keras-tuner", "bayesian", 3)
    with pytest.raises(StudyError, match="Did you mean 'trials'"):
        _spec(spec, {"search.trails": 7})


def row(trial: int, front: int | None, **params: str) -> Row:
    return Row(trial, 1, "complete", 0.5, {}, front, "", params, {}, "", 0, 1)


def test_trials_have_their_types_and_the_best_keeps_the_constraints(monkeypatch: pytest.MonkeyPatch) -> None:
    study = {"name": "s", "dataset": "digits", "model": "mlp", "constraints": ["parameters <= 10"]}
    result = Result(build({"study": study}), Store.at(None, {}))
    board = [row(0, None, batch_norm="True", depth="2"), row(1, None, batch_norm="False", kind="a")]
    monkeypatch.setattr(Result, "leaderboard", lambda self: board)
    trials = result.trials
    assert trials["params.batch_norm"].tolist() == [True, False]
    assert trials["params.depth"].tolist()[0] == 2
    assert trials["params.kind"].tolist()[1] == "a"
    with pytest.raises(RunError, match="no complete trial that keeps its constraints"):
        _ = result.best
    board.append(row(2, 0))
    assert result.best.trial == 2


def test_the_data_folder_is_the_commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TAILOR_DATA", str(tmp_path / "here"))
    tables = {"study": {"name": "s", "dataset": "fashion-mnist", "model": "mlp"}}
    with pytest.raises(InputError, match="here"):
        run(tables, store=tmp_path / "mlruns", quiet=True)
    with pytest.raises(InputError, match="there"):
        run(tables, store=tmp_path / "mlruns", data=tmp_path / "there", quiet=True)


def test_another_studys_points_are_looked_for_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no study 'nobody'"):
        tailor.run("quickstart", store=tmp_path / "s", enqueue_from="nobody", quiet=True)
    assert not (tmp_path / "s").exists()


def test_a_study_file_is_read_by_its_path(write_study: Callable[..., Path]) -> None:
    assert tailor.read_study(str(write_study())).name == "small"
    assert tailor.read_study("quickstart", ["search.trials=3"]).search.trials == 3
    with pytest.raises(tailor.StudyError, match="quickstart"):
        tailor.read_study("quickstar")
