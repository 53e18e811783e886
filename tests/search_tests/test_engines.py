"""The contract that every engine and sampler keeps, over real storage."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from engines import GRID, SPACE, Open, ask, complete, opener

from tailor.search.engines import open_engine
from tailor.search.engines.protocol import Done, Outcome, Suggestion
from tailor.search.space.conditions import parse_when
from tailor.search.space.parameters import Choice, Fixed, Float, Int, explain_refusal
from tailor.search.space.points import list_points
from tailor.search.space.space import Space
from tailor.search.study.capabilities import LISTED
from tailor.search.study.goal import Objective
from tailor.search.study.offers import ENGINES, SAMPLERS
from tailor.search.study.spec import Component, SearchPlan, StudySpec

ALL = [(engine, sampler) for engine, samplers in SAMPLERS.items() for sampler in samplers]
SAMPLING = [(engine, sampler) for engine, sampler in ALL if sampler not in LISTED]
KIND = pytest.mark.parametrize(("engine", "sampler"), SAMPLING, indirect=["engine"])


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def opened(tmp_path: Path, engine: str) -> Open:
    return opener(tmp_path, engine)


def soon(sampler: str) -> str | Component:
    """The sampler; Keras Tuner's Bayesian one with four random points, where three a parameter would be all that a test sees."""
    return Component(sampler, {"num_initial_points": 4}) if sampler == "bayesian" else sampler


@KIND
def test_suggestions_keep_bounds_steps_and_conditions(opened: Open, sampler: str) -> None:
    count = 7 if sampler == "bayesian" else 20  # its Gaussian process takes seconds an ask
    engine = opened(soon(sampler), trials=count)
    seen, widths = [], set()
    for i in range(count):
        suggestion = ask(engine)
        h = suggestion.hparams
        assert suggestion.trial == i
        assert [said for p in SPACE.searched if p.name in h and (said := explain_refusal(p, h[p.name]))] == []
        assert h["dropout"] in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # and never 0.30000000000000004
        assert ("units_3" in h) == (h["depth"] >= 3)
        assert ("noise" in h) == (h["dropout"] >= 0.3)
        assert type(h["batch_norm"]) is bool
        assert ("axis" in h, "mode" in h) == (h["batch_norm"], h.get("axis", 0) >= 2)
        assert h["activation"] == "relu"
        seen.append(h["learning_rate"])
        widths |= {h["units_3"]} if "units_3" in h else set()
        complete(engine, suggestion, value=float(-abs(h["learning_rate"] - 0.01)))
    assert len(widths) > 1
    # Those that home in, or go on with earlier trials, repeat a value.
    assert len(set(seen)) == count if sampler in ("tpe", "random", "qmc") else len(set(seen)) >= 5
    assert isinstance(engine.ask(), Done)


JOINED = Space(
    (
        Int("depth", 1, 3),
        Choice("norm", (True, False)),
        Choice("kind", ("a", "b"), when=parse_when("kind", "norm == true")),
        Float("rate", 0.0, 1.0, when=parse_when("rate", "depth >= 2 and kind == a")),
    )
)


@pytest.mark.parametrize(
    ("engine", "sampler"),
    [("optuna", "tpe"), ("optuna", "random"), ("keras-tuner", "random"), ("keras-tuner", "hyperband")],
    indirect=["engine"],
)
def test_joined_conditions_hold_under_every_engine(opened: Open, sampler: str) -> None:
    engine = opened(sampler, space=JOINED, trials=24)
    met = set()
    for _ in range(24):
        suggestion = ask(engine)
        h = suggestion.hparams
        assert ("kind" in h) == h["norm"]
        assert ("rate" in h) == (h["depth"] >= 2 and h.get("kind") == "a")
        met.add("rate" in h)
        complete(engine, suggestion)
    assert met == {True, False}


@KIND
def test_half_of_a_log_scale_lies_below_its_middle(opened: Open, sampler: str) -> None:
    """Of what is drawn before anything is told: nothing has been learnt that would move it."""
    engine = opened(sampler, space=Space((Float("rate", 1e-4, 1e-1, log=True),)), trials=24)
    assert 5 <= sum(ask(engine).hparams["rate"] < 10**-2.5 for _ in range(24)) <= 19


@KIND
def test_a_seed_repeats_and_another_differs(opened: Open, tmp_path: Path, sampler: str) -> None:
    def draw(seed: int) -> list:
        engine = opened(soon(sampler), trials=5, seed=seed)
        found = []
        for _ in range(5):
            suggestion = ask(engine)
            found.append(dict(suggestion.hparams))
            complete(engine, suggestion)
        (tmp_path / "studies.db").unlink(missing_ok=True)
        shutil.rmtree(tmp_path / "keras_tuner", ignore_errors=True)
        return found

    first = draw(1)
    assert draw(1) == first
    assert all(one != other for one, other in zip(first, draw(2), strict=True))


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
def test_neighbouring_seeds_share_no_point(engine: str, tmp_path: Path) -> None:
    rates: list = []
    for seed in range(4):
        opened = opener(tmp_path / str(seed), engine)
        (tmp_path / str(seed)).mkdir()
        study = opened("random", trials=8, seed=seed)
        rates += [ask(study).hparams["learning_rate"] for _ in range(8)]
    assert len(set(rates)) == len(rates)


