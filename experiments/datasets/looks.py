"""What images look like, in two numbers: how bright and how contrasted they are; and whether one looks like those to train on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np

SHARE = 0.5  # per cent of the images that may lie beyond each end of a range
MOST = 5000  # images
MARGIN = 0.25  # of a range, on each side


@dataclass(frozen=True)
class Looks:
    """The ranges of the images' means and standard deviations, 0 to 255, without the outermost half per cent on each side."""

    mean: tuple[float, float]
    contrast: tuple[float, float]

    def __str__(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> Looks:
        """The ranges that `str` wrote."""
        return cls(**{key: (low, high) for key, (low, high) in json.loads(text).items()})


def measure_looks(images: np.ndarray) -> Looks:
    """The ranges of raw uint8 images (n, height, width, channels), by some thousands of them if there are more."""
    figures = np.array([_measure(image) for image in images[:: len(images) // MOST + 1]])
    low, high = np.percentile(figures, [SHARE, 100 - SHARE], axis=0).round(1).tolist()
    return Looks((low[0], high[0]), (low[1], high[1]))


def find_strangeness(image: np.ndarray, looks: Looks, inverted: bool = False) -> str:
    """How a raw uint8 image (height, width, channels) differs from those of the ranges; empty if it looks like them.

    Of one that was not `inverted`, it says whether that would help.
    """
    mean, contrast = _measure(image)
    said = [
        f"{what} {figure:.0f}, those to train on {low:.0f} to {high:.0f}"
        for what, figure, (low, high) in (("mean", mean, looks.mean), ("contrast", contrast, looks.contrast))
        if not _is_near(figure, (low, high))
    ]
    if not said:
        return ""
    helps = not inverted and _is_near(255 - mean, looks.mean) and _is_near(contrast, looks.contrast)
    return f"looks unlike the training images ({'; '.join(said)})" + ("; inverted it would not" if helps else "")


def is_inverted(image: np.ndarray, looks: Looks) -> bool:
    """Whether a raw uint8 image is too bright or too dark for those of the ranges, and its negative less so."""
    mean = _measure(image)[0]
    return not _is_near(mean, looks.mean) and _distance(255 - mean, looks.mean) < _distance(mean, looks.mean)


def _measure(image: np.ndarray) -> tuple[float, float]:
    return float(image.mean()), float(image.std())


def _is_near(figure: float, ends: tuple[float, float]) -> bool:
    margin = MARGIN * (ends[1] - ends[0])
    return ends[0] - margin <= figure <= ends[1] + margin


def _distance(figure: float, ends: tuple[float, float]) -> float:
    return max(ends[0] - figure, figure - ends[1], 0)
