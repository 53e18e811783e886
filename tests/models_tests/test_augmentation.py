"""Augmentation's geometry on known images, its draws, and that its strengths are values in the graph."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tailor.models.training.augmentation import Augmentation
from tailor.models.training.options import TrainOptions
from tailor.models.training.random import Clock

N = 400


def augment(images: np.ndarray, seed: int = 1, step: int = 3, **strengths: float) -> np.ndarray:
    clock = Clock()
    clock.seed.assign(seed)
    clock.tick(tf.constant(step, tf.int64))
    options = TrainOptions(**strengths)
    augmentation = Augmentation(options, clock)
    augmentation.set(options)
    return augmentation.transform(tf.constant(images)).numpy()


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (N, 9, 7, 2), dtype="uint8")


def test_a_flip_mirrors_the_asked_share_of_images_and_leaves_the_others(images: np.ndarray) -> None:
    assert (augment(images, flip=1.0) == images[:, :, ::-1]).all()
    out = augment(images, flip=0.3)
    flipped = (out == images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (flipped | (out == images).all(axis=(1, 2, 3))).all()
    assert flipped.mean() == pytest.approx(0.3, abs=0.07)


def test_a_shift_moves_by_whole_pixels_up_to_its_reach_and_fills_with_zeros(images: np.ndarray) -> None:
    out = augment(images, shift=2)
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    seen = set()
    for moved, wide in zip(out, padded, strict=True):
        places = [(y, x) for y in range(5) for x in range(5) if (moved == wide[y : y + 9, x : x + 7]).all()]
        assert len(places) == 1
        seen.update(places)
    assert len(seen) == 25  # every shift of −2…2 each way


def test_flip_and_shift_together_are_a_flip_then_a_shift(images: np.ndarray) -> None:
    assert (augment(images, flip=1.0, shift=2) == augment(images[:, :, ::-1], shift=2)).all()


def turned_by(degrees: float, images: np.ndarray) -> np.ndarray:
    options = TrainOptions(rotate=abs(degrees))
    augmentation = Augmentation(options, Clock())
    augmentation.set(options)
    augmentation._draw = lambda name, count, part=0: tf.fill([count], 1.0 if degrees > 0 else 0.0)
    return augmentation.transform(tf.constant(images)).numpy()


def test_a_rotation_by_a_right_angle_is_exact_and_others_turn_both_ways() -> None:
    images = np.random.default_rng(0).integers(0, 256, (N, 9, 9, 2), dtype="uint8")
    quarter = turned_by(90, images)
    assert (quarter == np.rot90(images, 1, axes=(1, 2))).all() or (quarter == np.rot90(images, -1, axes=(1, 2))).all()
    assert (turned_by(-90, quarter) == images).all()
    assert (turned_by(1e-5, images) == images).all()
    edge = np.zeros((N, 9, 9, 1), "uint8")
    edge[:, 4, 8] = 255  # at the right, halfway up
    out = augment(edge, rotate=60)
    above, below = out[:, :3].any(axis=(1, 2, 3)), out[:, 6:].any(axis=(1, 2, 3))
    assert 0.2 < above.mean() < 0.6 and 0.2 < below.mean() < 0.6 and not (above & below).any()


def test_a_rotation_interpolates_between_pixels() -> None:
    ramp = np.broadcast_to(np.arange(0, 210, 10, dtype="uint8")[None, :, None, None], (1, 21, 21, 1))
    out = turned_by(30, ramp)[0, 6:15, 6:15, 0].astype(float)
    y, x = np.mgrid[-4:5, -4:5]
    expected = 100 + 10 * (np.cos(np.pi / 6) * y - np.sin(np.pi / 6) * x)
    assert np.abs(out - expected).max() < 1


def test_erasing_blanks_one_box_of_the_asked_area_inside_the_image() -> None:
    out = augment(np.full((N, 10, 10, 1), 9, "uint8"), erase=0.25)[..., 0]
    starts = set()
    for image in out:
        rows, columns = np.nonzero(image == 0)
        assert (rows.min() + 4, columns.min() + 4) == (rows.max(), columns.max())
        assert len(rows) == 25
        starts.add((rows.min(), columns.min()))
    assert len(starts) == 36  # every place where the box fits


def test_draws_repeat_by_seed_and_step_and_differ_between_them(images: np.ndarray) -> None:
    again = augment(images, flip=0.5, shift=2)
    assert (augment(images, flip=0.5, shift=2) == again).all()
    assert (augment(images, flip=0.5, shift=2, seed=2) != again).any()
    assert (augment(images, flip=0.5, shift=2, step=4) != again).any()


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_mixing_blends_images_and_labels_by_the_same_share(name: str) -> None:
    clock = Clock()
    options = TrainOptions(**{name: 1.0})
    augmentation = Augmentation(options, clock)
    augmentation.set(options)
    images = np.repeat(np.array([200, 0, 0, 100], "uint8"), 400).reshape(4, 20, 20, 1)
    shares = []
    for step in range(20):
        clock.tick(tf.constant(step, tf.int64))
        mixed, labels = augmentation.mix(tf.constant(images), tf.eye(4))
        assert labels.numpy().sum(axis=1) == pytest.approx(np.ones(4))
        share = float(labels[0, 0])
        assert float(labels[0, 3]) == pytest.approx(1 - share, abs=1e-6)
        assert mixed.numpy()[0].mean() == pytest.approx(200 * share + 100 * (1 - share), abs=0.6)
        shares.append(share)
    assert np.ptp(shares) > 0.4


def test_a_strength_is_a_value_in_the_graph(images: np.ndarray) -> None:
    clock = Clock()
    augmentation = Augmentation(TrainOptions(flip=0.5), clock)
    clock.tick(tf.constant(0, tf.int64))
    traced = tf.function(augmentation.transform)
    augmentation.set(TrainOptions(flip=1.0))
    assert (traced(tf.constant(images)).numpy() == images[:, :, ::-1]).all()
    augmentation.set(TrainOptions(flip=1e-9))
    assert (traced(tf.constant(images)).numpy() == images).all()
    assert traced.experimental_get_tracing_count() == 1
