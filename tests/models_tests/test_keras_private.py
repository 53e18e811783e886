"""Private names of Keras: each is still there, and stands in one file alone."""

from __future__ import annotations

import random
import re
from pathlib import Path

import keras
import pytest

from tailor.models.training import keras_private

ROOT = Path(__file__).resolve().parents[2]
NAMES = re.compile(
    r"(?<!self)\._(?:[a-z]+_)*(?:layers|generators|history|rate|nodes|index|momentums|velocities|gradients)\b|keras\.src"
)


def network() -> keras.Model:
    inputs = keras.Input((4,))
    inner = keras.Sequential([keras.layers.Dense(3), keras.layers.Dropout(0.5)], name="inner")
    return keras.Model(inputs, keras.layers.Activation("softmax", name="end")(inner(inputs)))


def test_layers_inside_layers_and_what_draws_are_found() -> None:
    found = list(keras_private.flatten_layers(network(), include_self=False))
    kinds = [type(layer).__name__ for layer in found]
    assert kinds.count("Dense") == kinds.count("Dropout") == kinds.count("Activation") == 1
    drawing = [layer for layer in found if keras_private.get_seed_generators(layer)]
    assert [type(layer).__name__ for layer in drawing] == ["Dropout"]


def test_the_last_operation_and_what_it_takes() -> None:
    end = keras_private.get_last_operation(network())
    assert end.name == "end"
    assert [one.name for one in keras_private.get_sources(end)] == ["inner"]
    assert keras_private.get_sources(network().layers[0]) == []


@pytest.mark.parametrize("kind", [keras.optimizers.Adam, keras.optimizers.SGD])
def test_an_optimizers_slots_rate_and_exclusions(kind: type[keras.optimizers.Optimizer]) -> None:
    weights = network().trainable_variables
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 5)
    optimizer = kind(schedule, weight_decay=0.1, **({"momentum": 0.9} if kind is keras.optimizers.SGD else {}))
    optimizer.build(weights)
    assert keras_private.get_learning_rate(optimizer) is schedule
    if kind is keras.optimizers.Adam:
        assert [slot.shape for slot in keras_private.get_adam_slots(optimizer, weights[1])] == [weights[1].shape] * 2
    else:
        assert keras_private.get_momentum_slot(optimizer, weights[1]).shape == weights[1].shape
    keras_private.skip_all_reduce(optimizer)
    averaging = kind(0.1, use_ema=True)
    averaging.build(weights)
    assert [one.shape for one in keras_private.get_averages(averaging)] == [one.shape for one in weights]
    excluded = kind(0.1, weight_decay=0.1)
    assert not keras_private.excludes_weights_from_decay(excluded)
    excluded.exclude_from_weight_decay(var_names=["bias"])
    assert keras_private.excludes_weights_from_decay(excluded)


def test_kerass_seeds_come_from_the_generator_that_is_given() -> None:
    def draw() -> int:
        with keras_private.draw_seeds_from(random.Random(3)):
            random.seed(random.random())  # another thread's draws
            return int(keras.random.SeedGenerator().state[0])

    assert draw() == draw()


def test_no_other_file_names_them() -> None:
    files = [path for room in ("models", "experiments") for path in (ROOT / room).rglob("*.py")]
    found = {path.name: NAMES.findall(path.read_text()) for path in files if path.name != "keras_private.py"}
    assert {name: names for name, names in found.items() if names} == {}
