"""Training options: split from the factory's hyperparameters, and checked."""

from __future__ import annotations

import pytest

from tailor.models.errors import ModelError
from tailor.models.training.options import EarlyStopping, TrainOptions, schema, split


def test_options_are_taken_out_and_the_rest_is_the_factorys() -> None:
    options, rest = split({"learning_rate": 0.01, "units": 4, "early_stopping": {"patience": 2}})
    assert options == TrainOptions(learning_rate=0.01, early_stopping=EarlyStopping(2))
    assert rest == {"units": 4}


def test_adamw_decays_weights_as_kerass_does_unless_told_otherwise() -> None:
    from keras.optimizers import AdamW

    assert split({"optimizer": "adamw"})[0].weight_decay == AdamW().weight_decay
    assert split({"optimizer": "adamw", "weight_decay": 0})[0].weight_decay == 0
    assert split({"optimizer": "adam"})[0].weight_decay == 0


def test_other_optimizers_have_kerass_defaults_too() -> None:
    from keras.optimizers import Muon

    assert split({"optimizer": "muon"})[0].weight_decay == Muon().weight_decay == Muon().adam_weight_decay
    assert split({"optimizer": "schedule_free_adamw"})[0].schedule == "constant"  # it needs none
    assert split({"optimizer": "schedule_free_adamw", "schedule": "cosine"})[0].schedule == "cosine"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"learning_rate": 0}, "training.learning_rate: expected a number from 1e-12 to 1000, got 0."),
        ({"batch_size": 1.5}, "training.batch_size: expected a whole number"),
        ({"optimizer": "adm"}, "training.optimizer: expected one of adam, adamw, sgd"),
        ({"early_stopping": {"patience": 0}}, "training.early_stopping.patience: expected a whole number"),
        ({"early_stopping": {"patence": 3}}, "expected a table of patience, min_delta"),
        ({"nesterov": 1}, "training.nesterov: expected true or false"),
    ],
)
def test_a_wrong_value_names_its_option(values: dict, says: str) -> None:
    with pytest.raises(ModelError) as error:
        split(values)
    assert says in str(error.value)


def test_whole_numbers_become_the_real_ones_that_keras_wants() -> None:
    momentum = split({"momentum": 0})[0].momentum
    assert (type(momentum), momentum) == (float, 0.0)


@pytest.mark.parametrize(
    ("name", "high", "beyond"),
    [
        ("learning_rate", 1e3, 1001),
        ("batch_size", 1_000_000, 1_000_001),
        ("momentum", 1, 1.01),
        ("label_smoothing", 0.99, 1),
        ("flip", 1, 1.1),
        ("rotate", 180, 181),
        ("erase", 0.9, 1),
        ("mixup", 100, float("nan")),
        ("early_stopping", {"patience": 1, "min_delta": 5}, {"min_delta": float("nan")}),
        ("early_stopping", False, True),
    ],
)
def test_the_schema_and_the_check_have_the_same_bounds(name: str, high: object, beyond: object) -> None:
    split({name: high})
    with pytest.raises(ModelError, match=f"training.{name}"):
        split({name: beyond})
    if isinstance(high, (int, float)) and not isinstance(high, bool):
        assert schema()[name]["maximum"] == high
