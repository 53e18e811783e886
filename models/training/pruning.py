"""Magnitude pruning while a model trains: its smallest weights become 0, gradually, and stay 0 (Zhu & Gupta 2017)."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from .freezing import Freezer, walk_units
from .options import TrainOptions
from .program import Program
from .random import Clock

RENEWALS = 50  # how often the masks are renewed while the sparsity rises


def list_kernels(model: keras.Model) -> list[Any]:
    """The weights that pruning takes: matrices and kernels of convolutions; no bias, scale, or depthwise kernel (it is tiny)."""
    kernels = [weight for layer in walk_units(model) for weight in layer.trainable_weights]
    distinct = {id(one): one for one in kernels if len(one.shape) >= 2 and "depthwise" not in one.path}
    return list(distinct.values())


def measure_sparsity(model: keras.Model) -> float:
    """The share of zeros among the weights that pruning takes."""
    kernels = [kernel.numpy() for kernel in list_kernels(model)]
    return sum(int((kernel == 0).sum()) for kernel in kernels) / max(1, sum(kernel.size for kernel in kernels))


def count_nonzero(model: keras.Model) -> int:
    """The parameters that are not 0."""
    return sum(int((weight.numpy() != 0).sum()) for weight in model.weights)


class PruningProgram(Program):
    """Trains a model while the sparsity of each kernel rises to `target` along a cubic curve in `ramp` steps, and then stays.

    What was pruned stays 0: after each step of the optimizer the masks are laid over the kernels again.
    """

    def __init__(
        self, model: keras.Model, clock: Clock, options: TrainOptions, num_classes: int, plan: tuple[float, int, float]
    ) -> None:
        """`plan` is (target, ramp, frozen): that share of the layers, from the images on, is pruned but not trained."""
        self._target, self._ramp, frozen = plan
        self._kernels = list_kernels(model)
        Freezer(model).freeze(frozen)
        self._masks = [tf.Variable(tf.ones(kernel.shape), trainable=False) for kernel in self._kernels]
        super().__init__(model, clock, options, num_classes, compiled=False)

    def find_sparsity(self, step: tf.Tensor) -> tf.Tensor:
        """The sparsity after so many steps: target * (1 - (1 - step / ramp)^3), equation 1 of Zhu & Gupta with an initial 0."""
        left = 1.0 - tf.minimum(tf.cast(step, tf.float64) / self._ramp, 1.0)
        return self._target * (1.0 - left**3)

    def _step(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        found = super()._step(images, labels)
        step = tf.cast(self.optimizer.iterations.value, tf.int64)
        due = (step <= self._ramp) & ((step % max(1, self._ramp // RENEWALS) == 0) | (step == self._ramp))
        tf.cond(due, lambda: self._renew(step), tf.no_op)
        for kernel, mask in zip(self._kernels, self._masks, strict=True):
            kernel.assign(kernel.value * mask)
        return found

    def _renew(self, step: tf.Tensor) -> tf.Operation:
        """Mask the smallest weights of each kernel; those that are 0 already are among them, so no pruned weight comes back."""
        for kernel, mask in zip(self._kernels, self._masks, strict=True):
            sizes = tf.reshape(tf.abs(kernel.value) * mask, [-1])
            count = tf.cast(tf.round(self.find_sparsity(step) * float(kernel.shape.num_elements())), tf.int32)
            order = tf.argsort(sizes, stable=True)
            kept = tf.scatter_nd(order[count:, None], tf.ones_like(sizes[count:]), tf.shape(sizes))
            mask.assign(tf.reshape(kept, mask.shape))
        return tf.no_op()
