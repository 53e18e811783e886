"""Optuna's samplers one by one: those whose order is the study's, one's own, and what is not for cmaes."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from engines import Open, ask, complete, opener

from tailor.search.engines.protocol import Suggestion
from tailor.search.engines.samplers import make_sampler
from tailor.search.errors import StudyError
from tailor.search.space.parameters import Float, Int
from tailor.search.space.space import Space
from tailor.search.study.load import build
from tailor.search.study.spec import Component, SearchPlan

RATE = Space((Float("rate", 0.0, 1.0),))


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    return opener(tmp_path, "optuna")


def rates(opened: Open, sampler: str | Component, seed: int = 0) -> list[float]:
    """Nine trials' rates, the study opened anew after four."""
    found = []
    for count in (4, 5):
        engine = opened(sampler, space=RATE, trials=9, seed=seed)
        for _ in range(count):
            suggestion = ask(engine)
            found.append(suggestion.hparams["rate"])
            complete(engine, suggestion)
    return found


def test_quasi_random_points_are_the_seeds_own(tmp_path: Path) -> None:
    found = []
    for study, seed in enumerate((1, 1, 2)):
        (folder := tmp_path / str(study)).mkdir()
        found.append(rates(opener(folder, "optuna"), "qmc", seed))
    first, again, other = found
    assert first == again
    assert not set(first) & set(other)
    assert 0.0 not in first[1:]


def test_quasi_random_points_go_on_over_asks_and_restarts(opened: Open) -> None:
    """Of Sobol's first eight each eighth of the range has one; before them, the first trial is drawn."""
    assert sorted(int(8 * rate) for rate in rates(opened, "qmc")[1:]) == list(range(8))


def test_optunas_quasi_random_class_draws_as_its_short_name_does(tmp_path: Path) -> None:
    found = []
    for study, sampler in enumerate(("qmc", Component("optuna.samplers:QMCSampler", {"scramble": True}))):
        (folder := tmp_path / str(study)).mkdir()
        engine = opener(folder, "optuna")(sampler, trials=8)
        found.append([])
        while isinstance(suggestion := engine.ask(), Suggestion):
            found[-1].append(suggestion.hparams)
            complete(engine, suggestion)
    assert found[0] == found[1]
    assert len({str(hparams) for hparams in found[0]}) == 8


def test_optunas_grid_gives_out_each_point_once_across_a_restart(opened: Open) -> None:
    grid = {"rate": [0.1, 0.2], "depth": [1, 2, 3]}
    space = Space((Float("rate", 0.0, 1.0), Int("depth", 1, 3)))
    given = []
    for _ in range(2):
        engine = opened(Component("optuna.samplers:GridSampler", {"search_space": grid}), space=space, trials=20)
        while isinstance(suggestion := engine.ask(), Suggestion):
            given.append((suggestion.hparams["rate"], suggestion.hparams["depth"]))
            complete(engine, suggestion)
            if len(given) == 3:
                break
    assert sorted(given) == [(rate, depth) for rate in grid["rate"] for depth in grid["depth"]]


CHOICES = {"kind": ["a", "b"], "units": {"low": 1, "high": 9, "when": "kind == a"}}


def study(space: dict, **goal: list) -> dict:
    study = {"name": "s", "dataset": "digits", "model": "mlp", **goal}
    return {"study": study, "search": {"sampler": "cmaes"}, "space": space}


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        (
            study({"rate": {"low": 0.0, "high": 1.0}}, constraints=["parameters <= 9"]),
            "cmaes knows no constraints; with them use",
        ),
        (study(CHOICES), "cmaes learns ranges of numbers that every trial has, and [space] has none; use tpe, nsgaii or gp"),
        (study({"rate": {"low": 0.1, "high": 0.1}, "kind": [1, 2]}), "[space] has none"),
    ],
)
@pytest.mark.parametrize("name", ["cmaes", "optuna.samplers:CmaEsSampler"])
def test_what_cmaes_would_only_draw_or_overlook_is_refused(tables: dict, says: str, name: str) -> None:
    with pytest.raises(StudyError) as error:
        build({**tables, "search": {"sampler": name}})
    assert str(error.value).startswith("search.sampler: cmaes ") and says in str(error.value)


@pytest.mark.parametrize("space", [{**CHOICES, "kind": "a"}, {**CHOICES, "rate": {"low": 0.0, "high": 1.0}}, {"kind": "a"}])
def test_cmaes_takes_a_space_with_a_range_that_every_trial_has(space: dict) -> None:
    assert build(study(space)).search.sampler == Component("cmaes")


class Own(optuna.samplers.QMCSampler):
    """Somebody's own, which takes its seed alone."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed=seed, scramble=True)


def test_a_class_is_brought_only_what_it_takes() -> None:
    plan = SearchPlan(sampler=Component(f"{__name__}:Own"), seed=7)
    assert make_sampler(plan, 123)._seed == 7
