"""The pictures of a trial, as PNG bytes: confusion matrix, learning curves, sample predictions.

The process that feeds the workers draws them for every trial, so they must be cheap. Pillow draws the two grids in
milliseconds; matplotlib needs a third of a second for a hundred cells.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from ..trials.metrics import MOST_DENSE, Confusion

LONGEST = 150  # pixels of a class's name; a longer one is cut
MOST_NUMBERED = 20  # classes; with more, a cell has no room for its count
INK, PAPER, WRONG = (34, 34, 34), (255, 255, 255), (200, 30, 60)
BLUES = np.array([[247, 251, 255], [8, 48, 107]], float)  # from a share of 0 to one of 1


def draw_confusion_matrix(confusion: Confusion, class_names: Sequence[str], split: str = "validation") -> bytes:
    """Counts by true class (rows) and predicted class (columns), coloured by the share of the true class's images.

    With more than MOST_DENSE classes, it shows those with the most frequent mistakes.
    """
    whole = confusion.classes <= MOST_DENSE
    shown = np.arange(confusion.classes) if whole else confusion.worst(MOST_NUMBERED)
    counts = confusion.among(shown)
    classes = len(shown)
    class_names = [cut(class_names[i], LONGEST, 12) for i in shown.tolist()]
    numbered = classes <= MOST_NUMBERED
    cell = 46 if numbered else max(4, 800 // classes)
    margin = 24 + (max(width_of(name) for name in class_names) if numbered else 10)
    side = cell * classes
    title = f"Confusion on {confusion.total:,} {split} images"
    if not whole:
        title += f": the {classes} of {confusion.classes:,} classes of the most frequent mistakes"
    picture = Image.new("RGB", (margin + max(side, int(font(15).getlength(title))) + 20, margin + side + 40), PAPER)
    share = counts / np.maximum(confusion.sums(0)[shown, None], 1)
    colours = (BLUES[0] + (BLUES[1] - BLUES[0]) * share[..., None]).round().astype("uint8")
    picture.paste(Image.fromarray(colours).resize((side, side), Image.Resampling.NEAREST), (margin, 40))
    draw = ImageDraw.Draw(picture)
    draw.text((margin, 10), title, INK, font(15))
    draw.text((margin + side // 2, margin + side + 34), "predicted", INK, font(12), anchor="ms")
    write_sideways(picture, "true", (4, 40 + side // 2), centred=True)
    if numbered:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                place = (margin + column * cell + cell // 2, 40 + row * cell + cell // 2)
                draw.text(place, str(count), PAPER if share[row, column] > 0.5 else INK, font(12), anchor="mm")
        for i, name in enumerate(class_names):
            draw.text((margin - 6, 40 + i * cell + cell // 2), name, INK, font(12), anchor="rm")
            write_sideways(picture, name, (margin + i * cell + cell // 2 - 8, 46 + side))
    return to_png(picture)


def draw_sample_predictions(
    images: np.ndarray, samples: Sequence[tuple[int, int, int, float]], class_names: Sequence[str]
) -> bytes:
    """A sheet of images, uint8 (n, height, width, channels), each with its prediction; mistakes in red, with the truth."""
    columns, tile, caption = 4, 140, 38
    rows = -(-len(samples) // columns)
    sheet = Image.new("RGB", (columns * (tile + 20) + 20, rows * (tile + caption + 12) + 10), PAPER)
    draw = ImageDraw.Draw(sheet)
    for place, (row, label, predicted, confidence) in enumerate(samples):
        x, y = 20 + place % columns * (tile + 20), 10 + place // columns * (tile + caption + 12)
        picture = Image.fromarray(images[row].squeeze()).convert("RGB")
        sheet.paste(picture.resize((tile, tile), Image.Resampling.NEAREST), (x, y + caption))
        colour = INK if label == predicted else WRONG
        sure = f" {confidence:.0%}"
        draw.text((x, y), cut(class_names[predicted], tile + 10 - width_of(sure, 13), 13) + sure, colour, font(13))
        if label != predicted:
            draw.text((x, y + 17), cut(f"is {class_names[label]}", tile + 10, 13), colour, font(13))
    return to_png(sheet)


def draw_learning_curves(history: Sequence[Mapping[str, float]], best_epoch: int, first: int = 1) -> bytes:
    """Loss and accuracy by epoch, of training and validation, with the best epoch marked."""
    with style.context("default"):  # a matplotlibrc may ask for LaTeX, which may be missing
        return _drawn_curves(history, best_epoch, first)


def _drawn_curves(history: Sequence[Mapping[str, float]], best_epoch: int, first: int) -> bytes:
    figure, axes = _curves()
    epochs = np.arange(first, first + len(history))
    for plot, name in zip(axes, ("loss", "accuracy"), strict=True):
        for line, part in zip(plot.lines, ("train", "val"), strict=False):
            line.set_data(epochs, [metrics[f"{part}_{name}"] for metrics in history])
        plot.lines[2].set_xdata([best_epoch, best_epoch])
        plot.relim()
        plot.autoscale_view()
        plot.set_xlim(first - 0.5, first + len(history) - 0.5)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", pil_kwargs={"compress_level": 1})
    return buffer.getvalue()


@cache
def _curves() -> tuple[Figure, list[Axes]]:
    """The figure of the curves: laid out once; each trial sets its lines."""
    figure = Figure(figsize=(9, 3.4), dpi=80)
    FigureCanvasAgg(figure)
    figure.subplots_adjust(0.07, 0.14, 0.98, 0.9)
    axes = list(figure.subplots(1, 2))
    for plot, name in zip(axes, ("loss", "accuracy"), strict=True):
        plot.plot([0], [0], "--", marker=".", label="train")
        plot.plot([0], [0], "-", marker=".", label="validation")
        plot.axvline(1, color="grey", linewidth=0.8, label="best epoch")
        plot.set_xlabel("epoch")
        plot.set_title(name)
        plot.legend(fontsize=8, loc="upper right" if name == "loss" else "lower right")
        plot.xaxis.get_major_locator().set_params(integer=True)
    return figure, axes


def write_sideways(picture: Image.Image, text: str, place: tuple[int, int], size: int = 12, centred: bool = False) -> None:
    """Write upwards, ending (or centred) at a place."""
    note = Image.new("RGB", (width_of(text, size), size + 4), PAPER)
    ImageDraw.Draw(note).text((0, 0), text, INK, font(size))
    note = note.rotate(90, expand=True)
    picture.paste(note, (place[0], place[1] - (note.height // 2 if centred else 0)))


def width_of(text: str, size: int = 12) -> int:
    """The pixels that a text takes."""
    return int(font(size).getlength(text)) + 2


def cut(text: str, width: int, size: int) -> str:
    """The text, cut if it is wider than `width` pixels."""
    if width_of(text, size) <= width:
        return text
    while text and width_of(f"{text}…", size) > width:
        text = text[:-1]
    return f"{text}…"


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Matplotlib's own font, which has Latin, Greek and Cyrillic letters; Pillow's has none beyond ASCII."""
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def to_png(picture: Image.Image) -> bytes:
    """The picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, format="png", compress_level=1)
    return buffer.getvalue()
