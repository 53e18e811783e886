"""The contract that every engine and sampler keeps, over real storage."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from search.engine import Done, Engine, Outcome, Suggestion
from search.engines import bounded, open_engine
from search.engines.limits import ENGINES, LISTED, PRUNERS, SAMPLERS
from search.engines.optuna import make_pruner, make_sampler
from search.errors import StudyError
from search.goal import Constraint, Objective
from search.space import Choice, Condition, Fixed, Float, Int, Space, points
from search.spec import Component, SearchPlan, StudySpec

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
ALL = [(engine, sampler) for engine, samplers in SAMPLERS.items() for sampler in samplers]
SAMPLING = [(engine, sampler) for engine, sampler in ALL if sampler not in LISTED]
KIND = pytest.mark.parametrize(("engine", "sampler"), SAMPLING, indirect=["engine"])
OPTUNA = pytest.mark.parametrize("engine", ["optuna"], indirect=True)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def opened(tmp_path: Path, engine: str) -> Open:
    def open_(sampler: str = "random", pruner: str = "none", space: Space = SPACE, enqueue: tuple = (), **plan: int) -> Engine:
        if sampler == "gp":
            pytest.importorskip("torch", reason="Optuna's GPSampler needs torch")
        search = SearchPlan(engine=engine, sampler=Component(sampler), pruner=Component(pruner), **plan)
        spec = StudySpec("contract", "digits", "mlp", Objective("val_accuracy", "maximize"), search, space, enqueue=enqueue)
        return open_engine(spec, f"sqlite:///{tmp_path / 'studies.db'}", tmp_path / "keras_tuner")

    return open_


def ask(engine: Engine) -> Suggestion:
    answer = engine.ask()
    assert isinstance(answer, Suggestion)
    return answer


def complete(engine: Engine, suggestion: Suggestion, value: float = 0.5) -> None:
    engine.tell(suggestion.trial, Outcome("complete", {"val_accuracy": value}))


@KIND
def test_suggestions_keep_bounds_steps_and_conditions(opened: Open, sampler: str) -> None:
    count = 14 if sampler == "bayesian" else 40  # Keras Tuner's takes a second an ask
    engine = opened(sampler, trials=count)
    seen = []
    for i in range(count):
        suggestion = ask(engine)
        h = suggestion.hparams
        assert suggestion.trial == i
        assert 1e-4 <= h["learning_rate"] <= 1e-1
        assert round(h["dropout"] / 0.1, 6) == round(h["dropout"] / 0.1) and 0 <= h["dropout"] <= 0.5
        assert ("units_3" in h) == (h["depth"] >= 3)
        assert h["activation"] == "relu"
        seen.append(h["learning_rate"])
        complete(engine, suggestion, value=float(-abs(h["learning_rate"] - 0.01)))
    # Those that home in, or go on with earlier trials, repeat a value.
    assert len(set(seen)) == count if sampler in ("tpe", "random", "qmc") else len(set(seen)) > 5
    assert sum(value < 3e-3 for value in seen) > count / 10  # a log scale: half of it lies below
    assert isinstance(engine.ask(), Done)


@KIND
def test_a_seed_repeats_and_another_differs(opened: Open, tmp_path: Path, sampler: str) -> None:
    def draw(seed: int) -> list:
        engine = opened(sampler, trials=5, seed=seed)
        found = []
        for _ in range(5):
            suggestion = ask(engine)
            found.append(dict(suggestion.hparams))
            complete(engine, suggestion)
        (tmp_path / "studies.db").unlink(missing_ok=True)
        shutil.rmtree(tmp_path / "keras_tuner", ignore_errors=True)
        return found

    assert draw(1) == draw(1) != draw(2)


@KIND
def test_a_restart_goes_on_instead_of_proposing_the_first_again(opened: Open, sampler: str) -> None:
    engine = opened(sampler, trials=6)
    first = [ask(engine) for _ in range(3)]
    complete(engine, first[0], 0.9)
    again = opened(sampler, trials=6)
    assert again.unfinished() == first[1:]
    assert [record.outcome.values for record in again.records()] == [{"val_accuracy": 0.9}]
    rates = {s.hparams["learning_rate"] for s in first}
    for suggestion in again.unfinished():
        complete(again, suggestion)
    while isinstance(suggestion := again.ask(), Suggestion):
        assert suggestion.hparams["learning_rate"] not in rates
        complete(again, suggestion)
    assert len(again.records()) == 6


@pytest.mark.parametrize(("engine", "sampler"), [pair for pair in ALL if pair[1] in LISTED], indirect=["engine"])
def test_a_grid_gives_out_each_point_once_across_a_restart(opened: Open, sampler: str) -> None:
    engine = opened(sampler, space=GRID, trials=100)
    given = []
    for _ in range(5):
        suggestion = ask(engine)
        given.append(dict(suggestion.hparams))
        complete(engine, suggestion)
    engine = opened(sampler, space=GRID, trials=100)
    while isinstance(suggestion := engine.ask(), Suggestion):
        given.append(dict(suggestion.hparams))
        complete(engine, suggestion)
    key = lambda point: sorted(point.items())  # noqa: E731
    assert sorted(given, key=key) == sorted(points(GRID), key=key)
    # A grid's order is its own, so that a budget below its size spreads over it.
    assert (given == points(GRID)) == (sampler == "brute-force")


def test_a_grid_is_the_same_under_every_engine(tmp_path: Path) -> None:
    space = Space(tuple(Choice(name, (1, 2, 3)) for name in ("rate", "batch", "dropout")))
    given: dict[str, list] = {}
    for name in ENGINES:
        plan = SearchPlan(engine=name, sampler=Component("grid"), trials=100)
        spec = StudySpec("grid", "digits", "mlp", Objective("val_accuracy", "maximize"), plan, space)
        engine = open_engine(spec, f"sqlite:///{tmp_path / 'studies.db'}", tmp_path / "keras_tuner")
        while isinstance(suggestion := engine.ask(), Suggestion):
            given.setdefault(name, []).append(suggestion.hparams)
            complete(engine, suggestion)
    assert len(given["optuna"]) == 27
    assert given["optuna"] == given["keras-tuner"]


def test_enqueued_points_come_first_and_once_across_a_restart(opened: Open) -> None:
    listed = ({"depth": 2, "dropout": 0.2}, {"depth": 4, "units_3": 64})
    engine = opened("random", trials=5, enqueue=listed[:1])
    first = ask(engine)
    assert {"depth": 2, "dropout": 0.2}.items() <= first.hparams.items()
    complete(engine, first)
    complete(engine, ask(engine))
    engine = opened("random", trials=5, enqueue=listed)  # another is added to the file of a study under way
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


def test_half_a_point_can_be_enqueued_before_a_grid(opened: Open) -> None:
    space = Space((*GRID.parameters, Fixed("activation", "relu")))
    engine = opened("grid", space=space, trials=100, enqueue=({"lr": 1e-4},))
    given = []
    while isinstance(suggestion := engine.ask(), Suggestion):
        given.append(dict(suggestion.hparams))
        complete(engine, suggestion)
    assert (given[0]["lr"], given[0]["activation"]) == (1e-4, "relu")
    assert "depth" in given[0]
    assert len(given) == len(points(space)) + 1
    assert len(opened("grid", space=space, trials=100).records()) == len(given)


def test_every_step_of_a_float_is_proposed_and_none_beyond(opened: Open) -> None:
    engine = opened("random", space=Space((Float("dropout", 0.0, 0.3, step=0.1), Float("rate", 0.0, 1.0))), trials=60)
    seen = set()
    for _ in range(60):
        suggestion = ask(engine)
        seen.add(round(suggestion.hparams["dropout"], 6))
        assert suggestion.hparams["dropout"] <= 0.3
        complete(engine, suggestion)
    assert seen == {0.0, 0.1, 0.2, 0.3}


CONSTRAINED = Constraint("parameters", "<=", 1234567.0)


@OPTUNA
def test_several_objectives_with_a_constraint_survive_a_restart(tmp_path: Path, engine: str) -> None:
    spec = StudySpec(
        "contract", "digits", "mlp", Objective("val_accuracy", "maximize"), SearchPlan(trials=9), SPACE,
        others=(Objective("latency_ms", "minimize"),), constraints=(CONSTRAINED,),
    )  # fmt: skip
    url, folder = f"sqlite:///{tmp_path / 'studies.db'}", tmp_path
    values = {"val_accuracy": 0.9, "latency_ms": 2.0, "parameters": 1234568.0}
    first = open_engine(spec, url, folder)
    first.tell(ask(first).trial, Outcome("complete", values))
    again = open_engine(spec, url, folder)
    assert again.records()[0].outcome.values == values
    assert not spec.goal.feasible(values)
    assert Constraint.parse(str(CONSTRAINED)) == CONSTRAINED
    again.tell(ask(again).trial, Outcome("complete", {**values, "parameters": 5.0}))
    assert len(again.records()) == 2


@OPTUNA
def test_an_empty_space_repeats_its_configuration(opened: Open) -> None:
    engine = opened("tpe", space=Space((Fixed("units", 4),)), trials=3)
    given = []
    while isinstance(suggestion := engine.ask(), Suggestion):
        given.append(dict(suggestion.hparams))
        complete(engine, suggestion)
    assert given == [{"units": 4}] * 3


@OPTUNA
@pytest.mark.parametrize("pruner", ["median", "hyperband", "percentile", "successive-halving"])
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


@pytest.mark.parametrize(("engine", "status"), [("optuna", "pruned"), ("keras-tuner", "failed")], indirect=["engine"])
def test_failed_and_pruned_trials_are_remembered_with_their_reason(opened: Open, status: str) -> None:
    opened_ = opened(trials=9)
    for reason in ("non_finite", "error", "error", "error"):  # more than Keras Tuner itself would bear
        opened_.tell(ask(opened_).trial, Outcome("failed", reason=reason))
    opened_.tell(ask(opened_).trial, Outcome(status, reason="the last"))
    found = [(r.outcome.status, r.outcome.reason) for r in opened(trials=9).records()]
    assert (found[0], found[-1]) == (("failed", "non_finite"), (status, "the last"))


def test_telling_twice_or_a_stranger_raises(opened: Open) -> None:
    engine = opened(trials=3)
    suggestion = ask(engine)
    complete(engine, suggestion)
    for trial in (suggestion.trial, 99):
        with pytest.raises(KeyError):
            engine.tell(trial, Outcome("complete", {"val_accuracy": 1.0}))


@pytest.mark.slow
def test_a_thousand_asks(opened: Open) -> None:
    engine = opened(trials=1000)
    for i in range(1000):
        suggestion = ask(engine)
        assert suggestion.trial == i
        complete(engine, suggestion, i / 1000)
    assert isinstance(engine.ask(), Done)
    assert len(opened(trials=1000).records()) == 1000


@pytest.mark.parametrize("engine", ["keras-tuner"], indirect=True)
def test_hyperband_goes_on_from_the_better_trials_of_the_earlier_round(opened: Open) -> None:
    engine = opened("hyperband", trials=40, max_epochs=9)
    first: dict[int, Suggestion] = {}
    later = []
    for _ in range(40):
        suggestion = ask(engine)
        complete(engine, suggestion, float(suggestion.hparams["learning_rate"]))
        first[suggestion.trial] = suggestion
        if suggestion.continues is not None:
            later.append(suggestion)
    assert later
    for suggestion in later:
        earlier = first[suggestion.continues]
        assert suggestion.hparams == earlier.hparams
        assert suggestion.epochs > earlier.epochs == suggestion.epochs_done


def test_of_thousands_of_trials_the_best_the_running_and_an_even_sample_are_learnt_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "BEST", 3)
    monkeypatch.setattr(bounded, "SAMPLED", 4)
    study = optuna.create_study(direction="minimize")
    for number in range(20):
        trial = study.ask()
        if number != 5:
            study.tell(trial, abs(number - 9))
    numbers = [trial.number for trial in bounded.chosen(study.get_trials(), study.directions)]
    assert numbers == [0, 4, 5, 8, 9, 10, 12, 16]
    assert len(bounded.chosen(study.get_trials()[:7], study.directions)) == 7


@OPTUNA
def test_tpe_homes_in_though_it_reads_only_some_trials(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "BEST", 50)  # still so many that its good side has the 25 that it has at most
    monkeypatch.setattr(bounded, "SAMPLED", 200)
    opened_ = opened("tpe", trials=420)
    off = []
    for _ in range(420):
        suggestion = ask(opened_)
        off.append(abs(math.log10(suggestion.hparams["learning_rate"]) + 2))
        complete(opened_, suggestion, -off[-1])
    assert sum(off[-60:]) / 60 < 0.5 * sum(off[:60]) / 60


@pytest.mark.parametrize("pruner", PRUNERS["optuna"])
def test_every_pruner_can_be_had_by_its_name(pruner: str) -> None:
    arguments = {"threshold": {"lower": 0.1}, "patient": {"wrapped": "median"}}.get(pruner, {})
    made = make_pruner(SearchPlan(pruner=Component(pruner, arguments)))
    assert type(made).__name__.lower() == {"none": "nop"}.get(pruner, pruner.replace("-", "")) + "pruner"


def test_a_sampler_of_anybodys_by_module_and_class() -> None:
    component = Component("optuna.samplers:TPESampler", {"n_startup_trials": 3})
    assert make_sampler(SearchPlan(sampler=component), 1)._n_startup_trials == 3
    with pytest.raises(StudyError, match="cannot be imported"):
        make_sampler(SearchPlan(sampler=Component("no.such:Class")), 1)
    with pytest.raises(StudyError, match="does not take"):
        make_sampler(SearchPlan(sampler=Component("tpe", {"startup": 3})), 1)
