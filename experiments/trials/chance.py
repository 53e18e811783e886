"""Whether an accuracy is hardly better than a guess. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

LOOK = "look at the labels, at what the model makes of images from 0 to 255, and at the learning rate"
LITTLE = 0.05  # of the distance between a guess and no mistake at all


def find_guess(labels: np.ndarray, num_classes: int) -> float:
    """The accuracy of a model that has learnt nothing: the largest class's share, or 1/classes if there are no labels."""
    if not len(labels):
        return 1 / num_classes
    return max(1 / num_classes, float(np.bincount(labels, minlength=num_classes).max()) / len(labels))


def warn_near_chance(what: str, accuracy: float, labels: np.ndarray, class_names: Sequence[str], advice: str = LOOK) -> str:
    """A sentence if the accuracy on images of these labels (n,) is that of a guess, within chance; empty otherwise."""
    guess = find_guess(labels, len(class_names))
    noise = 2 * math.sqrt(guess * (1 - guess) / max(1, len(labels)))
    if accuracy > guess + max(noise, LITTLE * (1 - guess)):
        return ""
    return f"{what} is near chance: accuracy {accuracy:.4f}, a guess has {guess:.4f}; {advice}."
