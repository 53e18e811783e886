"""The pictures of a trial: confusion matrix, learning curves, sample predictions. Drawn off the screen, returned as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 80
MOST_NUMBERED = 20  # classes beyond which a cell has no room for its count


def confusion_matrix(confusion: np.ndarray, class_names: Sequence[str]) -> bytes:
    """Counts by true class (rows) and predicted class (columns), coloured by the share of the row."""
    classes = len(class_names)
    side = min(14.0, 3.0 + 0.5 * classes)
    figure, axes = _figure(side, side * 0.85)
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if classes <= MOST_NUMBERED:
        for (row, column), count in np.ndenumerate(confusion):
            if count:
                colour = "white" if share[row, column] > 0.5 else "black"
                axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
        axes.set_xticks(range(classes), class_names, rotation=45, ha="right", fontsize=8)
        axes.set_yticks(range(classes), class_names, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(f"Confusion on {int(confusion.sum()):,} validation images")
    return _png(figure)


def learning_curves(history: Sequence[Mapping[str, float]], best_epoch: int) -> bytes:
    """Loss and accuracy by epoch, of training and validation, with the best epoch marked."""
    figure = Figure(figsize=(9, 3.4), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    epochs = range(1, len(history) + 1)
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for part, style in (("train", "--"), ("val", "-")):
            axes.plot(epochs, [metrics[f"{part}_{name}"] for metrics in history], style, marker=".", label=part)
        if best_epoch:
            axes.axvline(best_epoch, color="grey", linewidth=0.8, label=f"best epoch {best_epoch}")
        axes.set_xlabel("epoch")
        axes.set_title(name)
        axes.legend(fontsize=8)
    return _png(figure)


def sample_predictions(images: np.ndarray, samples: Sequence[tuple[int, int, int, float]], class_names: Sequence[str]) -> bytes:
    """A sheet of images, uint8 (n, height, width, channels), each with its prediction; mistakes in red, with the truth."""
    figure = Figure(figsize=(9, 2.5 * -(-len(samples) // 4) * 0.75), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (row, label, predicted, confidence) in zip(figure.subplots(-(-len(samples) // 4), 4).flat, samples, strict=False):
        axes.imshow(images[row].squeeze(), cmap="gray", vmin=0, vmax=255)
        right = label == predicted
        text = f"{class_names[predicted]} {confidence:.0%}" + ("" if right else f"\nis {class_names[label]}")
        axes.set_title(text, fontsize=8, color="black" if right else "crimson")
    for axes in figure.axes:
        axes.axis("off")
    return _png(figure)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