@KIND
def test_a_restart_goes_on_instead_of_proposing_the_first_again(opened: Open, sampler: str) -> None:
    engine = opened(soon(sampler), trials=6)
    first = [ask(engine) for _ in range(3)]
    complete(engine, first[0], 0.9)
    again = opened(soon(sampler), trials=6)
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
    assert sorted(given, key=key) == sorted(list_points(GRID), key=key)
    # A grid's order is its own, so that a budget below its size spreads over it.
    assert (given == list_points(GRID)) == (sampler == "brute-force")


def test_a_grid_after_another_sampler_has_all_its_points_left(opened: Open) -> None:
    random = opened("random", space=GRID, trials=100)
    begun = [ask(random) for _ in range(3)]
    engine = opened("grid", space=GRID, trials=5)
    assert (random.left(), engine.left()) == (None, 8) and engine.unfinished() == begun
    for suggestion in (*begun, ask(engine), ask(engine)):
        complete(engine, suggestion)
    assert engine.ask() == Done("5 of 5 trials") and engine.left() == 6  # a larger budget would help
    engine = opened("grid", space=GRID, trials=11)
    while isinstance(suggestion := engine.ask(), Suggestion):
        complete(engine, suggestion)
    assert suggestion == Done("11 of 11 trials", spent=True) and engine.left() == 0


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
        assert isinstance(suggestion, Done) and suggestion.spent
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
    assert len(given) == len(list_points(GRID))


def test_half_a_point_can_be_enqueued_before_a_grid(opened: Open) -> None:
    space = Space((*GRID.parameters, Fixed("activation", "relu")))
    engine = opened("grid", space=space, trials=100, enqueue=({"lr": 1e-4},))
    given = []
    while isinstance(suggestion := engine.ask(), Suggestion):
        given.append(dict(suggestion.hparams))
        complete(engine, suggestion)
    assert (given[0]["lr"], given[0]["activation"]) == (1e-4, "relu")
    assert "depth" in given[0]
    assert sorted(map(str, given)) == sorted(map(str, list_points(space)))  # the list's other points follow, each once
    assert len(opened("grid", space=space, trials=100).records()) == len(given)


def test_every_step_of_a_float_is_proposed_and_none_beyond(opened: Open) -> None:
    engine = opened("random", space=Space((Float("dropout", 0.0, 0.3, step=0.1), Float("rate", 0.0, 1.0))), trials=30)
    seen = set()
    for _ in range(30):
        suggestion = ask(engine)
        seen.add(suggestion.hparams["dropout"])
        complete(engine, suggestion)
    assert seen == {0.0, 0.1, 0.2, 0.3}


@KIND
def test_failed_and_pruned_trials_are_remembered_with_their_reason_and_passed_over(
    opened: Open, engine: str, sampler: str
) -> None:
    opened_, status = opened(soon(sampler), trials=11), "pruned" if engine == "optuna" else "failed"
    for reason in ("non_finite", "error", "error", "error"):  # more than Keras Tuner itself would bear
        opened_.tell(ask(opened_).trial, Outcome("failed", reason=reason))
    opened_.tell(ask(opened_).trial, Outcome(status, reason="the last"))
    for i in range(5):
        complete(opened_, ask(opened_), i / 10)
    again = opened(soon(sampler), trials=11)
    found = [(r.outcome.status, r.outcome.reason) for r in again.records()]
    assert (found[0], found[4], len(found)) == (("failed", "non_finite"), (status, "the last"), 10)
    assert ask(again).trial == 10  # of what failed too, and what did not


def test_telling_twice_or_a_stranger_raises(opened: Open) -> None:
    engine = opened(trials=3)
    suggestion = ask(engine)
    complete(engine, suggestion)
    for trial in (suggestion.trial, 99):
        with pytest.raises(KeyError):
            engine.tell(trial, Outcome("complete", {"val_accuracy": 1.0}))


@pytest.mark.slow
@pytest.mark.timeout(900)
@KIND
def test_many_asks(opened: Open, sampler: str) -> None:
    """Hundreds of the default; few where an ask is dear: a Gaussian process takes seconds, and rising."""
    asks = {"tpe": 300, "bayesian": 12, "gp": 60}.get(sampler, 100)
    engine = opened(soon(sampler), trials=asks)
    for i in range(asks):
        suggestion = ask(engine)
        assert suggestion.trial == i
        complete(engine, suggestion, i / asks)
    assert isinstance(engine.ask(), Done)
    assert len(opened(soon(sampler), trials=asks).records()) == asks
