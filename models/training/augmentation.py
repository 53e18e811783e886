"""Augmentation inside the graph: each image of a batch by its own draws, vectorised; strengths are values, not constants.

Draws are functions of (trial's seed, step, image), like Dropout's, so that a trial repeats and a checkpoint needs no state.
"""

from __future__ import annotations

import math

import tensorflow as tf

from .options import TrainOptions
from .random import Clock

STRENGTHS = ("flip", "shift", "rotate", "erase", "mixup", "cutmix")


class Augmentation:
    """What the options ask for. If an option is 0, the graph lacks its operation; any other value is set per trial."""

    def __init__(self, options: TrainOptions, clock: Clock) -> None:
        self._clock = clock
        self._strengths = {name: tf.Variable(0.0, trainable=False) for name in STRENGTHS if getattr(options, name) > 0}
        self._layer = {name: clock.take() for name in STRENGTHS}

    @property
    def mixes(self) -> bool:
        """Whether labels are mixed too, and so must be one-hot."""
        return bool(self._strengths.keys() & {"mixup", "cutmix"})

    def set(self, options: TrainOptions) -> None:
        """Take a trial's strengths."""
        for name, strength in self._strengths.items():
            strength.assign(getattr(options, name))

    def transform(self, images: tf.Tensor) -> tf.Tensor:
        """Flip, shift, rotate and erase. `images` is uint8 (n, height, width, channels), and so is the result."""
        if self._strengths.keys() & {"flip", "shift"}:
            images = self._flip_and_shift(images)
        if "rotate" in self._strengths:
            images = self._rotate(images)
        if "erase" in self._strengths:
            images = images * tf.cast(~self._draw_box(images, "erase", self._strengths["erase"]), images.dtype)
        return images

    def mix(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor | tuple[tf.Tensor, tf.Tensor]:
        """Mixup (Zhang et al., 2018) and CutMix (Yun et al., 2019) with the batch reversed; labels are float (n, classes)."""
        others, other_labels = images[::-1], labels[::-1]
        if "mixup" in self._strengths:
            share = self._draw_beta("mixup")
            blend = share * tf.cast(images, tf.float32) + (1 - share) * tf.cast(others, tf.float32)
            images, labels = tf.cast(tf.round(blend), images.dtype), share * labels + (1 - share) * other_labels
        if "cutmix" in self._strengths:
            box = self._draw_box(images, "cutmix", 1.0 - self._draw_beta("cutmix"), shared=True)
            images = tf.where(box, others, images)
            share = 1.0 - tf.reduce_mean(tf.cast(box, tf.float32))
            labels = share * labels + (1 - share) * other_labels
        return images, labels

    def _flip_and_shift(self, images: tf.Tensor) -> tf.Tensor:
        """Flip left to right with probability `flip`, then shift by whole pixels up to ±`shift`, filling with 0; one gather."""
        n, height, width, channels = images.shape
        rows, columns = tf.range(height)[None, :, None], tf.range(width)[None, None, :]
        if "shift" in self._strengths:
            reach = self._strengths["shift"]
            dy, dx = (tf.cast(tf.floor((2 * reach + 1) * self._draw("shift", n, part)) - reach, tf.int32) for part in (0, 1))
            rows, columns = rows + dy[:, None, None], columns + dx[:, None, None]
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        if "flip" in self._strengths:
            turned = (self._draw("flip", n) < self._strengths["flip"])[:, None, None]
            columns = tf.where(turned, width - 1 - columns, columns)
        place = tf.range(n)[:, None, None] * (height * width) + rows * width + columns
        place = tf.where(inside, place, 0)
        moved = tf.gather(tf.reshape(images, [n * height * width, channels]), tf.reshape(place, [-1]))
        moved = tf.reshape(moved, [n, height, width, channels])
        return moved * tf.cast(inside, images.dtype)[..., None] if "shift" in self._strengths else moved

    def _rotate(self, images: tf.Tensor) -> tf.Tensor:
        """Turn about the centre by up to ±`rotate` degrees, bilinearly, filling with 0."""
        n, height, width, _ = images.shape
        angle = (2 * self._draw("rotate", n) - 1) * self._strengths["rotate"] * (math.pi / 180)
        cos, sin = tf.cos(angle)[:, None, None], tf.sin(angle)[:, None, None]
        y = tf.range(height, dtype=tf.float32)[None, :, None] - (height - 1) / 2
        x = tf.range(width, dtype=tf.float32)[None, None, :] - (width - 1) / 2
        from_y, from_x = cos * y - sin * x + (height - 1) / 2, sin * y + cos * x + (width - 1) / 2
        low_y, low_x = tf.floor(from_y), tf.floor(from_x)
        total = tf.zeros_like(images, tf.float32)
        for row, share_y in ((low_y, 1 - (from_y - low_y)), (low_y + 1, from_y - low_y)):
            for column, share_x in ((low_x, 1 - (from_x - low_x)), (low_x + 1, from_x - low_x)):
                inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
                weight = tf.where(inside, share_y * share_x, 0.0)[..., None]
                place = tf.stack([tf.clip_by_value(row, 0, height - 1), tf.clip_by_value(column, 0, width - 1)], axis=-1)
                total += weight * tf.cast(tf.gather_nd(images, tf.cast(place, tf.int32), batch_dims=1), tf.float32)
        return tf.cast(tf.round(total), images.dtype)

    def _draw_box(self, images: tf.Tensor, name: str, area: tf.Tensor, shared: bool = False) -> tf.Tensor:
        """A mask, bool (n, height, width, 1), true in a random box of that share of the image."""
        n, height, width, _ = images.shape
        count = 1 if shared else n
        side = tf.sqrt(area)
        mask = tf.ones([count, height, width], tf.bool)
        for part, (length, axis) in enumerate(((height, (None, slice(None), None)), (width, (None, None, slice(None))))):
            size = tf.round(side * length)
            start = tf.floor(self._draw(name, count, part) * (length - size + 1))[:, None, None]
            at = tf.range(length, dtype=tf.float32)[axis]
            mask &= (at >= start) & (at < start + size)
        return tf.broadcast_to(mask, [n, height, width])[..., None]

    def _draw_beta(self, name: str) -> tf.Tensor:
        """One draw of Beta(strength, strength)."""
        pair = tf.random.stateless_gamma([2], self._clock.seed_pair(self._layer[name]), self._strengths[name])
        return pair[0] / tf.maximum(pair[0] + pair[1], 1e-30)

    def _draw(self, name: str, count: int, part: int = 0) -> tf.Tensor:
        """Numbers in [0, 1), shaped (count,)."""
        return self._clock.uniform(self._layer[name], count, part)
