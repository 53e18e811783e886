"""How closely an exported model agrees with its original, and how closely it must."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import RunError

LARGEST = 1e-4  # difference of a probability, in float32
SHARE = 0.95  # of equal top classes, in int8, which rounds


@dataclass(frozen=True)
class Agreement:
    """On so many images of holdout: the largest difference of a probability, and the share of images with the same top class."""

    images: int
    largest_difference: float
    same_top_class: float

    def __str__(self) -> str:
        return (
            f"same top class on {self.same_top_class:.1%} of {self.images} holdout images, "
            f"largest difference of a probability {self.largest_difference:.1e}"
        )


def compare(original: np.ndarray, exported: np.ndarray) -> Agreement:
    """Compare the probabilities (n, classes) of both. A probability that is no number differs by infinity."""
    if exported.shape != original.shape:
        raise RunError(f"the exported model returns {exported.shape}, its original {original.shape}; it is not kept.")
    difference = np.abs(exported.astype("float64") - original)
    same = float(np.mean(exported.argmax(axis=1) == original.argmax(axis=1)))
    return Agreement(len(original), float(np.where(np.isnan(difference), np.inf, difference).max()), same)


def require(found: Agreement, int8: bool) -> None:
    """Raise RunError if the exported model does not agree as closely as its numbers allow."""
    if int8 and found.same_top_class < SHARE:
        raise RunError(
            f"int8: {found}; expected the same top class on at least {SHARE:.0%}, so it is not kept; leave --int8 out."
        )
    if not int8 and found.largest_difference > LARGEST:
        raise RunError(f"{found}; expected at most {LARGEST:.0e}, so it is not kept; export it to another format.")
