"""Models of a person's own, with what no built-in one has: they train as in Keras, and what is kept is what was measured."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from fits import digits
from keras import layers

from tailor.models.errors import ModelError
from tailor.models.interface import check
from tailor.models.training import precision
from tailor.models.training.clone import clone_for_training, convert_to_float32, signature
from tailor.models.training.fit import Data, FitPlan, fit
from tailor.models.training.options import TrainOptions
from tailor.models.training.precision import choose_precision

SHAPE = (8, 8, 1)


@pytest.fixture(scope="module")
def data() -> Data:
    return digits()


def network(*middle: Callable[[], Callable], policy: str = "float32") -> keras.Model:
    """A small classifier of digits with something of one's own in its middle, each made by a call without arguments."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
    keras.config.set_dtype_policy(policy)
    try:
        inputs = keras.Input(SHAPE)
        x = layers.Rescaling(1 / 255)(inputs)
        for part in middle:
            x = part()(x)
        return keras.Model(inputs, layers.Dense(10, activation="softmax")(layers.Flatten()(x)))
    finally:
        keras.config.set_dtype_policy("float32")


class Stubborn(layers.Layer):
    """A layer that cannot be made again from its config: its arguments are its own alone."""

    def __init__(self) -> None:
        super().__init__()

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return 2.0 * inputs


class Float32Alone(layers.Layer):
    """A layer that fails in bfloat16."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs * tf.constant(2.0, tf.float32)


class Ignored(keras.Model):
    """A functional model whose own loss is a constant: nothing is learnt."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return 0.0 * keras.ops.sum(y_pred) + 3.0


def adapted(images: np.ndarray) -> layers.Layer:
    layer = layers.Normalization(axis=None)
    layer.adapt(images)
    return layer


@pytest.mark.parametrize(
    "middle",
    [
        lambda: lambda x: x + x,
        lambda: layers.Lambda(lambda x: 2.0 * x),
        Stubborn,
        lambda: layers.Conv2D(4, 3, activity_regularizer="l2"),
    ],
    ids=["operation", "lambda", "no config", "regularised activity"],
)
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_it_trains_and_the_model_kept_is_the_one_that_was_measured(data: Data, middle: Callable, policy: str) -> None:
    model = network(middle, policy=policy)
    fitted = fit(model, data, TrainOptions(learning_rate=0.01), FitPlan(2, seed=5))
    assert fitted.best["val_accuracy"] > 0.6
    kept = convert_to_float32(model).predict(data.val_images.numpy(), verbose=0).argmax(axis=1)
    assert (kept == fitted.validation.labels).mean() > 0.98


def test_what_a_layer_was_adapted_to_is_trained_and_measured_with(data: Data) -> None:
    images = 100.0 + data.train_images.numpy().astype("float32")
    model = network(lambda: layers.Rescaling(255.0, offset=100.0), lambda: adapted(images))
    fitted = fit(model, data, TrainOptions(learning_rate=0.01), FitPlan(2, seed=5))
    kept = model.predict(data.val_images.numpy(), verbose=0).argmax(axis=1)
    np.testing.assert_array_equal(kept, fitted.validation.labels)
    assert fitted.best["val_accuracy"] > 0.8


def test_a_loss_that_the_model_computes_itself_is_the_one(data: Data) -> None:
    base = network()
    model = Ignored(base.inputs, base.outputs)
    before = [weight.numpy() for weight in model.weights]
    assert fit(model, data, TrainOptions(), FitPlan(1, seed=5)).history[0]["train_loss"] == pytest.approx(3.0)
    for old, new in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, new.numpy())


class Grown(layers.Layer):
    """A layer that is given its weights after it was made: its config does not tell of them."""

    inner: layers.Layer | None = None

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs if self.inner is None else self.inner(inputs)


