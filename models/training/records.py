"""The inputs and outputs of a program: a trial's values, sums over its steps, and predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .options import TrainOptions


@dataclass(frozen=True)
class TrialValues:
    """What differs between trials that share a program: the options' numbers, the seed, the schedule's length, class weights.

    A trial that continues an earlier one begins `epochs_done` epochs into its schedule.
    """

    options: TrainOptions
    seed: int = 0
    steps_per_epoch: int = 1
    epochs: int = 1
    epochs_done: int = 0
    class_weight: np.ndarray | None = None  # float (classes,); None weighs all classes equally
    factor: float = 1.0  # what the schedule's rates are multiplied by, also those of a compiled model's own schedule


@dataclass(frozen=True)
class Totals:
    """Sums over `seen` images: the loss, and the number classified correctly."""

    loss: float = 0.0
    correct: float = 0.0
    seen: int = 0

    def __add__(self, other: Totals) -> Totals:
        return Totals(self.loss + other.loss, self.correct + other.correct, self.seen + other.seen)


@dataclass(frozen=True)
class Predictions:
    """A model's predictions for n images: labels and their probabilities, shaped (n,), with the total loss and accuracy."""

    loss: float
    accuracy: float
    labels: np.ndarray
    confidence: np.ndarray
