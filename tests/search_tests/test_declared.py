"""Keras Tuner's declarations as Tailor's: each kind by itself, conditions, and the study that they complete."""

from __future__ import annotations

import keras_tuner
import pytest

from tailor.search.engines.keras_tuner_private import under
from tailor.search.errors import StudyError
from tailor.search.space.conditions import Condition
from tailor.search.space.parameters import Choice, Fixed, Float, Int, Parameter
from tailor.search.study.from_keras_tuner import complete, translate
from tailor.search.study.load import build

TABLES = {
    "study": {"name": "kt", "dataset": "digits", "model": "nets/mine.py:build", "api": "keras-tuner"},
    "space": {"batch_size": [32, 64]},
}


def translated(hp: keras_tuner.HyperParameters) -> tuple[Parameter, ...]:
    return translate(hp.get_config()["space"])


def test_every_kind_has_its_like() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Int("layers", 1, 4, default=2)
    hp.Int("units", 16, 100, step=32)
    hp.Int("log units", 16, 256, sampling="log")
    hp.Int("doubled", 2, 32, step=2, sampling="log")
    hp.Float("dropout", 0.0, 0.5, step=0.2)
    hp.Float("lr", 1e-4, 1e-2, sampling="log")
    hp.Float("tenfold", 1e-3, 1.0, step=10, sampling="log")
    hp.Choice("act", ["relu", "tanh"], default="tanh")
    hp.Boolean("norm")
    hp.Fixed("seed", 3)
    *others, tenfold = sorted(translated(hp), key=lambda p: p.name == "tenfold")
    assert others == [
        Int("layers", 1, 4, default=2),
        Int("units", 16, 80, step=32),
        Int("log units", 16, 256, log=True),
        Choice("doubled", (2, 4, 8, 16, 32)),
        Float("dropout", 0.0, 0.4, step=0.2),
        Float("lr", 1e-4, 1e-2, log=True),
        Choice("act", ("relu", "tanh"), default="tanh"),
        Choice("norm", (True, False), default=False),  # Keras Tuner's own
        Fixed("seed", 3),
    ]
    assert isinstance(tenfold, Choice) and tenfold.choices == pytest.approx((1e-3, 1e-2, 1e-1, 1.0))


def test_scopes_become_conditions_and_the_same_under_two_is_one() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["mlp", "cnn", "none"])
    for kind in ("mlp", "cnn"):
        with hp.conditional_scope("kind", [kind]):
            hp.Int("units", 8, 64)
    hp.Float("rate", 0.0, 0.5, parent_name="kind", parent_values=["mlp"])
    assert translated(hp)[1:] == (
        Int("units", 8, 64, when=(Condition("kind", "in", ("mlp", "cnn")),)),
        Float("rate", 0.0, 0.5, when=(Condition("kind", "in", ("mlp",)),)),
    )


def test_a_scope_within_another_is_the_condition_where_its_parent_hangs_on_the_other() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["mlp", "cnn", "none"])
    for kind in ("mlp", "cnn"):
        with hp.conditional_scope("kind", [kind]):
            hp.Int("depth", 1, 3)
            with hp.conditional_scope("depth", [2, 3]):
                hp.Boolean("norm")
                with hp.conditional_scope("norm", [True]):
                    hp.Float("momentum", 0.5, 0.9)
    assert [parameter.when for parameter in translated(hp)[1:]] == [
        (Condition("kind", "in", ("mlp", "cnn")),),
        (Condition("depth", "in", (2, 3)),),
        (Condition("norm", "in", (True,)),),
    ]


def nest(depths: dict[str, list[int]]) -> keras_tuner.HyperParameters:
    """`width` under some depths of some kinds, `depth` under both kinds."""
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["mlp", "cnn", "none"])
    for kind in ("mlp", "cnn"):
        with hp.conditional_scope("kind", [kind]):
            hp.Int("depth", 1, 3)
            if kind in depths:
                with hp.conditional_scope("depth", depths[kind]):
                    hp.Int("width", 8, 64)
    return hp


def test_a_scope_within_another_whose_parent_is_declared_elsewhere_too_is_a_conjunction() -> None:
    (width,) = [parameter for parameter in translated(nest({"cnn": [2, 3]})) if parameter.name == "width"]
    assert width.when == (Condition("kind", "in", ("cnn",)), Condition("depth", "in", (2, 3)))


