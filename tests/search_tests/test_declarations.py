"""The declarations of a [space] table: where a range in steps ends."""

from __future__ import annotations

import pytest

from tailor.search.errors import StudyError
from tailor.search.space.rules import largest
from tailor.search.space.space import walk
from tailor.search.study.load import build
from tailor.search.study.parse_space import read_parameter

WIDTH = {"low": 16, "high": 100, "step": 32}


def tables(**more: object) -> dict:
    units = {"low": 1, "high": 9, "when": "width == 100"}
    study = {"name": "s", "dataset": "digits", "model": "mlp"}
    return {"study": study, "space": {"width": WIDTH, "units": units}, **more}


@pytest.mark.parametrize(
    ("declared", "high"),
    [
        (WIDTH, 80),
        ({"low": 16, "high": 112, "step": 32}, 112),
        ({"low": 1, "high": 4}, 4),
        ({"low": 0.0, "high": 0.55, "step": 0.1}, 0.5),
        ({"low": 0.1, "high": 0.7, "step": 0.2}, 0.7),  # which is less than three steps of 0.2 over 0.1
        ({"low": 0.0, "high": 1.0, "step": 1e-6}, 1.0),
    ],
)
def test_a_range_ends_at_its_last_step(declared: dict, high: float) -> None:
    found = read_parameter("width", declared)
    assert repr(found.high) == repr(high)
    assert read_parameter("width", {**declared, "high": found.high}) == found


def test_an_end_that_no_step_reaches_is_no_value() -> None:
    spec = build(tables())
    assert walk(spec.space, largest) == {"width": 80}
    assert build(spec.tables()) == spec
    with pytest.raises(StudyError, match=r"space\.width\.default: expected .* in steps of 32, got 100"):
        read_parameter("width", {**WIDTH, "default": 100})
    with pytest.raises(StudyError, match=r"enqueue\[0\]\.width: expected a whole number from 16 to 80, got 100"):
        build(tables(enqueue=[{"width": 100}]))


def test_a_step_wider_than_its_range_would_vary_nothing() -> None:
    expected = r"space\.width\.step: expected at most 3, the width of the range from 1 to 4, got 10; take a narrower step"
    with pytest.raises(StudyError, match=expected):
        read_parameter("width", {"low": 1, "high": 4, "step": 10})
    assert read_parameter("width", {"low": 1, "high": 4, "step": 3}).high == 4
