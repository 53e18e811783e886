"""Names and values that a store does not keep as they are: found when a file is read or a space is checked."""

from __future__ import annotations

import datetime
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from tailor.experiments.errors import InputError
from tailor.experiments.planning.resolve import validate
from tailor.search.errors import StudyError
from tailor.search.space.function import FunctionSpace
from tailor.search.space.names import explain_name
from tailor.search.study.capabilities import explain_repeats
from tailor.search.study.load import build

STUDY = {"name": "s", "dataset": "digits", "model": "nets.py:build"}


def spec(**tables: Any) -> Any:
    return build({"study": STUDY, **tables})


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        (
            {"training": {"since": datetime.date(2024, 1, 1)}},
            "training.since: expected .* put a date into quotes",
        ),
        ({"training": {"at": [1, datetime.time(1)]}}, r"training.at\[1\]: expected"),
        ({"training": {"early_stopping": {"patience": math.inf}}}, "training.early_stopping.patience: expected a finite number"),
        ({"data": {"splits": {"val": math.nan}}}, "data.splits.val: expected a finite number"),
        ({"search": {"sampler": {"name": "tpe", "gamma": math.nan}}}, "search.sampler.gamma: expected a finite number"),
        ({"search": {"trials": datetime.date(2024, 1, 1)}}, "search.trials: expected"),
        ({"space": {"a": [1.0, math.inf]}}, r"space.a\[1\]: expected a finite number"),
        ({"space": {"a": {"low": 0, "high": 2**60}}}, "space.a.high: expected a finite number .whole ones up to 2.53"),
        ({"space": {"a": [1, 2], "b": {"value": 1, "when": "a == 2024-01-01"}}}, "space.b.when: expected finite numbers"),
        ({"enqueue": [{"a": math.nan}]}, r"enqueue\[0\].a: expected a finite number"),
        ({"space": {"a": ["b\udcfccher", "b"]}}, r"space.a\[0\]: expected .* got 'b.udcfccher', which no store keeps as it is"),
        ({"space": {"a//b": 1}}, "space: expected a parameter name of .* got 'a//b'"),
    ],
)
def test_a_value_that_no_store_keeps_is_refused_when_the_file_is_read(tables: dict[str, Any], says: str) -> None:
    with pytest.raises(StudyError, match=says):
        spec(**tables)


@pytest.mark.parametrize("name", ["units[0]", "a//b", "a/", "./a", "a/../b", "", "x" * 101, "1st", "a:b"])
def test_a_name_that_mlflow_does_not_take_is_none(name: str) -> None:
    assert explain_name(name)
    with pytest.raises(InputError, match="training: expected a parameter name of"):
        validate(spec(training={name: 1}))


def test_every_name_that_is_right_is_one_for_mlflow() -> None:
    from mlflow.utils.validation import _validate_param_name

    for name in ("units", "units/0", "how deep", "größe", "a.b-c", "_x"):
        assert explain_name(name) == ""
        _validate_param_name(name)


def test_a_text_that_is_too_long_for_mlflow_is_refused() -> None:
    for tables in ({"training": {"note": "x" * 6001}}, {"space": {"note": ["a", "x" * 6001]}}):
        with pytest.raises(InputError, match=r"note: expected a text of at most 6000 characters, got 6001\."):
            validate(spec(**tables))


@pytest.mark.parametrize("choices", [[True, 1], [1, 1.0], [1, "1"], ["True", True], [0.5, "0.5"]])
def test_choices_that_the_stores_take_for_one_are_refused_before_a_search(choices: list[Any]) -> None:
    with pytest.raises(StudyError, match=r"space\.flag: the choices .* are one value to the stores; keep one of them"):
        validate(spec(space={"flag": choices}))


FUNCTIONS = """
def bad_name(trial):
    return {"units[0]": trial.suggest_int("units", 1, 4)}

def bad_value(trial):
    return {"rate": trial.suggest_int("units", 1, 4) * float("nan")}

def equal_choices(trial):
    return {"flag": trial.suggest_categorical("flag", [True, 1])}
"""


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("bad_name", "study.space: expected 'spaces.py:bad_name' to return a parameter name of .* got 'units.0.'"),
        ("bad_value", "study.space: expected 'spaces.py:bad_value' to return a dict of finite numbers"),
        ("equal_choices", "space.flag: the choices True and 1 are one value to the stores"),
    ],
)
def test_what_a_function_suggests_and_returns_is_checked_too(
    function: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spaces.py").write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError, match=says):
        validate(build({"study": {**STUDY, "space": f"spaces.py:{function}"}}))


@pytest.mark.parametrize("place", ["edited_space.py", "edited_space"])
def test_a_function_that_was_edited_is_loaded_anew_and_a_search_keeps_to_its_own(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "def suggest(trial):\n    return {'depth': trial.suggest_int('depth', 3, 3)}\n"
    Path("edited_space.py").write_text(text)
    first = FunctionSpace(f"{place}:suggest")
    began = FunctionSpace(first.reference, first.digest())
    assert first.ends()[0] == {"depth": 3}
    Path("edited_space.py").write_text(text.replace("3", "4"))  # of the same length, within the same second
    assert began.ends()[0] == {"depth": 3}
    assert first.ends()[0] == {"depth": 4}
    sys.modules.pop("edited_space", None)


POINTS = {"a": [1, 2], "b": [3, 4]}


@pytest.mark.parametrize(
    ("search", "space", "says"),
    [
        ({"trials": 20}, POINTS, "[space] has 4 points and the search 20 trials: tpe proposes points again; with sampler"),
        ({"trials": 20, "sampler": "random"}, POINTS, "random proposes points again"),
        ({"trials": 4}, POINTS, ""),
        ({"trials": 20, "sampler": "grid"}, POINTS, ""),
        ({"trials": 20, "sampler": "optuna.samplers:BruteForceSampler"}, POINTS, ""),
        ({"trials": 20, "engine": "keras-tuner", "sampler": "random"}, POINTS, ""),  # proposes no point twice
        ({"trials": 20}, {"a": {"low": 0.0, "high": 1.0}}, ""),
        ({"trials": 20}, {"a": 1}, ""),  # one point again and again, by other seeds: that is meant
    ],
)
def test_more_trials_than_points_are_said_in_a_line(search: dict[str, Any], space: dict[str, Any], says: str) -> None:
    line = explain_repeats(spec(search=search, space=space))
    assert (says in line and "\n" not in line) if says else line == ""
