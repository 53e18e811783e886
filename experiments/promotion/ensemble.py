"""Selects an ensemble: greedy, with replacement (Caruana et al. 2004, "Ensemble selection from libraries of models"). Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .statistics import LOWER_IS_BETTER, Predictions, score


def select(metric: str, models: Sequence[Predictions], most: int) -> list[int]:
    """The places of the models whose mean probabilities score best, one after the other; a place may repeat.

    Each step adds the model that helps the ensemble most; ties go to the lower loss, then to the first. It ends after `most`
    steps, and keeps the shortest of the best ensembles on the way.
    """
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    labels, total = models[0].labels, np.zeros_like(models[0].probabilities, dtype=float)
    chosen: list[int] = []
    best, found = (-np.inf, -np.inf), []

    def rate(mean: np.ndarray) -> tuple[float, float]:
        predictions = Predictions(labels, mean)
        return round(sign * score(metric, predictions), 9), round(-score("loss", predictions), 9)

    for step in range(1, most + 1):
        ratings = [rate((total + model.probabilities) / step) for model in models]
        place = max(range(len(models)), key=lambda one: ratings[one])
        chosen.append(place)
        total += models[place].probabilities
        if ratings[place] > best:
            best, found = ratings[place], list(chosen)
    return found
