"""The first-layer filters that a trial's run shows, read from models of each kind."""

from __future__ import annotations

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from tailor.experiments.trials.filters import MOST, find_filters  # noqa: E402


def test_a_convolutions_kernels_come_largest_first() -> None:
    model = keras.Sequential([keras.Input((6, 5, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(4, 3, name="first")])
    kernel = np.zeros((3, 3, 3, 4), "float32")
    kernel[..., 2], kernel[..., 0] = 2, 1
    model.get_layer("first").set_weights([kernel, np.zeros(4)])
    found = find_filters(model, (6, 5, 3))
    assert found is not None and (found.layer, found.total, found.dense) == ("first", 4, False)
    assert found.weights.shape == (4, 3, 3, 3) and found.weights[:2].mean(axis=(1, 2, 3)).tolist() == [2, 1]


def test_a_dense_layer_on_the_pixels_is_seen_as_images_and_others_are_not() -> None:
    first = keras.layers.Dense(50, name="first")
    model = keras.Sequential([keras.Input((6, 5, 1)), keras.layers.Flatten(), keras.layers.BatchNormalization(), first])
    found = find_filters(model, (6, 5, 1))
    assert found is not None and found.dense and found.weights.shape == (MOST, 6, 5, 1) and found.total == 50
    kernel = first.get_weights()[0]
    largest = np.square(kernel).sum(axis=0).argmax()
    assert np.array_equal(found.weights[0].ravel(), kernel[:, largest])
    pooled = keras.Sequential([keras.Input((6, 5, 1)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)])
    assert find_filters(pooled, (6, 5, 1)) is None
    assert find_filters(keras.Sequential([keras.Input((6, 5, 1)), keras.layers.Conv2D(3, 1)]), (6, 5, 1)) is None


def test_filters_are_found_inside_a_model_in_the_model_and_for_each_channel_apart() -> None:
    inner = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.SeparableConv2D(7, 3, depth_multiplier=2, name="apart")])
    model = keras.Sequential([keras.Input((8, 8, 3)), inner])
    found = find_filters(model, (8, 8, 3))
    assert found is not None and found.layer == "apart" and found.weights.shape == (6, 3, 3, 1)
