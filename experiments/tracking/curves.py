"""The picture of a trial's epochs: loss and accuracy of training and validation, and the learning rate, as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from ...search.analysis import palette

WIDE = 8  # times from the lowest to the highest rate, from which on its axis is logarithmic


def draw_learning_curves(history: Sequence[Mapping[str, float]], best_epoch: int, first: int = 1) -> bytes:
    """Loss and accuracy by epoch, of training and validation, and the learning rate, with the best epoch marked."""
    with style.context(["default", {"font.size": 13}]):  # a matplotlibrc may ask for LaTeX, which may be missing
        figure, (loss, accuracy, rate) = _lay_out()
        epochs = np.arange(first, first + len(history))
        for plot, name in ((loss, "loss"), (accuracy, "accuracy")):
            for line, part in zip(plot.lines, ("train", "val"), strict=False):
                line.set_data(epochs, [metrics[f"{part}_{name}"] for metrics in history])
        rates = np.array([metrics.get("learning_rate", np.nan) for metrics in history])
        rate.lines[0].set_data(epochs, rates)
        known = rates[np.isfinite(rates) & (rates > 0)]
        rate.set_ylim(*(known.min(), known.max() * 1.1) if len(known) else (0.1, 1))  # a logarithmic axis begins above 0
        rate.set_yscale("log" if len(known) and known.max() > WIDE * known.min() else "linear")
        rate.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
        rate.yaxis.set_minor_formatter(NullFormatter())
        if rate.get_yscale() == "linear":
            rate.yaxis.set_major_locator(MaxNLocator(3))
            rate.yaxis.set_minor_locator(NullLocator())
        for plot in (loss, accuracy, rate):
            plot.lines[-1].set_xdata([best_epoch, best_epoch])
            plot.relim()
            plot.autoscale_view()
            plot.set_xlim(first - 0.5, first + len(history) - 0.5)
        shown = history[min(max(best_epoch - first, 0), len(history) - 1)]
        figure.texts[0].set_text(
            f"Best epoch {best_epoch}: validation accuracy {shown['val_accuracy']:.4f}, loss {shown['val_loss']:.4f}"
        )
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", pil_kwargs={"compress_level": 1})
        return buffer.getvalue()


@cache
def _lay_out() -> tuple[Figure, tuple[Axes, Axes, Axes]]:
    """The figure and its three plots: laid out once; each trial sets its lines."""
    figure = Figure(figsize=(10.6, 6.4), dpi=100)
    FigureCanvasAgg(figure)
    figure.text(0.08, 0.96, "", fontsize=14)
    grid = figure.add_gridspec(2, 2, height_ratios=(3, 1), left=0.08, right=0.985, top=0.84, bottom=0.09, hspace=0.42, wspace=0.2)
    loss, accuracy, rate = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, :])
    for plot, name in ((loss, "loss"), (accuracy, "accuracy")):
        plot.plot([0], [0], "--o", color=palette.ORANGE, markersize=4, label="training")
        plot.plot([0], [0], "-o", color=palette.BLUE, markersize=4, label="validation")
        plot.set_title(name, fontsize=13)
    rate.plot([0], [0], "-o", color=palette.GREEN, markersize=4)
    rate.set_title("learning rate", fontsize=13)
    for plot in (loss, accuracy, rate):
        plot.axvline(1, color=palette.GREY, linewidth=1.2, linestyle=":", label="best epoch")
        plot.grid(alpha=0.25)
        plot.xaxis.set_major_locator(MaxNLocator(integer=True))
    rate.set_xlabel("epoch")
    figure.legend(*loss.get_legend_handles_labels(), ncols=3, loc="upper left", bbox_to_anchor=(0.07, 0.955), frameon=False)
    return figure, (loss, accuracy, rate)
