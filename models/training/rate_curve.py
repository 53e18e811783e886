"""The curve of a learning-rate range test (Smith 2017), and what it suggests. Pure: no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ModelError

NEIGHBOURS = 15  # the curve is smoothed, twice, over a fifteenth of its points: a loss of one batch is mostly noise
RECENT = 5  # losses, whose mean tells whether the test diverged
DIVERGED = 4.0  # times the lowest such mean: the test ends there
FEWEST = 8  # points


@dataclass(frozen=True)
class RatePlan:
    """A test of `points` rates, evenly apart on a log axis; each trains for one step, or for one epoch."""

    low: float
    high: float
    points: int
    by_epoch: bool = False

    def list_rates(self) -> np.ndarray:
        """The rates, shaped (points,)."""
        return np.geomspace(self.low, self.high, self.points)


@dataclass(frozen=True)
class RateCurve:
    """The training loss at each rate that was tried, in order; the last may be where it diverged."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]


@dataclass(frozen=True)
class RateAdvice:
    """A learning rate to begin with, the range to search, and the smoothed losses that they are read from."""

    rate: float
    low: float
    high: float
    smoothed: tuple[float, ...]


def has_diverged(losses: list[float]) -> bool:
    """Whether the test ends with the last loss: it is not finite, or the recent ones are far above the lowest ones."""
    if not np.isfinite(losses[-1]):
        return True
    means = np.convolve(losses, np.full(RECENT, 1 / RECENT), "valid") if len(losses) >= RECENT else np.array(losses[:1])
    return bool(means[-1] > DIVERGED * means.min())


def advise(curve: RateCurve) -> RateAdvice:
    """Read the curve: the loss falls fastest at `rate`, and is lowest at `high`; `low` is a tenth of `rate`.

    Raises ModelError if the curve is too short, or never falls.
    """
    losses = np.array(curve.losses)
    if not np.isfinite(losses[-1]):
        losses = losses[:-1]
    rates = np.array(curve.rates[: len(losses)])
    if len(losses) < FEWEST:
        raise ModelError(f"the loss diverged after {len(losses)} rates, at {curve.rates[-1]:.2g}; begin lower: --low")
    width = max(3, len(losses) // NEIGHBOURS)
    smoothed = smooth(smooth(losses, width), width)
    lowest = int(smoothed.argmin())
    if lowest == 0:
        raise ModelError(
            f"the loss never falls between rates of {rates[0]:.2g} and {rates[-1]:.2g}; try other rates: --low, --high"
        )
    slope = np.gradient(smoothed, np.log10(rates))
    rate = round_rate(rates[int(slope[: lowest + 1].argmin())])
    return RateAdvice(rate, round_rate(rate / 10), max(rate, round_rate(rates[lowest])), tuple(smoothed.tolist()))


def smooth(values: np.ndarray, width: int) -> np.ndarray:
    """The mean of each value's `width` neighbours; of fewer at the ends."""
    window = np.ones(width)
    return np.convolve(values, window, "same") / np.convolve(np.ones(len(values)), window, "same")


def round_rate(rate: float) -> float:
    """Two digits: more would claim a precision that the test does not have."""
    return float(f"{rate:.1e}")
