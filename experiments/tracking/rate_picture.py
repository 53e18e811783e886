"""The picture of a learning-rate range test: the loss over the rate, what was suggested, and why."""

from __future__ import annotations

import io

import numpy as np
from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ...models.training.rate_curve import RateAdvice, RateCurve, round_rate
from ...search.analysis.palette import BLUE, ORANGE


def draw_rates(curve: RateCurve, advice: RateAdvice) -> bytes:
    """The picture as the bytes of a PNG file."""
    with style.context("default"):  # a matplotlibrc may ask for LaTeX, which may be missing
        figure = Figure(figsize=(8, 5.2), dpi=100)
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        smoothed = np.array(advice.smoothed)
        rates = np.array(curve.rates[: len(smoothed)])
        axes.plot(curve.rates, curve.losses, ".", color=BLUE, alpha=0.3, markersize=4, label="each rate")
        axes.plot(rates, smoothed, "-", color=BLUE, linewidth=2, label="smoothed")
        axes.axvspan(advice.low, advice.high, color=ORANGE, alpha=0.12, label=f"to search: {advice.low:g} to {advice.high:g}")
        axes.axvline(advice.rate, color=ORANGE, linewidth=2, label=f"suggested: {advice.rate:g} (the loss falls fastest)")
        lowest = rates[smoothed.argmin()]
        axes.axvline(lowest, color="grey", linewidth=1, linestyle=":", label=f"the loss is lowest: {round_rate(lowest):g}")
        axes.set_xscale("log")
        axes.set_ylim(*_limits(smoothed))
        axes.set_xlabel("learning rate")
        axes.set_ylabel("training loss")
        axes.set_title("Learning-rate range test")
        axes.legend(fontsize=9, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.14), frameon=False)
        axes.grid(alpha=0.25)
        figure.tight_layout()
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        return buffer.getvalue()


def _limits(smoothed: np.ndarray) -> tuple[float, float]:
    """From the lowest loss to somewhat above the first ones, so that a diverged end does not flatten the curve."""
    low, top = float(smoothed.min()), float(np.max(smoothed[: max(3, len(smoothed) // 4)]))
    room = 0.15 * max(top - low, 1e-6)
    return low - room, top + 3 * room
