"""Whole searches over a space that a function defines by running: what is recorded, a changed function, unknown names."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import optuna
import pytest
from conftest import SMALL, Shell
from searches import client, runs

SUGGEST = """
import optuna


def suggest(trial):
    depth = trial.suggest_int("how deep", 1, 2)
    units = {f"units_{layer}": trial.suggest_categorical(f"width {layer}", [8, 16]) for layer in range(1, depth + 1)}
    return {"depth": depth, "learning_rate": trial.suggest_float("rate", 1e-3, 1e-1, log=True), **units}


def failing(trial):
    if trial.study.study_name == "small" and trial.number == 1:  # in the search alone, while the first one trains
        raise RuntimeError("not this one: b\\udcfccher")
    return suggest(trial)


def picky(trial):
    values = suggest(trial)
    if values["units_1"] == 16:
        raise optuna.TrialPruned()
    return values


def misspelt(trial):
    values = suggest(trial)
    return {"dpth" if name == "depth" and values["depth"] == 2 else name: value for name, value in values.items()}
"""


@pytest.fixture
def study(tailor: Shell) -> Path:
    head, _, rest = SMALL.partition("[space]")
    text = (
        head.replace('model = "mlp"', 'model = "mlp"\nspace = "mine.py:suggest"') + "[training]" + rest.partition("[training]")[2]
    )
    (tailor.folder / "small.toml").write_text(text)
    (tailor.folder / "mine.py").write_text(SUGGEST)
    return tailor.folder / "small.toml"


def test_a_search_records_what_is_returned_and_a_combination_that_is_forbidden_is_no_trial(tailor: Shell, study: Path) -> None:
    picky = ("--set", "study.space=mine.py:picky")
    done = tailor("search", "small.toml", "--workers", "1", *picky)
    assert done.returncode == 0, done.stderr
    assert "could not be made" not in done.stdout
    (parent,), trials = runs(tailor.folder)
    assert len(trials) == 4
    assert {run.data.params["units_1"] for run in trials} == {"8"}
    assert len(optuna.load_study(study_name="small", storage=f"sqlite:///{tailor.folder}/mlruns/studies.db").trials) > 4
    for run in trials:
        params = run.data.params
        wide = {f"units_{layer}" for layer in range(1, int(params["depth"]) + 1)}
        assert set(params) == {"depth", "learning_rate", "units", "batch_norm"} | wide
        layers = [64, *(int(params[name]) for name in sorted(wide)), 10]
        dense = sum((a + 1) * b for a, b in pairwise(layers))
        assert run.data.metrics["parameters"] == dense + sum(4 * n for n in layers[1:-1])
    plots = {item.path for item in client(tailor.folder).list_artifacts(parent.info.run_id, "plots")}
    assert plots == {"plots/plots.html"}
    again = tailor("search", "small.toml", *picky)
    assert again.returncode == 0 and "all 4 trials were done before" in again.stdout + again.stderr


@pytest.mark.slow
def test_a_search_goes_on_with_the_same_function_and_tells_of_another(tailor: Shell, study: Path) -> None:
    assert tailor("search", "small.toml", "--workers", "1").returncode == 0
    assert tailor("search", "small.toml", "--workers", "1", "--trials", "5").returncode == 0
    assert len(runs(tailor.folder)[1]) == 5
    (tailor.folder / "mine.py").write_text(SUGGEST.replace("1, 2)", "1, 3)"))
    other = tailor("search", "small.toml", "--trials", "6")
    assert other.returncode == 2
    assert "differs: the file of study.space 'mine.py:suggest' has changed. Undo" in other.stderr


def test_a_function_that_fails_in_mid_search_ends_it_with_nothing_left_running(tailor: Shell, study: Path) -> None:
    options = ("--workers", "2", "--set", "search.max_epochs=9000", "--set", "study.space=mine.py:failing")
    done = tailor("search", "small.toml", *options)
    assert done.returncode == 1
    assert "study.space: 'mine.py:failing' failed in line" in done.stderr and "Traceback" not in done.stderr
    (parent,), trials = runs(tailor.folder)
    assert [run.data.tags["tailor.trial"] for run in trials] == ["0"]
    assert (parent.info.status, trials[0].info.status) == ("FAILED", "KILLED")
    assert r"not this one: b\udcfccher" in tailor("status", "small").stdout
    assert tailor("fsck", "small").stdout == "nothing to repair\n"


def test_a_name_that_nothing_takes_is_found_before_the_first_trial(tailor: Shell, study: Path) -> None:
    for arguments, says in (
        (("check", "--set", "study.space=mine.py:misspelt"), "study.space (no option, nor a hyperparameter of model 'mlp')"),
        (("search", "--set", "study.space=mine.py:misspelt"), "Did you mean 'depth'?"),
        (("search", "--set", "training.depth=1"), "depth: stands in [training] (fixed) and is returned by 'mine.py:suggest'"),
        (("search", "--engine", "keras-tuner"), "study.space: keras-tuner takes declared spaces only; use engine optuna"),
    ):  # fmt: skip
        done = tailor(arguments[0], "small.toml", *arguments[1:])
        assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1), done.stderr
        assert says in done.stderr
    assert not (tailor.folder / "mlruns").exists()
