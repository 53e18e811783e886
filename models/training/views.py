"""Test-time augmentation: the views of each image over which predictions are averaged, by the name of the option `tta`."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow as tf

SHIFTS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))  # pixels


def make_views(kind: str, images: tf.Tensor) -> Iterator[tf.Tensor]:
    """The images (n, height, width, channels), then what the option adds: flipped left to right, moved by a pixel."""
    for flipped in (False, True) if "flip" in kind else (False,):
        turned = tf.reverse(images, axis=[2]) if flipped else images
        for down, right in SHIFTS if "shift" in kind else SHIFTS[:1]:
            yield _move(turned, down, right) if down or right else turned


def _move(images: tf.Tensor, down: int, right: int) -> tf.Tensor:
    """Move the images by a pixel, filling with 0."""
    height, width = images.shape[1:3]
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])
    return padded[:, 1 - down : 1 - down + height, 1 - right : 1 - right + width]
