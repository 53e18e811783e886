"""Random numbers as a function of (seed, step, layer): nothing to save, and independent of how an epoch is cut."""

from __future__ import annotations

from collections import Counter
from typing import Any

import tensorflow as tf

GOLDEN = 0x9E3779B9  # 2**32 over the golden ratio: spreads small numbers


class Clock:
    """The seed of a trial and the key of its current step, which all layers that draw share."""

    def __init__(self) -> None:
        self.seed = tf.Variable(0, trainable=False, dtype=tf.int64)
        self.key: tf.Tensor = tf.constant(0, tf.uint32)  # a tensor of the graph while a step is traced
        self.taken = 0
        self.calls: Counter[int] = Counter()  # of each layer, in the step that is traced

    def tick(self, step: tf.Tensor) -> None:
        """Set the key to a function of (seed, step)."""
        self.calls.clear()
        self.key = _mix(to_u32(step) + _mix(to_u32(self.seed)))

    def take(self) -> int:
        """A number for one more layer that draws."""
        self.taken += 1
        return self.taken

    def bits(self, layer: int, size: Any, part: int = 0) -> tf.Tensor:
        """Random uint32 (size,) for a layer at this step; `part` distinguishes several draws."""
        own = tf.constant(GOLDEN * (layer + 101 * part) % 2**32, tf.uint32)
        return _mix(tf.bitwise.bitwise_xor(to_u32(tf.range(size)), _mix(tf.bitwise.bitwise_xor(self.key, own))))

    def uniform(self, layer: int, size: Any, part: int = 0) -> tf.Tensor:
        """Random float32 (size,) in [0, 1)."""
        return tf.cast(tf.bitwise.right_shift(self.bits(layer, size, part), tf.constant(8, tf.uint32)), tf.float32) / 2.0**24

    def seed_pair(self, layer: int) -> tf.Tensor:
        """A seed for TensorFlow's stateless generators."""
        return tf.cast(self.bits(layer, 2), tf.int32)


def to_u32(value: tf.Tensor) -> tf.Tensor:
    return tf.cast(value, tf.uint32)


def _mix(number: tf.Tensor) -> tf.Tensor:
    """lowbias32, a bijective hash of 32 bits (Chris Wellons, "Prospecting for hash functions", 2018)."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        number = tf.bitwise.bitwise_xor(number, tf.bitwise.right_shift(number, tf.constant(shift, tf.uint32)))
        number *= tf.constant(factor, tf.uint32)
    return tf.bitwise.bitwise_xor(number, tf.bitwise.right_shift(number, tf.constant(16, tf.uint32)))
