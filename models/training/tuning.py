"""Trains a model by a given program for some epochs, and keeps the best epoch's weights: for pruning and distillation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np

from .batches import read_chunks
from .clone import copy_weights
from .plan import Data
from .program import Program
from .records import Totals, TrialValues
from .trainer import NonFiniteLoss


@dataclass(frozen=True)
class Tuned:
    """The metrics of each epoch, and which one's weights the model has (from 1)."""

    history: tuple[Mapping[str, float], ...]
    best_epoch: int


def tune(program: Program, model: keras.Model, data: Data, values: TrialValues, first: int = 1) -> Tuned:
    """Train `model` in place; the best epoch is the one of `first` and later ones with the highest val_accuracy.

    The order of the images is a function of (seed, epoch), as in a trial. Raises NonFiniteLoss.
    """
    program.load(model, values)
    count, history, best = int(data.train_images.shape[0]), [], None
    for epoch in range(1, values.epochs + 1):
        order = np.random.default_rng([values.seed, epoch]).permutation(count).astype("int32")
        totals = Totals()
        for chunk in read_chunks(data.train_images, data.train_labels, order, program.batch_size):
            totals += program.train(*chunk, range(math.ceil(int(chunk.order.shape[0]) / program.batch_size)))
        found = program.evaluate(data.val_images, data.val_labels)
        if not math.isfinite(totals.loss + found.loss):
            raise NonFiniteLoss(f"the loss is no number in epoch {epoch}")
        history.append(
            {
                "train_loss": totals.loss / totals.seen,
                "train_accuracy": totals.correct / totals.seen,
                "val_loss": found.loss,
                "val_accuracy": found.accuracy,
            }
        )
        if epoch >= first and (best is None or found.accuracy > best[0]):
            best = found.accuracy, epoch, [variable.numpy() for variable in program.model.weights]
    assert best is not None  # `first` is one of the epochs
    for variable, value in zip(program.model.weights, best[2], strict=True):
        variable.assign(value)
    if program.model is not model:
        copy_weights(program.model, model)
    return Tuned(tuple(history), best[1])
