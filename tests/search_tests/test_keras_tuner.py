"""What the engine over Keras Tuner does beyond the contract: how it declares a space, and Hyperband's rounds."""

from __future__ import annotations

from pathlib import Path

import pytest
from engines import Open, ask, complete, opener

from tailor.search.engines.keras_tuner import translate
from tailor.search.engines.protocol import Suggestion
from tailor.search.space.conditions import Condition, parse_when
from tailor.search.space.parameters import Choice, Float, Int
from tailor.search.space.points import list_values
from tailor.search.space.space import Space

RATE = Float("rate", 0.0, 0.5, step=0.1)


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    return opener(tmp_path, "keras-tuner")


def test_each_step_of_a_float_is_learnt_from_at_its_own_place() -> None:
    """Keras Tuner itself counts steps by rounding down: 0.3 is two steps of 0.1 there."""
    (declared,) = translate(Space((RATE,))).space
    places = [declared.value_to_prob(value) for value in list_values(RATE)]
    assert places == pytest.approx([(i + 0.5) / 6 for i in range(6)])
    assert [declared.prob_to_value(place) for place in places] == list_values(RATE)


@pytest.mark.parametrize("rate", list_values(RATE))
def test_a_condition_on_a_step_holds_from_that_step_on(rate: float) -> None:
    hp = translate(Space((RATE, Int("units", 1, 9, when=(Condition("rate", ">=", 0.3),)))))
    hp.values = {"rate": rate}
    assert hp.is_active("units") == (rate >= 0.3)


@pytest.mark.parametrize("kind", ["a", "b"])
@pytest.mark.parametrize("norm", [True, False])
def test_a_joined_condition_holds_when_both_do(kind: str, norm: bool) -> None:
    """`norm` itself hangs on `kind`, so that the scopes share a parent."""
    under_both = parse_when("units", "norm == true and kind in ['a', 'b']")
    hp = translate(
        Space(
            (
                Choice("kind", ("a", "b", "c")),
                Choice("norm", (True, False), when=parse_when("norm", "kind != 'b'")),
                Int("units", 1, 9, when=under_both),
            )
        )
    )
    hp.values = {"kind": kind, "norm": norm}
    assert hp.is_active("units") == (kind == "a" and norm)


def test_a_whole_number_on_a_log_scale_is_kept_below_its_end(opened: Open) -> None:
    """Keras Tuner's Bayesian search proposes high + 1 where its optimum lies at the end."""
    engine = opened("bayesian", space=Space((Int("units", 64, 512, log=True),)), trials=3)
    ask(engine)
    (trial,) = engine._oracle.trials.values()
    trial.hyperparameters.values["units"] = 513
    assert engine.unfinished()[0].hparams == {"units": 512}


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
