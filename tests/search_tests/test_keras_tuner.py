"""What the engine over Keras Tuner does beyond the contract: how it declares a space."""

from __future__ import annotations

import pytest

from search.engines.keras_tuner import translate
from search.space import Condition, Float, Int, Space, listed

RATE = Float("rate", 0.0, 0.5, step=0.1)


def test_each_step_of_a_float_is_learnt_from_at_its_own_place() -> None:
    """Keras Tuner itself counts steps by rounding down: 0.3 is two steps of 0.1 there."""
    (declared,) = translate(Space((RATE,))).space
    places = [declared.value_to_prob(value) for value in listed(RATE)]
    assert places == pytest.approx([(i + 0.5) / 6 for i in range(6)])
    assert [declared.prob_to_value(place) for place in places] == listed(RATE)


@pytest.mark.parametrize("rate", listed(RATE))
def test_a_condition_on_a_step_holds_from_that_step_on(rate: float) -> None:
    hp = translate(Space((RATE, Int("units", 1, 9, when=Condition("rate", ">=", 0.3)))))
    hp.values = {"rate": rate}
    assert hp.is_active("units") == (rate >= 0.3)
