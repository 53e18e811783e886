"""The points that a search tries first: the enqueued ones, and every point of a finite list, each once."""

from __future__ import annotations

from typing import Any

import pytest

from tailor.search.study.capabilities import count_trials, list_first
from tailor.search.study.load import build

RATES, DEPTHS = (0.001, 0.01), (1, 2)
ALL = [{"learning_rate": rate, "depth": depth} for rate in RATES for depth in DEPTHS]


@pytest.mark.parametrize("sampler", ["grid", "brute-force"])
@pytest.mark.parametrize(
    ("enqueued", "first"),
    [
        ([], []),
        ([{"learning_rate": 0.01, "depth": 1}], [{"learning_rate": 0.01, "depth": 1}]),
        ([{"learning_rate": 0.01}], [{"learning_rate": 0.01}]),
        ([{"learning_rate": 0.01}] * 2, [{"learning_rate": 0.01}] * 2),
        ([{"learning_rate": 0.01}] * 3, [{"learning_rate": 0.01}] * 2),
        ([{"depth": 2}, {"depth": 2, "learning_rate": 0.01}], [{"depth": 2}] * 2),
    ],
)
def test_a_list_has_each_point_once_and_enqueued_ones_first(
    sampler: str, enqueued: list[dict[str, Any]], first: list[dict[str, Any]]
) -> None:
    study = {"name": "s", "dataset": "digits", "model": "mlp"}
    space = {"learning_rate": list(RATES), "depth": list(DEPTHS)}
    spec = build({"study": study, "space": space, "search": {"sampler": sampler}, "enqueue": enqueued})
    found = list_first(spec)
    assert sorted(map(sorted_items, found)) == sorted(map(sorted_items, ALL)) and count_trials(spec) == 4
    assert all(point.items() <= one.items() for point, one in zip(first, found, strict=False))


def test_a_point_whose_values_rule_a_parameter_out_is_one_of_the_lists() -> None:
    study = {"name": "s", "dataset": "digits", "model": "mine.py:build"}
    space = {"kind": ["a", "b"], "extra": {"choices": [1, 2], "when": 'kind == "b"'}}
    point = {"kind": "a", "extra": 2}
    spec = build({"study": study, "space": space, "search": {"sampler": "grid"}, "enqueue": [point]})
    found = list_first(spec)
    assert found[0] == {"kind": "a"} and len(found) == count_trials(spec) == 3


def sorted_items(point: dict[str, Any]) -> list[tuple[str, Any]]:
    return sorted(point.items())
