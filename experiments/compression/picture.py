"""The picture of a compression: accuracy on holdout over the gzipped size; numbers at the points, names and latencies beside."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .records import ORIGINAL, Row

BLUE, ORANGE, GREEN = "#1f5fa8", "#d1600a", "#2b7d3f"
RUNTIMES = {"TensorFlow": ("o", BLUE, "float32, by TensorFlow"), "LiteRT": ("s", ORANGE, "int8, by LiteRT")}


def draw(rows: Sequence[Row], chosen: str, tolerance: float, title: str) -> bytes:
    """The picture as the bytes of a PNG file."""
    with style.context("default"):  # a matplotlibrc may ask for LaTeX, which may be missing
        figure = Figure(figsize=(11, 5.6), dpi=100)
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        for runtime, (marker, color, label) in RUNTIMES.items():
            points = [_place(row) for row in rows if row.runtime == runtime]
            if points:
                axes.plot(*zip(*points, strict=True), marker, color=color, markersize=13, linestyle="none", label=label)
        for number, row in enumerate(rows, start=1):  # a number fits into its point, where a name would meet its neighbour's
            axes.annotate(str(number), _place(row), ha="center", va="center_baseline", fontsize=8, color="white", zorder=5)
            if row.name == chosen:
                axes.plot(*_place(row), "o", markersize=21, fillstyle="none", color=GREEN, markeredgewidth=2, label="chosen")
        least = 100 * next(row for row in rows if row.name == ORIGINAL).holdout_accuracy - tolerance
        axes.axhline(least, color="grey", linewidth=1, linestyle="--", label=f"the original's less {tolerance:g}")
        axes.set_xscale("log")
        axes.margins(x=0.1, y=0.1)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        axes.xaxis.set_minor_formatter(lambda value, _: f"{value:,g}" if f"{value:.0e}"[0] in "25" else "")
        axes.set_xlabel("size, gzipped (kB)")
        axes.set_ylabel("accuracy on holdout (%)")
        axes.set_title(title)
        axes.legend(fontsize=9, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.12), frameon=False)
        axes.grid(alpha=0.25)
        key = [
            f"{number}  {row.name}\n    {100 * row.holdout_accuracy:.1f} %, {row.gzip_bytes / 1000:,.1f} kB, "
            f"{row.cost.p50_ms:.2f} ms (p99 {row.cost.p99_ms:.2f})"
            for number, row in enumerate(rows, start=1)
        ]
        axes.text(1.03, 1.0, "\n".join(key), transform=axes.transAxes, va="top", fontsize=9, linespacing=1.25)
        figure.tight_layout()
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        return buffer.getvalue()


def _place(row: Row) -> tuple[float, float]:
    return row.gzip_bytes / 1000, 100 * row.holdout_accuracy