def test_a_layer_that_is_no_clones_like_trains_too(data: Data) -> None:
    def grown() -> layers.Layer:
        layer = Grown()
        layer.inner = layers.Dense(3)
        return layer

    assert fit(network(grown), data, TrainOptions(learning_rate=0.01), FitPlan(2, seed=5)).best["val_accuracy"] > 0.6


class Net(keras.Model):
    """A model with an argument, of which Keras keeps the default alone."""

    def __init__(self, rate: float = 0.2, **options: object) -> None:
        super().__init__(**options)
        self.inside = [layers.Dropout(rate), layers.Flatten()]

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.inside[1](self.inside[0](x, training=training))


class KeptNet(Net):
    """The same, telling it."""

    def __init__(self, rate: float = 0.2, **options: object) -> None:
        super().__init__(rate, **options)
        self.rate = rate

    def get_config(self) -> dict[str, object]:
        return {"name": self.name, "rate": self.rate}


def test_a_model_whose_config_forgets_its_arguments_is_refused(data: Data) -> None:
    with pytest.raises(ModelError, match=r"Net takes rate, and a keras\.Model's config does not hold that"):
        check("mine", network(lambda: Net(0.9)), 10)
    nets = [network(lambda rate=rate: KeptNet(rate)) for rate in (0.9, 0.1)]
    for net in nets:
        check("mine", net, 10)
    assert signature(nets[0]) != signature(nets[1])
    losses = [fit(net, data, TrainOptions(learning_rate=0.01), FitPlan(1, seed=5)).history[0]["train_loss"] for net in nets]
    assert losses[0] > 1.2 * losses[1]  # nine in ten inputs dropped, or one


def test_a_layer_that_fails_in_bfloat16_is_trained_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)  # or nothing is tried

    def build(policy: str) -> keras.Model:
        return network(lambda: layers.Conv2D(4, 3), Float32Alone, policy=policy)

    with pytest.raises(Exception, match="bfloat16"):
        build("mixed_bfloat16")
    assert choose_precision(build, TrainOptions(), 10) == "float32"


def test_rates_inside_other_layers_make_another_model() -> None:
    """A trace has them baked in; those of a model's own Dropouts are values."""

    def shape(rate: float, inside: bool) -> str | None:
        def made() -> layers.Layer:
            return layers.TimeDistributed(layers.Dropout(rate)) if inside else layers.Dropout(rate)

        return signature(network(made))

    assert shape(0.1, inside=True) != shape(0.4, inside=True)
    assert shape(0.1, inside=False) == shape(0.4, inside=False) is not None


def test_a_layer_whose_class_is_made_with_the_model_may_have_a_trials_values() -> None:
    def scaled(factor: float) -> type[layers.Layer]:
        class Scaled(layers.Layer):
            def call(self, inputs: tf.Tensor) -> tf.Tensor:
                return factor * inputs

        return Scaled

    assert signature(network(scaled(2.0))) is None


def test_a_dropout_that_is_used_twice_draws_twice() -> None:
    inputs, drop = keras.Input((200,)), layers.Dropout(0.5)
    model, clock = clone_for_training(keras.Model(inputs, drop(inputs) - drop(inputs)))
    drawn = []
    for _ in range(2):
        clock.tick(tf.constant(3))
        drawn.append(model(tf.ones((1, 200)), training=True).numpy())
    assert 50 < (drawn[0] != 0).sum() < 150
    np.testing.assert_array_equal(drawn[0], drawn[1])  # in the same step, the same


@pytest.mark.parametrize("mixing", ["mixup", "cutmix"])
def test_a_mixed_image_counts_for_what_there_is_most_of(data: Data, mixing: str) -> None:
    """With so small an alpha each batch is nearly all its images or nearly all those that they are mixed with."""
    options = TrainOptions(learning_rate=0.01, **{mixing: 0.01})
    assert fit(network(), data, options, FitPlan(6, seed=5)).history[-1]["train_accuracy"] > 0.75
