"""Keras Tuner models as they are, a `build(hp)` or a HyperModel: what their hp declares, and the model for given values.

The only file of `models` that knows Keras Tuner; it imports it inside the functions that use it.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..beginnings import refuse_made
from ..errors import ModelError
from ..factory import find
from ..interface import complete
from ..training.options import TrainOptions

if TYPE_CHECKING:
    import keras
    import keras_tuner

Shape = tuple[int, int, int]
MOST_BUILDS = 300
QUIET = 16  # random builds in a row that declare nothing new; after them the search for more ends
GIVEN = {"input_shape": 0, "num_classes": 1, "classes": 1}  # a HyperModel's arguments that Tailor knows, by place


def load(name: str, input_shape: Shape, num_classes: int, kept: Path | None = None) -> keras_tuner.HyperModel:
    """The HyperModel of that name, or of the kept copy of its file. Raises ModelError if it is none or overrides `fit`."""
    import keras_tuner

    found, _ = find(name, kept)
    if isinstance(found, type) and issubclass(found, keras_tuner.HyperModel):
        known = (input_shape, num_classes)
        found = found(**{key: known[GIVEN[key]] for key in inspect.signature(found).parameters if key in GIVEN})
    if not isinstance(found, keras_tuner.HyperModel):
        if not callable(found):
            raise ModelError(f"study.model: expected a build(hp) or a HyperModel in {name!r}, got {type(found).__name__}.")
        function, found = found, keras_tuner.HyperModel()
        found.build = function
    if type(found).fit is not keras_tuner.HyperModel.fit:
        raise ModelError(
            f"model {name!r}: its HyperModel overrides fit, which Tailor never calls: it trains by its own loop. Remove fit; "
            "set batch_size, early_stopping and class_weight in [training] or [space], and epochs in search.max_epochs; "
            "put a custom step into the model's train_step."
        )
    return found


def find_hyperparameters(name: str, input_shape: Shape, num_classes: int) -> list[Mapping[str, Any]]:
    """Find the configs of all that hp declares, parents first, by calling the model; they depend on the code alone.

    Keras Tuner finds what is behind an `if` or in a loop when a trial reaches it. A search must know it before: this tries
    each hyperparameter at each choice and both ends of its range, under the values that it was found with, then all at random.
    """
    hyper, found = load(name, input_shape, num_classes), _Found()
    _build(hyper, found, {})
    while found.waiting and found.builds < MOST_BUILDS:
        _try(hyper, found, found.waiting.pop(0))
    rng, quiet = random.Random(0), 0
    while found.parameters and quiet < QUIET and found.builds < MOST_BUILDS:
        before = len(found.parameters)
        _try(hyper, found, {one.name: one.random_sample(rng.random()) for one in found.parameters})
        quiet = quiet + 1 if len(found.parameters) == before else 0
    return [{"class_name": type(one).__name__, "config": one.get_config()} for one in found.parameters]


def build(
    name: str, values: Mapping[str, Any], options: TrainOptions, data: tuple[Shape, int], kept: Path | None = None
) -> tuple[keras.Model, TrainOptions]:
    """The model for hp's values, its inputs and outputs as Tailor's, and the options with its compiled optimizer and loss.

    `data` is the images' shape (height, width, channels) and the number of classes; `kept` as in `load`.
    """
    import keras

    from .. import compiled

    hyper = load(name, *data, kept)
    model, hp = _call_build(hyper, values)
    missed = [one.name for one in hp.space if one.name not in values and hp.is_active(one)]
    if missed:
        raise ModelError(
            f"model {name!r}: hp {missed[0]!r} was not found when the study began, so it is not searched; declare it outside of "
            "the condition that hides it, or under hp.conditional_scope."
        )
    if not isinstance(model, keras.Model):
        raise ModelError(
            f"model {name!r}: expected build(hp) to return a keras.Model, got {type(model).__name__}; "
            "return the model that it builds."
        )
    refuse_made(name, model)
    model, options = compiled.adopt(name, model, options, data[0])
    return complete(name, model, data[1]), options


class _Found:
    """What is declared so far, and the values still to try."""

    def __init__(self) -> None:
        self.parameters: list[Any] = []
        self.waiting: list[Mapping[str, Any]] = []
        self.builds = 0

    def take(self, space: Sequence[Any], values: Mapping[str, Any]) -> None:
        known = [(one.name, one.conditions) for one in self.parameters]
        for one in space:
            place = (one.name, one.conditions)
            if place in known:
                before = [other for other in self.parameters if (other.name, other.conditions) == place]
                if len(before) == 1 and before[0].get_config() != one.get_config():
                    self.parameters.append(one)  # a second declaration in the same place: the reader refuses both
            else:
                self.parameters.append(one)
                under = {**values, **{condition.name: condition.values[0] for condition in one.conditions}}
                self.waiting += [{**under, one.name: value} for value in _list_ends(one)]


def _try(hyper: keras_tuner.HyperModel, found: _Found, values: Mapping[str, Any]) -> None:
    """Build at guessed values: if the model cannot be built, what it declared until then still counts."""
    try:
        _build(hyper, found, values)
    except Exception:
        return


def _build(hyper: keras_tuner.HyperModel, found: _Found, values: Mapping[str, Any]) -> None:
    import keras
    import keras_tuner

    found.builds += 1
    keras.utils.clear_session(free_memory=False)
    hp = keras_tuner.HyperParameters()
    hp.values = dict(values)
    try:
        _call(hyper, hp)
    finally:
        found.take(hp.space, values)


def _call_build(hyper: keras_tuner.HyperModel, values: Mapping[str, Any]) -> tuple[keras.Model, keras_tuner.HyperParameters]:
    import keras_tuner

    hp = keras_tuner.HyperParameters()
    hp.values = dict(values)
    return _call(hyper, hp), hp


def _call(hyper: keras_tuner.HyperModel, hp: keras_tuner.HyperParameters) -> keras.Model:
    with chdir("."):  # then back to the current folder, which relative paths depend on
        hyper.declare_hyperparameters(hp)
        return hyper.build(hp)


def _list_ends(one: Any) -> list[Any]:
    if hasattr(one, "min_value"):
        return [one.min_value, one.max_value]
    return list(one.values)
