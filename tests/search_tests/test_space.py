"""The space: checks at construction, conditions, the walk, and the points of a grid."""

from __future__ import annotations

import random
import tomllib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailor.search.errors import StudyError
from tailor.search.space import conditions
from tailor.search.space.conditions import Condition, parse_when, write_toml, write_when
from tailor.search.space.parameters import Choice, Fixed, Float, Int, Parameter, normalize
from tailor.search.space.points import check_point, count_points, list_points, list_values
from tailor.search.space.rules import draw, largest, middle, smallest
from tailor.search.space.space import Space, walk


def test_walk_visits_in_order_and_skips_what_a_condition_excludes() -> None:
    deep = parse_when("units_3", "depth >= 3")
    space = Space((Int("depth", 1, 4), Int("units_3", 16, 64, when=deep), Fixed("act", "relu"), Choice("b", (1, 2))))
    assert list(walk(space, largest).items()) == [("depth", 4), ("units_3", 64), ("act", "relu"), ("b", 2)]
    assert walk(space, smallest) == {"depth": 1, "act": "relu", "b": 1}


def test_a_condition_on_an_inactive_parameter_does_not_hold() -> None:
    space = Space(
        (
            Choice("head", ("a", "b")),
            Int("n", 1, 2, when=parse_when("n", "head == a")),
            Int("m", 1, 2, when=parse_when("m", "n >= 1")),
        )
    )
    assert walk(space, lambda p: "b" if p.name == "head" else 1) == {"head": "b"}


@pytest.mark.parametrize(
    ("text", "values", "holds"),
    [
        ("depth >= 3", {"depth": 3}, True),
        ("depth < 3", {"depth": 3}, False),
        ("opt == sgd", {"opt": "sgd"}, True),
        ('opt != "sgd"', {"opt": "sgd"}, False),
        ("opt in ['sgd', 'adam']", {"opt": "adam"}, True),
        ("flag == true", {"flag": True}, True),
    ],
)
def test_conditions(text: str, values: dict, holds: bool) -> None:
    when = parse_when("x", text)
    assert conditions.holds(when, values) is holds
    assert parse_when("x", write_when(when)) == when


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("depth >= 3 and batch_norm == true", [("depth", ">=", 3), ("batch_norm", "==", True)]),
        ("a in [1, 2] and b != 'x and y == 1' and c < 0.5", [("a", "in", (1, 2)), ("b", "!=", "x and y == 1"), ("c", "<", 0.5)]),
        ("kind == salt and pepper", [("kind", "==", "salt and pepper")]),  # no condition follows the "and"
        ("rock and roll == 1 and b == 2", [("rock and roll", "==", 1), ("b", "==", 2)]),
        ('kind == "salt and b == 3"', [("kind", "==", "salt and b == 3")]),
    ],
)
def test_conditions_may_be_joined(text: str, parts: list[tuple]) -> None:
    when = parse_when("x", text)
    assert [(one.name, one.op, one.value) for one in when] == parts
    assert parse_when("x", write_when(when)) == when


calmly = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
ODD = st.lists(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    | st.sampled_from([" and ", "b == 1", '"', "'", "\\", "\x7f", "😀"])
).map("".join)


@calmly
@given(
    st.lists(
        st.builds(Condition, st.just("a"), st.just("=="), ODD)
        | st.builds(Condition, st.just("b"), st.just("in"), st.tuples(ODD, ODD)),
        min_size=1,
    )
)
def test_conditions_on_odd_texts_are_read_as_they_were_written(conditions: list[Condition]) -> None:
    assert parse_when("x", write_when(tuple(conditions))) == tuple(conditions)


@calmly
@given(ODD)
def test_a_text_is_written_as_toml_reads_it(text: str) -> None:
    assert tomllib.loads(f"v = {write_toml(text)}") == {"v": text}


def test_a_text_of_many_ands_is_read_at_once() -> None:
    with pytest.raises(StudyError, match="compares a number with a text"):
        under(Int("a", 1, 2), " and ".join(["a == 1"] * 60 + ["a is 1"]))


JOINED = Space(
    (
        Int("depth", 1, 3),
        Choice("norm", (True, False)),
        Choice("rate", (0.1, 0.2), when=parse_when("rate", "depth >= 3 and norm == true")),
    )
)


def test_a_joined_condition_holds_only_when_all_of_it_does() -> None:
    assert [point for point in list_points(JOINED) if "rate" in point] == [
        {"depth": 3, "norm": True, "rate": 0.1},
        {"depth": 3, "norm": True, "rate": 0.2},
    ]
    assert len(list_points(JOINED)) == 5 + 2
    with pytest.raises(StudyError, match=r"space\.u\.when: 'b' is not declared above it"):
        under(Int("a", 1, 2), "a >= 1 and b >= 1")
    with pytest.raises(StudyError, match=r"space\.u\.when: 'a' is never 3; its choices are \[1, 2\]"):
        under(Choice("a", (1, 2)), "a == 1 and a == 3")


