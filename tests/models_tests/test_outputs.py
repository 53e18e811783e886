"""What comes out of a model: probabilities stay, logits get a softmax, other ends are refused by name."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers

from tailor.models.errors import ModelError
from tailor.models.factory import Factory
from tailor.models.interface import complete
from tailor.models.outputs import ADDED, end_in_probabilities, find_end, judge
from tailor.models.training.optimizers import is_config
from tailor.models.training.options import TrainOptions

SHAPE, CLASSES = (6, 6, 1), 4


class Custom(layers.Layer):
    """A custom layer whose end no name tells."""

    def __init__(self, function: Callable) -> None:
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(x)


class Called(keras.Model):
    """A model by its `call`."""

    def __init__(self, function: Callable) -> None:
        super().__init__()
        self.inside = [layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(CLASSES), Custom(function)]

    def call(self, x):
        for layer in self.inside:
            x = layer(x)
        return x


class OwnStep(keras.Model):
    """A model with a custom step."""

    def train_step(self, batch):
        return super().train_step(batch)


def network(*ends: Callable, kind: type[keras.Model] = keras.Model, **dense: object) -> keras.Model:
    keras.utils.set_random_seed(3)
    inputs = keras.Input(SHAPE)
    x = layers.Dense(CLASSES, **dense)(layers.Flatten()(layers.Rescaling(1 / 255)(inputs)))
    for end in ends:
        x = end(x)
    return kind(inputs, x)


def nest(model: keras.Model) -> keras.Model:
    images = keras.Input(SHAPE)
    return keras.Model(images, model(images))


PROBABILITIES = {
    "argument": lambda: network(activation="softmax"),
    "activation layer": lambda: network(layers.Activation("softmax")),
    "softmax layer": lambda: network(layers.Softmax()),
    "operation": lambda: network(keras.ops.softmax),
    "custom layer": lambda: network(Custom(keras.ops.softmax)),
    "lambda": lambda: network(layers.Lambda(keras.activations.softmax)),
    "cast at the end": lambda: network(layers.Softmax(), layers.Activation("linear", dtype="float32")),
    "average of two": lambda: nest(network(lambda x: layers.Average()([layers.Softmax()(x), layers.Softmax()(-x)]))),
    "nested": lambda: nest(network(activation="softmax")),
    "by its call": lambda: nest(Called(keras.ops.softmax)),
    "sequential": lambda: keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(CLASSES), layers.Softmax()]),
    "bfloat16": lambda: network(layers.Softmax(dtype="bfloat16")),
}
LOGITS = {
    "dense": network,
    "zeros at first": lambda: network(kernel_initializer="zeros"),
    "linear": lambda: network(activation="linear"),
    "cast at the end": lambda: network(layers.Activation("linear", dtype="float32")),
    "dropout at the end": lambda: network(layers.Dropout(0.5)),
    "operation": lambda: network(lambda x: x / 2.0),
    "custom layer": lambda: network(Custom(lambda x: 3.0 * x)),
    "nested": lambda: nest(network()),
    "by its call": lambda: nest(Called(lambda x: x)),
    "sequential": lambda: keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(CLASSES)]),
}
OTHERS = {
    "sigmoid": (lambda: network(activation="sigmoid"), "got sigmoid; end it with"),
    "two zeros": (lambda: network(activation="sigmoid", kernel_initializer="zeros"), "got sigmoid"),
    "sigmoid layer": (lambda: network(layers.Activation("sigmoid")), "got sigmoid"),
    "sigmoid operation": (lambda: network(keras.ops.sigmoid), "got sigmoid"),
    "sigmoid, cast": (lambda: network(layers.Activation("sigmoid"), layers.Activation("linear")), "got sigmoid"),
    "custom sigmoid": (lambda: network(Custom(keras.ops.sigmoid)), "got numbers between 0 and 1 whose sums are"),
    "sigmoid by its call": (lambda: nest(Called(keras.ops.sigmoid)), "got numbers between 0 and 1 whose sums are"),
    "relu": (lambda: network(activation="relu"), "got relu"),
    "relu layer": (lambda: network(layers.ReLU()), "got ReLU"),
    "custom relu": (lambda: network(Custom(lambda x: keras.ops.relu(9.0 * x))), "got numbers that are never below 0"),
    "tanh": (lambda: network(activation="tanh"), "got tanh"),
    "log-softmax": (lambda: network(activation="log_softmax"), "got log_softmax"),
    "log-softmax operation": (lambda: network(keras.ops.log_softmax), "got log_softmax"),
    "custom log-softmax": (lambda: network(Custom(keras.ops.log_softmax)), "got log_softmax"),
    "softmax of a batch": (lambda: network(layers.Softmax(axis=0)), "got a softmax over axis 0"),
    "logits and a custom step": (lambda: network(kind=OwnStep), "with a custom step or loss it must end with a softmax"),
}


@pytest.mark.parametrize("made", PROBABILITIES.values(), ids=PROBABILITIES)
def test_probabilities_stay_as_they_are(made: Callable[[], keras.Model]) -> None:
    model = made()
    assert end_in_probabilities("mine", model) is model


@pytest.mark.parametrize("made", LOGITS.values(), ids=LOGITS)
def test_logits_get_their_softmax(made: Callable[[], keras.Model]) -> None:
    model = made()
    ended = end_in_probabilities("mine", model)
    images = np.random.default_rng(0).integers(0, 256, (5, *SHAPE)).astype("float32")
    logits = np.asarray(model(images, training=False))
    np.testing.assert_allclose(ended(images, training=False), keras.ops.softmax(logits), atol=1e-5)
    assert ended.layers[-1].name == ADDED


@pytest.mark.parametrize(("made", "says"), OTHERS.values(), ids=OTHERS)
def test_other_ends_are_refused_by_name(made: Callable[[], keras.Model], says: str) -> None:
    with pytest.raises(ModelError) as error:
        end_in_probabilities("mine", made())
    assert says in str(error.value)


def test_the_numbers_alone_tell_what_they_are() -> None:
    logits = np.random.default_rng(0).normal(size=(9, 4))
    soft = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert [judge(soft), judge(np.log(soft)), judge(logits), judge(0 * logits)] == ["softmax", "log_softmax", "linear", "linear"]
    assert judge(1 / (1 + np.exp(-logits))).startswith("numbers between 0 and 1 whose sums are")
    assert judge(np.full((2, 2), np.nan)) == "softmax"  # its training will say so


def test_known_ends_are_not_asked_for_predictions() -> None:
    assert [find_end(network(activation="softmax")), find_end(nest(network()))] == ["softmax", "linear"]


@pytest.mark.parametrize("activation", ["softmax", None])
@pytest.mark.parametrize("pack", [lambda one: {"one": one}, lambda one: [one]], ids=["dict", "list"])
def test_a_dict_or_a_list_of_one_becomes_the_tensor(pack: Callable, activation: str | None) -> None:
    plain = network(activation=activation)
    images = np.zeros((3, *SHAPE), "float32")
    assert keras.ops.shape(complete("mine", keras.Model(pack(plain.inputs[0]), pack(plain.outputs[0])), CLASSES)(images)) == (
        3,
        4,
    )


def test_a_compiled_factorys_loss_weights_are_refused() -> None:
    model = network(activation="softmax")
    model.compile("sgd", "sparse_categorical_crossentropy", loss_weights=0.5)
    with pytest.raises(ModelError, match="loss_weights, which Tailor does not support; remove them"):
        factory(lambda *_: model).make({}, TrainOptions(), (SHAPE, CLASSES))


def factory(build: Callable[..., keras.Model]) -> Factory:
    return Factory("mine.py:build", build, None, source=__file__)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda *_: keras.Model((i := keras.Input(SHAPE)), [layers.Dense(CLASSES)(layers.Flatten()(i))] * 2), "got 2 outputs"),
        (lambda *_: keras.Model((i := keras.Input(SHAPE)), layers.Conv2D(CLASSES, 3)(i)), "flatten or pool before the last"),
        (lambda *_: network(activation="sigmoid"), "got sigmoid"),
    ],
    ids=["two outputs", "rank", "sigmoid"],
)
def test_a_factorys_wrong_output_is_refused(build: Callable[..., keras.Model], says: str) -> None:
    with pytest.raises(ModelError) as error:
        factory(build)({}, SHAPE, CLASSES)
    assert says in str(error.value)


def test_a_compiled_factory_brings_its_optimizer_and_loss() -> None:
    def build(*_: object) -> keras.Model:
        model = network()
        model.compile(keras.optimizers.SGD(0.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    model, options = factory(build).make({}, TrainOptions(), (SHAPE, CLASSES))
    assert is_config(options) and options.learning_rate == 0.0 and '"SGD"' in options.optimizer
    assert find_end(model) == "softmax" and not model.compiled
    with pytest.raises(ModelError, match=r"learning_rate: stands in \[training\] or \[space\], and model 'mine.py:build' is"):
        factory(build).make({}, TrainOptions(), (SHAPE, CLASSES), {"learning_rate": 0.1, "batch_size": 3})
    factory(build).make({}, TrainOptions(), (SHAPE, CLASSES), {"batch_size": 3})
