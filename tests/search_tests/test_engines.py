"""The contract that every engine and sampler keeps, over real storage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from search.engine import Done, Engine, Outcome, Suggestion
from search.engines import open_engine
from search.space import Choice, Condition, Fixed, Float, Int, Space, points
from search.spec import Component, Objective, SearchPlan, StudySpec

SPACE = Space(
    (
        Float("learning_rate", 1e-4, 1e-1, log=True),
        Float("dropout", 0.0, 0.5, step=0.1),
        Int("depth", 1, 4),
        Int("units_3", 16, 256, log=True, when=Condition("depth", ">=", 3)),
        Choice("optimizer", ("adam", "sgd")),
        Fixed("activation", "relu"),
    )
)
GRID = Space((Choice("lr", (1e-3, 1e-4)), Int("depth", 1, 3), Choice("u3", ("a", "b"), when=Condition("depth", ">=", 3))))
Open = Callable[..., Engine]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    def open_(sampler: str = "random", pruner: str = "none", space: Space = SPACE, enqueue: tuple = (), **plan: int) -> Engine:
        search = SearchPlan(sampler=Component(sampler), pruner=Component(pruner), **plan)
        spec = StudySpec("contract", "digits", "mlp", Objective("val_accuracy", "maximize"), search, space, enqueue=enqueue)
        return open_engine(spec, f"sqlite:///{tmp_path / 'studies.db'}")

    return open_


def ask(engine: Engine) -> Suggestion:
    answer = engine.ask()
    assert isinstance(answer, Suggestion)
    return answer


def complete(engine: Engine, suggestion: Suggestion, value: float = 0.5) -> None:
    engine.tell(suggestion.trial, Outcome("complete", {"val_accuracy": value}))


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_suggestions_keep_bounds_steps_and_conditions(opened: Open, sampler: str) -> None:
    engine = opened(sampler, trials=40)
    seen = []
    for i in range(40):
        suggestion = ask(engine)
        h = suggestion.hparams
        assert suggestion.trial == i
        assert 1e-4 <= h["learning_rate"] <= 1e-1
        assert round(h["dropout"] / 0.1, 6) == round(h["dropout"] / 0.1) and 0 <= h["dropout"] <= 0.5
        assert ("units_3" in h) == (h["depth"] >= 3)
        assert h["activation"] == "relu"
        seen.append(h["learning_rate"])
        complete(engine, suggestion, value=float(-abs(h["learning_rate"] - 0.01)))
    assert len(set(seen)) == 40
    assert sum(value < 3e-3 for value in seen) > 5  # a log scale: half of it lies below
    assert isinstance(engine.ask(), Done)


def test_a_seed_repeats_and_another_differs(opened: Open, tmp_path: Path) -> None:
    def draw(seed: int) -> list:
        engine = opened("tpe", trials=5, seed=seed)
        found = []
        for _ in range(5):
            suggestion = ask(engine)
            found.append(dict(suggestion.hparams))
            complete(engine, suggestion)
        (tmp_path / "studies.db").unlink()
        return found

    assert draw(1) == draw(1) != draw(2)


def test_a_restart_goes_on_instead_of_proposing_the_first_again(opened: Open) -> None:
    engine = opened("random", trials=6)
    first = [ask(engine) for _ in range(3)]
    complete(engine, first[0], 0.9)
    again = opened("random", trials=6)
    assert again.unfinished() == first[1:]
    assert [record.outcome.values for record in again.records()] == [{"val_accuracy": 0.9}]
    rates = {s.hparams["learning_rate"] for s in first}
    for suggestion in again.unfinished():
        complete(again, suggestion)
    while isinstance(suggestion := again.ask(), Suggestion):
        assert suggestion.hparams["learning_rate"] not in rates
        complete(again, suggestion)
    assert len(again.records()) == 6


def test_a_grid_gives_out_each_point_once_across_a_restart(opened: Open) -> None:
    engine = opened("grid", space=GRID, trials=100)
    given = []
    for _ in range(5):
        suggestion = ask(engine)
        given.append(dict(suggestion.hparams))
        complete(engine, suggestion)
    engine = opened("grid", space=GRID, trials=100)
    while isinstance(suggestion := engine.ask(), Suggestion):
        given.append(dict(suggestion.hparams))
        complete(engine, suggestion)
    key = lambda point: sorted(point.items())  # noqa: E731
    assert sorted(given, key=key) == sorted(points(GRID), key=key)
    assert given != points(GRID)  # in an order of its own, so that a budget below the grid's size spreads over it


def test_enqueued_points_come_first_and_once_across_a_restart(opened: Open) -> None:
    listed = ({"depth": 2, "dropout": 0.2}, {"depth": 4, "units_3": 64})
    engine = opened("tpe", trials=5, enqueue=listed[:1])
    first = ask(engine)
    assert {"depth": 2, "dropout": 0.2}.items() <= first.hparams.items()
    complete(engine, first)
    complete(engine, ask(engine))
    engine = opened("tpe", trials=5, enqueue=listed)  # another is added to the file of a study under way
    second = ask(engine)
    assert {"depth": 4, "units_3": 64}.items() <= second.hparams.items()
    complete(engine, second)
    assert not {"depth": 4, "units_3": 64}.items() <= ask(engine).hparams.items()


def test_a_grid_begins_with_what_is_enqueued(opened: Open) -> None:
    engine = opened("grid", space=GRID, trials=100, enqueue=({"lr": 1e-4, "depth": 2},))
    given = []
    while isinstance(suggestion := engine.ask(), Suggestion):
        given.append(dict(suggestion.hparams))
        complete(engine, suggestion)
    assert given[0] == {"lr": 1e-4, "depth": 2}
    assert len(given) == len(points(GRID))


def test_an_empty_space_repeats_its_configuration(opened: Open) -> None:
    engine = opened("tpe", space=Space((Fixed("units", 4),)), trials=3)
    given = []
    while isinstance(suggestion := engine.ask(), Suggestion):
        given.append(dict(suggestion.hparams))
        complete(engine, suggestion)
    assert given == [{"units": 4}] * 3


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_a_hopeless_trial_is_pruned_and_a_good_one_is_not(opened: Open, pruner: str) -> None:
    engine = opened("random", pruner, trials=40, max_epochs=9)
    verdicts = {"good": [], "bad": []}
    for i in range(40):
        kind = "bad" if i % 4 == 3 else "good"
        suggestion = ask(engine)
        level = 0.9 + 0.001 * i if kind == "good" else 0.1
        stopped = any(engine.report(suggestion.trial, e, {"val_accuracy": level + 0.001 * e}) for e in range(1, 10))
        verdicts[kind].append(stopped)
        engine.tell(suggestion.trial, Outcome("pruned") if stopped else Outcome("complete", {"val_accuracy": level}))
    assert sum(verdicts["bad"]) >= 6
    assert sum(verdicts["good"]) <= 10


def test_failed_and_pruned_trials_are_remembered_with_their_reason(opened: Open) -> None:
    engine = opened(trials=3)
    engine.tell(ask(engine).trial, Outcome("failed", reason="non_finite"))
    engine.tell(ask(engine).trial, Outcome("pruned", reason="median"))
    assert [(r.outcome.status, r.outcome.reason) for r in engine.records()] == [("failed", "non_finite"), ("pruned", "median")]


def test_telling_twice_or_a_stranger_raises(opened: Open) -> None:
    engine = opened(trials=3)
    suggestion = ask(engine)
    complete(engine, suggestion)
    for trial in (suggestion.trial, 99):
        with pytest.raises(KeyError):
            engine.tell(trial, Outcome("complete", {"val_accuracy": 1.0}))