def test_scopes_that_are_no_one_conjunction_are_refused() -> None:
    with pytest.raises(StudyError, match=r"hp 'width': it is declared under kind in .* and depth in \[3\] and under kind in"):
        translated(nest({"cnn": [2, 3], "mlp": [3]}))


def test_four_scopes_that_are_one_conjunction_are_one_in_whatever_order() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["a", "b", "c"])
    hp.Int("depth", 1, 3)
    for kind, depth in (("a", 1), ("b", 2), ("a", 2), ("b", 1)):
        with under(hp, {"kind": [kind], "depth": [depth]}):
            hp.Int("width", 8, 64)
    (when,) = [parameter.when for parameter in translated(hp) if parameter.name == "width"]
    assert {condition.name: {*condition.value} for condition in when} == {"kind": {"a", "b"}, "depth": {1, 2}}


def test_a_declaration_that_depends_on_another_value_is_refused_with_the_way_out() -> None:
    configs = []
    for most in (10, 100):
        hp = keras_tuner.HyperParameters()
        hp.Int("b", 1, most)
        configs += hp.get_config()["space"]
    with pytest.raises(StudyError, match=r"hp 'b': its declaration depends .* \(once 1 to 10, then 1 to 100\).*widest range"):
        translate(configs)


def test_defaults_that_are_said_count_and_two_that_differ_do_not() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Int("units", 8, 64, default=8)
    hp.Float("dropout", 0.0, 0.5, default=0.1)
    hp.Float("rate", 1e-4, 1e-2)
    hp.Choice("kind", ["sgd", "adam"])
    for kind, default in (("sgd", 0.1), ("adam", 0.001)):
        with hp.conditional_scope("kind", [kind]):
            hp.Float("lr", 1e-4, 1.0, default=default)
    assert {p.name: p.default for p in translated(hp) if not isinstance(p, Fixed)} == {
        "units": 8, "dropout": 0.1, "rate": None, "kind": "sgd", "lr": None
    }  # fmt: skip


def twice(hp: keras_tuner.HyperParameters) -> None:
    hp.Choice("kind", ["mlp", "cnn"])
    for kind, high in (("mlp", 64), ("cnn", 128)):
        with hp.conditional_scope("kind", [kind]):
            hp.Int("units", 8, high)


@pytest.mark.parametrize(
    ("declare", "says"),
    [
        (lambda hp: hp.Float("x", 1.0, 2.0, sampling="reverse_log"), "hp 'x': expected sampling linear or log"),
        (lambda hp: hp.Int("n(1)", 1, 2), "expected a parameter name"),
        (twice, "hp 'units': it is declared twice, with other values"),
    ],
)
def test_what_has_no_like_is_named(declare, says: str) -> None:
    hp = keras_tuner.HyperParameters()
    declare(hp)
    with pytest.raises(StudyError) as error:
        translated(hp)
    assert says in str(error.value)


DECLARED = (Choice("kind of net", ("a", "b")), Int("units", 8, 64, when=(Condition("kind of net", "in", ("a",)),)))


def test_a_completed_study_is_recorded_read_and_completed_again_as_the_same() -> None:
    spec = complete(build(TABLES), DECLARED)
    assert [p.name for p in spec.space.parameters] == ["kind of net", "units", "batch_size"]
    read = build(spec.tables())
    assert read == spec
    assert complete(read, DECLARED) == spec
    assert complete(read, (DECLARED[0],)).identity() != spec.identity()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"training": {"units": 3}}, "units: model 'nets/mine.py:build' declares it itself, by hp; leave it out"),
        ({"space": {"units": [8, 16]}}, "units: model 'nets/mine.py:build' declares it itself"),
        ({"enqueue": [{"unts": 9}]}, "enqueue[0] (no searched parameter): no such name 'unts'. Did you mean 'units'"),
        ({"search": {"sampler": "grid"}, "space": {"mixup": {"low": 0.0, "high": 1.0}}}, "a grid needs a finite list"),
    ],
)
def test_what_the_file_and_the_model_disagree_in_is_named(changes: dict, says: str) -> None:
    with pytest.raises(StudyError) as error:
        complete(build({**TABLES, **changes}), DECLARED)
    assert says in str(error.value)


def test_an_empty_space_is_none_for_keras_tuner_once_it_is_whole() -> None:
    spec = build({**TABLES, "space": {}, "search": {"engine": "keras-tuner"}})
    with pytest.raises(StudyError, match="keras-tuner proposes no point twice"):
        complete(spec, ())
