"""Distillation: a small model learns a large one's probabilities along with the labels (Hinton, Vinyals & Dean 2015)."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import tensorflow as tf

from .options import TrainOptions
from .program import Program, cast_input
from .random import Clock

SMALLEST = 1e-7  # a probability whose logarithm is taken


@dataclass(frozen=True)
class Distillation:
    """`temperature` softens both models' probabilities; the soft targets weigh `alpha`, the labels 1 - `alpha`."""

    temperature: float = 4.0
    alpha: float = 0.7


class DistillationProgram(Program):
    """Trains a student by a teacher's answers to the same augmented images."""

    def __init__(
        self,
        models: tuple[keras.Model, keras.Model],
        clock: Clock,
        options: TrainOptions,
        num_classes: int,
        plan: Distillation,
    ) -> None:
        """`models` are (student, teacher)."""
        student, self._teacher = models
        self._plan = plan
        super().__init__(student, clock, options, num_classes, compiled=False)

    def measure_losses(self, images: tf.Tensor, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """alpha * T^2 * cross-entropy of the softened probabilities + (1 - alpha) * the loss by the labels, shaped (n,).

        T^2 keeps the gradients of both parts alike in size, whatever the temperature.
        """
        temperature, alpha = self._plan.temperature, self._plan.alpha
        answers = tf.cast(self._teacher(cast_input(images, self._teacher), training=False), tf.float32)
        soft = -tf.reduce_sum(tf.exp(soften(answers, temperature)) * soften(outputs, temperature), axis=-1)
        hard = super().measure_losses(images, targets, outputs)
        return alpha * temperature**2 * soft + (1.0 - alpha) * hard


def soften(probabilities: tf.Tensor, temperature: float) -> tf.Tensor:
    """The logarithms of the probabilities at that temperature, (n, classes): of softmax(logits / T), from softmax(logits)."""
    return tf.nn.log_softmax(tf.math.log(tf.maximum(probabilities, SMALLEST)) / temperature)