def under(parent: Parameter, condition: str) -> Space:
    return Space((parent, Int("u", 1, 2, when=parse_when("u", condition))))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Float("lr", 1.0, 0.1), "space.lr: low must be at most high, got low = 1.0, high = 0.1"),
        (lambda: Float("lr", 0.0, 0.1, log=True), "space.lr: a log scale needs low > 0"),
        (lambda: Int("n", 1, 8, log=True, step=2), "space.n: log and step cannot stand together"),
        (lambda: Float("x", 0.0, float("inf")), "space.x: low and high must be finite"),
        (lambda: Choice("b", ()), "space.b: choices is empty"),
        (lambda: Choice("b", (1, 1)), "space.b: choices [1, 1] names a value twice"),
        (lambda: parse_when("u", "depth is 3"), "space.u.when: expected 'NAME OP VALUE'"),
        (lambda: Space((Int("u", 1, 2, when=parse_when("u", "depth >= 3")),)), "'depth' is not declared above it"),
        (
            lambda: under(Choice("kind", ("sgd", "adam")), "kind == sdg"),
            'space.u.when: \'kind\' is never "sdg"; its choices are ["sgd", "adam"]',
        ),
        (
            lambda: under(Choice("norm", (True, False)), "norm == True"),
            "space.u.when: 'norm' is never \"True\"; its choices are [true, false]",
        ),
        (lambda: under(Choice("kind", ("sgd", "adam")), "kind in ['sgd', 'adamw']"), "'kind' is never \"adamw\""),
        (lambda: parse_when("u", "kind in [sgd, adam]"), "space.u.when: 'in' takes a list such as [1, 2] or ['a', 'b']"),
        (lambda: parse_when("u", "kind == 'adam"), "space.u.when: expected finite numbers, texts with both their quotes"),
        (lambda: under(Choice("kind", ("sgd", "adam")), "kind >= 3"), "space.u.when: 'kind >= 3' compares a number with a text"),
        (lambda: under(Int("depth", 1, 3), "depth >= deep"), "compares a number with a text"),
    ],
)
def test_what_is_wrong_is_named(make, says: str) -> None:
    with pytest.raises(StudyError) as error:
        make()
    assert says in str(error.value)


def test_a_fixed_parent_may_rule_out_what_hangs_on_it() -> None:
    assert "u" not in walk(under(Fixed("kind", "adam"), "kind == sgd"), lambda parameter: 1)


def test_a_point_has_each_value_as_it_is_declared() -> None:
    space = Space((Choice("dropout", (0, 0.25)), Choice("norm", (1, True)), Float("rate", 0.0, 1.0)))
    point = check_point(space, {"dropout": 0.0, "norm": True, "rate": 1}, "enqueue[0]")
    assert [repr(value) for value in point.values()] == ["0", "True", "1.0"]
    steps = Float("rate", 0.0, 0.65, step=0.1)
    assert [normalize(steps, value) for value in (3 * 0.1, 0.3, 0.6000001)] == [0.3, 0.3, 0.6]


@pytest.mark.parametrize(
    "parameter", [Int("n", 3, 40), Int("n", 3, 40, step=5), Float("x", 0.0, 0.7, step=0.1), Float("x", -1.0, 1.0, step=0.3)]
)
def test_a_drawn_value_and_the_middle_are_those_of_the_list(parameter: Int | Float) -> None:
    values, drawn, listed = list_values(parameter), random.Random(3), random.Random(3)
    for _ in range(50):
        assert draw(parameter, drawn) == listed.choice(values)  # as ever: a seed keeps its draws
    if parameter.step:
        assert middle(parameter) == values[(len(values) - 1) // 2]


def test_a_value_of_a_range_too_wide_to_list_is_picked_all_the_same() -> None:
    salt, wide, fine = Int("salt", 0, 1_000_000, step=5), Int("wide", 0, 10**18), Float("fine", 0.0, 1.0, step=1e-6)
    assert [middle(salt), middle(fine)] == [500_000, 0.5]
    rng = random.Random(0)
    assert draw(salt, rng) % 5 == 0 and wide.low <= draw(wide, rng) <= wide.high and 0.0 <= draw(fine, rng) <= 1.0


def test_grid_points_are_the_distinct_active_combinations() -> None:
    space = Space((Int("depth", 1, 3), Choice("u3", ("a", "b"), when=parse_when("u3", "depth >= 3")), Fixed("f", 1)))
    assert list_points(space) == [
        {"depth": 1, "f": 1},
        {"depth": 2, "f": 1},
        {"depth": 3, "u3": "a", "f": 1},
        {"depth": 3, "u3": "b", "f": 1},
    ]
    assert [p["x"] for p in list_points(Space((Float("x", 0.0, 0.3, step=0.1),)))] == [0.0, 0.1, 0.2, 0.3]


def test_a_grid_of_a_continuous_parameter_is_refused_by_name() -> None:
    with pytest.raises(StudyError, match=r"space.lr: a grid needs a finite list"):
        list_points(Space((Float("lr", 0.1, 0.2),)))


def test_a_grid_too_large_to_list_is_refused_before_it_is_listed() -> None:
    with pytest.raises(StudyError, match="too many to list"):
        list_points(Space((Int("n", 1, 10**12),)))
    wide = (Int("n", 1, 90_000), Int("m", 1, 90_000))  # 8 billion points, more than fit into a memory
    with pytest.raises(StudyError, match="a grid of more than 100,000 points"):
        list_points(Space(wide))
    rows = tuple(Int(f"n{i}", 1, 316) for i in range(2))
    assert len(list_points(Space(rows))) == 316**2 and count_points(Space((*wide, Float("x", 0, 1)))) is None
