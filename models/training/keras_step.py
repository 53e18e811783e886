"""Keras trains a model with a custom `train_step` or `compute_loss`: the same epochs and order, one batch per call."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from ..errors import ModelError
from .augmentation import STRENGTHS
from .losses import CROSSENTROPY
from .options import TrainOptions
from .program import Program
from .program_cache import get_program
from .random import Clock
from .records import Totals


def has_custom_step(model: keras.Model) -> bool:
    """Whether the model overrides Keras's train_step, or the loss that it computes."""
    return any(getattr(type(model), name) is not getattr(keras.Model, name) for name in ("train_step", "compute_loss"))


def check(options: TrainOptions) -> None:
    """Raise ModelError for options of Tailor's step, which a custom step replaces."""
    wrong = [name for name in ("label_smoothing", *STRENGTHS) if getattr(options, name)]
    if options.loss != CROSSENTROPY:
        wrong.append("loss")
    if wrong:
        raise ModelError(
            f"training.{wrong[0]}: a model with a custom train_step or compute_loss does that itself, and is compiled with "
            "plain crossentropy; remove the option."
        )


def choose_program(model: keras.Model, options: TrainOptions, num_classes: int, steps: int = 0) -> Program:
    """What trains the model for `steps` steps in all: Keras if it has a custom step, else Tailor's loop."""
    if has_custom_step(model):
        return KerasProgram(model, options, num_classes)
    return get_program(model, options, num_classes, steps)


class KerasProgram(Program):
    """Trains by `train_on_batch`, which calls the model's own train_step; evaluates as any program does."""

    def __init__(self, model: keras.Model, options: TrainOptions, num_classes: int) -> None:
        check(options)
        super().__init__(model, Clock(), options, num_classes, compiled=False)
        model.compile(self.optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])

    def train(self, images: tf.Tensor, labels: tf.Tensor, order: tf.Tensor, steps: range) -> Totals:
        weights = self.class_weight.numpy() if self.weighted else None
        totals = Totals()
        for step in steps:
            rows = order[step * self.batch_size : (step + 1) * self.batch_size]
            wanted = tf.gather(labels, rows)
            sample_weight = None if weights is None else np.take(weights, wanted)
            self.model.reset_metrics()
            logs = self.model.train_on_batch(tf.gather(images, rows), wanted, sample_weight, return_dict=True)
            if "loss" not in logs:
                said = ", ".join(logs) or "nothing"
                raise ModelError(f"expected the model's own train_step to return its loss as 'loss', got {said}; add it.")
            size = int(rows.shape[0])
            totals += Totals(float(logs["loss"]) * size, float(logs.get("accuracy", np.nan)) * size, size)
        return totals
