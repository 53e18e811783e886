"""The training clone's own layers against the Keras layers whose place they take."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tailor.models.training.clone import clone_for_training, set_values, walk_layers
from tailor.models.training.layers import FusedBatchNorm


@pytest.mark.parametrize("shape", [(8, 5), (4, 6, 6, 3)])
def test_one_kernel_normalises_as_keras_does(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    images = tf.constant(rng.normal(2.0, 3.0, shape).astype("float32"))
    upstream = tf.constant(rng.normal(size=shape).astype("float32"))
    seen = {}
    for kind in (keras.layers.BatchNormalization, FusedBatchNorm):
        layer = kind(momentum=0.8)
        layer.build(shape)
        layer.gamma.assign(rng.uniform(0.5, 2.0, shape[-1]) if not seen else seen["gamma"])
        seen.setdefault("gamma", layer.gamma.numpy())
        with tf.GradientTape() as tape:
            watched = [images, layer.gamma.value, layer.beta.value]
            tape.watch(watched)
            outputs = layer(images, training=True)
        gradients = tape.gradient(outputs, watched, output_gradients=upstream)
        found = [outputs, *gradients, layer.moving_mean.value, layer.moving_variance.value, layer(images, training=False)]
        seen[kind.__name__] = [np.array(value) for value in found]
    for ours, theirs in zip(seen["FusedBatchNorm"], seen["BatchNormalization"], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5)


def test_only_a_plain_normalisation_over_the_channels_is_replaced() -> None:
    inputs = keras.layers.Input((6, 6, 4))
    normalised = keras.layers.BatchNormalization(name="plain")(inputs)
    normalised = keras.layers.BatchNormalization(axis=1, name="rows")(normalised)
    normalised = keras.layers.BatchNormalization(scale=False, name="unscaled")(normalised)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(normalised)))
    kinds = {layer.name: type(layer) for layer in walk_layers(clone_for_training(model)[0])}
    assert kinds["plain"] is FusedBatchNorm
    assert kinds["rows"] is kinds["unscaled"] is keras.layers.BatchNormalization


def test_what_draws_at_random_begins_with_each_models_own_seed() -> None:
    """A trial must not depend on what its worker trained before."""

    def model(seed: int) -> keras.Model:
        drawing = [keras.layers.RandomFlip(seed=seed), keras.layers.GaussianNoise(0.5, seed=seed)]
        return keras.Sequential([keras.layers.Input((6, 6, 1)), *drawing])

    images = tf.constant(np.random.default_rng(0).normal(size=(9, 6, 6, 1)).astype("float32"))
    shared, _ = clone_for_training(model(1))
    drawn = []
    for seed in (5, 6, 5):
        set_values(model(seed), shared)
        drawn.append(shared(images, training=True).numpy())
    np.testing.assert_array_equal(drawn[0], drawn[2])
    assert not np.array_equal(drawn[0], drawn[1])
