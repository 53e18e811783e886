"""Optuna's samplers whose order is the study's: what a seed changes, and that they go on over asks and restarts."""

from __future__ import annotations

from pathlib import Path

import pytest
from engines import Open, ask, complete, opener

from search.space import Float, Space
from search.spec import Component

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
