"""The `plateau` schedule: the rate falls when validation stalls, by the rule of keras.callbacks.ReduceLROnPlateau."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .options import TrainOptions
from .plan import FitPlan

PLATEAU = "plateau"
MIN_DELTA = 1e-4  # an improvement is more than that, as in Keras


def find_rate(history: Sequence[Mapping[str, float]], plan: FitPlan, options: TrainOptions) -> float:
    """The rate after the epochs in `history`. It follows from them alone, so a checkpoint needs no more state."""
    rate, best, waited = np.float32(options.learning_rate), None, 0
    for metrics in history:
        if best is None or plan.improves(metrics, best, MIN_DELTA):
            best, waited = metrics, 0
            continue
        waited += 1
        if waited >= options.plateau_patience and rate > np.float32(options.plateau_min_rate):
            rate, waited = np.float32(max(float(rate) * options.plateau_factor, options.plateau_min_rate)), 0
    return float(rate)
