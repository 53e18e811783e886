"""The pictures of a promotion, as PNG bytes: calibration, confusion difference, examples that changed sides, seeds' spread.

MLflow and the report shrink a picture to about 700 pixels: letters are drawn twice as large as they are read.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from ...search.analysis import palette
from ..tracking.figures import LONGEST
from ..tracking.lettering import INK, PAPER, cut, to_png, width_of, write, write_sideways
from ..trials.metrics import Confusion, count_confusion
from .ranking import Ranked, find_median
from .records import Choice
from .statistics import LEVEL, LOWER_IS_BETTER, Predictions, measure_calibration

CHALLENGER, CHAMPION = "challenger", "champion"
COLOURS = {CHALLENGER: palette.BLUE, CHAMPION: palette.ORANGE}
BINS = 10
FEW = 10  # images; the accuracy of a bin with fewer says little
MOST_COMPARED = 20  # classes of a confusion difference; with more, it shows those that changed most
LESS, SAME, MORE = (np.array(colour, float) for colour in (palette.NEGATIVE, palette.ZERO, palette.POSITIVE))
COLUMNS, MOST_SHOWN = 4, 8  # of the examples that one model alone has right
TILE, CELL = 144, 208  # pixels of an image, and of what stands below it
WIDE = 6.4  # inches


def draw_all(
    images: np.ndarray, models: Mapping[str, Predictions], class_names: Sequence[str], choice: Choice
) -> dict[str, bytes]:
    """The pictures that make sense, by file name. `models` are CHALLENGER and, if there is one, CHAMPION on the same images."""
    drawn = {"calibration.png": draw_calibration(models)}
    if CHAMPION in models:
        both = models[CHALLENGER], models[CHAMPION]
        drawn["confusion_difference.png"] = draw_confusion_difference(*both, class_names)
        drawn["changed_sides.png"] = draw_changed_sides(images, *both, class_names)
    if choice.ranking:
        chosen = None if choice.members > 1 else find_median(choice.ranking[0].scores)
        drawn["seeds.png"] = draw_seeds(choice.metric, choice.ranking, chosen)
    return drawn


def draw_calibration(models: Mapping[str, Predictions]) -> bytes:
    """Accuracy by confidence (a reliability diagram, Guo et al. 2017) with the number of images of each bin below."""

    def draw(figure: Figure) -> None:
        curve, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.3))
        errors = []
        curve.plot([0, 1], [0, 1], "--", color="#777", linewidth=1.2, label="perfectly calibrated")
        for i, (name, predictions) in enumerate(models.items()):
            error, rows = measure_calibration(predictions, BINS)
            errors.append(f"{name} {error:.4f}" if len(models) > 1 else f"{error:.4f}")
            looks: dict[str, Any] = {"color": COLOURS[name], "label": name if len(models) > 1 else "model"}
            confidence, right, sizes = (np.array(column) for column in zip(*rows, strict=True))
            curve.plot(confidence, right, marker="os"[i], linewidth=1.6, markersize=7.5, linestyle=("-", "-.")[i], **looks)
            few = sizes < FEW
            hollow = {"color": COLOURS[name], "markerfacecolor": "white", "markersize": 7.5, "linestyle": "none"}
            curve.plot(confidence[few], right[few], marker="os"[i], **hollow)
            _draw_counts(counts, confidence, sizes, (i, len(models)), looks)
        images = len(next(iter(models.values())).labels)
        title = f"Calibration on {images:,} test images (hollow: a bin of fewer than {FEW})"
        curve.set_title(f"{title}\nexpected calibration error: {', '.join(errors)}")
        curve.set(ylabel="accuracy", xlim=(0, 1), ylim=(-0.03, 1.03))
        curve.legend(loc="best", fontsize=10.5)
        curve.grid(alpha=0.3)
        counts.set(xlabel="confidence (in bins of 0.1)", ylabel="images", yticks=[])
        counts.margins(y=0.75 if len(models) > 1 else 0.35)  # room for the numbers, which stand on end beside others
        counts.set_xticks(np.linspace(0, 1, BINS + 1).round(1))

    return _plot(draw, 6.2)


def _draw_counts(plot: Any, confidence: np.ndarray, sizes: np.ndarray, place: tuple[int, int], looks: Mapping[str, Any]) -> None:
    """Bars of the bins' sizes; `place` is which of how many stand side by side."""
    one, of = place
    width = 0.9 / BINS / of
    left = np.minimum(np.floor(confidence * BINS + 1e-9), BINS - 1) / BINS + 0.05 / BINS
    bars = plot.bar(left + one * width, sizes, width, align="edge", **looks)
    plot.bar_label(bars, [f"{size:,}" for size in sizes], rotation=90 if of > 1 else 0, padding=3, fontsize=9.5)


def subtract(challenger: Predictions, champion: Predictions) -> Confusion:
    """The challenger's confusion counts minus the champion's, of the pairs that differ; each true class's sum to 0."""
    classes = challenger.probabilities.shape[1]
    one, other = (count_confusion(each.labels, each.guesses, classes).cells for each in (challenger, champion))
    cells = np.concatenate([one, other * [1, 1, -1]])
    pairs, place = np.unique(cells[:, :2], axis=0, return_inverse=True)
    counts = np.bincount(place.ravel(), cells[:, 2], len(pairs)).astype(np.int64)
    return Confusion(np.column_stack([pairs, counts])[counts != 0], classes)


def find_changed(difference: Confusion, most: int) -> np.ndarray:
    """At most `most` classes, in class order: those of the cells that changed most, then the first ones."""
    cells = difference.cells[np.argsort(-np.abs(difference.cells[:, 2]), kind="stable")]
    classes = dict.fromkeys([*cells[:, :2].ravel().tolist(), *range(min(most, difference.classes))])
    return np.array(sorted(list(classes)[:most]))


def draw_confusion_difference(challenger: Predictions, champion: Predictions, class_names: Sequence[str]) -> bytes:
    """Challenger minus champion, counts by true class (rows) and predicted class (columns); colours are centred at 0."""
    difference = subtract(challenger, champion)
    shown = find_changed(difference, MOST_COMPARED)
    counts, classes = difference.among(shown), len(shown)
    limit = max(1, int(np.abs(counts).max()))
    cell, size = 64 if classes <= 10 else 48, 20
    names = [cut(class_names[i], LONGEST, size) for i in shown.tolist()]
    lines = [f"Confusion on {len(challenger.labels):,} test images: challenger minus champion"]
    if classes < difference.classes:
        lines.append(f"The {classes} of {difference.classes:,} classes that changed most")
    lines.append("On the diagonal (framed), more is better; elsewhere, less.")
    margin, side = 48 + max(width_of(name, size) for name in names), cell * classes
    top = 70 + 30 * len(lines)
    width = max(margin + side, *(16 + width_of(line, size) for line in lines), 560) + 20
    picture = Image.new("RGB", (width, top + side + margin + 8), PAPER)
    draw = ImageDraw.Draw(picture)
    for i, line in enumerate(lines):
        write(draw, (16, 12 + 30 * i), line, size)
    _draw_scale(picture, (16, top - 48), limit, size)
    picture.paste(Image.fromarray(_colour(counts / limit)).resize((side, side), Image.Resampling.NEAREST), (margin, top))
    for i in range(classes + 1):
        draw.line((margin, top + i * cell, margin + side, top + i * cell), (225, 225, 225))
        draw.line((margin + i * cell, top, margin + i * cell, top + side), (225, 225, 225))
    for i, name in enumerate(names):
        corner = margin + i * cell, top + i * cell
        draw.rectangle((*corner, corner[0] + cell, corner[1] + cell), outline=INK, width=2)
        write(draw, (margin - 8, corner[1] + cell // 2), name, size, anchor="rm")
        write_sideways(picture, name, (corner[0] + cell // 2 - size // 2 - 2, top + side + 8), size)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            place = margin + column * cell + cell // 2, top + row * cell + cell // 2
            text, colour = _sign(count), PAPER if abs(count) > 0.55 * limit else INK
            write(draw, place, text, size if width_of(text, size) < cell else 12, colour, anchor="mm")
    write_sideways(picture, "true", (6, top + side // 2), size, centred=True)
    write(draw, (margin + side // 2, picture.height - 6), "predicted", size, anchor="ms")
    return to_png(picture)


def _draw_scale(picture: Image.Image, place: tuple[int, int], limit: int, size: int) -> None:
    draw, (x, y) = ImageDraw.Draw(picture), place
    left, right = f"{_sign(-limit)} (less often)", f"{_sign(limit)} (more often)"
    start = x + width_of(left, size) + 8
    strip = Image.fromarray(_colour(np.linspace(-1, 1, 200)[None])).resize((200, 20))
    picture.paste(strip, (start, y + 4))
    draw.rectangle((start, y + 4, start + 200, y + 24), outline=(150, 150, 150))
    write(draw, (x, y + 14), left, size, anchor="lm")
    write(draw, (start + 100, y + 14), "0", size, anchor="mm")
    write(draw, (start + 208, y + 14), right, size, anchor="lm")


def _colour(share: np.ndarray) -> np.ndarray:
    """Colours uint8 (…, 3) of shares from -1 to 1."""
    ends = np.where(share[..., None] < 0, LESS, MORE)
    return (SAME + (ends - SAME) * np.abs(share)[..., None]).round().astype("uint8")


def _sign(count: int) -> str:
    return f"{count:+,}".replace("-", "−")


def find_changed_sides(one: Predictions, other: Predictions) -> np.ndarray:
    """The examples that `one` alone has right, those first on which the two differ most about the true class."""
    rows = np.flatnonzero(one.right & ~other.right)
    labels = one.labels[rows]
    return rows[np.argsort(other.probabilities[rows, labels] - one.probabilities[rows, labels], kind="stable")]


def draw_changed_sides(images: np.ndarray, challenger: Predictions, champion: Predictions, class_names: Sequence[str]) -> bytes:
    """Images, uint8 (n, height, width, channels), that one of the two models alone has right, with both predictions."""
    groups = {
        CHALLENGER: find_changed_sides(challenger, champion),
        CHAMPION: find_changed_sides(champion, challenger),
    }
    height, width = images.shape[1:3]
    scale = TILE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    row_height, head = size[1] + 92, 44
    heights = [head + -(-len(rows[:MOST_SHOWN]) // COLUMNS) * row_height for rows in groups.values()]
    sheet = Image.new("RGB", (16 + COLUMNS * CELL, 84 + sum(heights) + 6), PAPER)
    draw = ImageDraw.Draw(sheet)
    write(draw, (16, 10), f"Examples that changed sides, of {len(images):,} test images", 22)
    x = 16
    for text, key in COLOURS.items():
        draw.rectangle((x, 50, x + 16, 66), fill=key)
        write(draw, (x + 24, 58), text, 18, key, anchor="lm")
        x += width_of(text, 18) + 52
    write(draw, (x, 58), "✓ right   ✗ wrong   (%) its confidence", 18, anchor="lm")
    y = 84
    for (name, rows), taken in zip(groups.items(), heights, strict=True):
        shown = rows[:MOST_SHOWN]
        which = f", the clearest {len(shown)} of" if len(rows) > len(shown) else ":"
        draw.line((16, y + 2, sheet.width - 16, y + 2), (200, 200, 200))
        write(draw, (16, y + 10), f"Only the {name} is right{which} {_count(len(rows))}", 20)
        for place, row in enumerate(shown.tolist()):
            corner = 16 + place % COLUMNS * CELL, y + head + place // COLUMNS * row_height
            _draw_example(sheet, (*corner, *size), images[row], _caption(row, challenger, champion, class_names))
        y += taken
    return to_png(sheet)


def _count(images: int) -> str:
    return {0: "no image", 1: "1 image"}.get(images, f"{images:,} images")


def _caption(row: int, challenger: Predictions, champion: Predictions, class_names: Sequence[str]) -> list[tuple[str, str, str]]:
    """(text that may be cut, text that may not, colour) of each line below an example."""
    lines = [(f"true: {class_names[challenger.labels[row]]}", "", "#222")]
    for name, one in ((CHALLENGER, challenger), (CHAMPION, champion)):
        guess = one.guesses[row]
        mark = "✓" if one.right[row] else "✗"
        lines.append((f"{mark} {class_names[guess]}", f" ({one.probabilities[row, guess]:.0%})", COLOURS[name]))
    return lines


def _draw_example(
    sheet: Image.Image, place: tuple[int, int, int, int], image: np.ndarray, lines: Sequence[tuple[str, str, str]]
) -> None:
    """Draw one image at a place (x, y, width, height), and its lines below."""
    x, y, width, height = place
    way = Image.Resampling.NEAREST if width > image.shape[1] else Image.Resampling.LANCZOS
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).convert("RGB").resize((width, height), way)
    draw = ImageDraw.Draw(sheet)
    sheet.paste(picture, (x + 1, y + 1))
    draw.rectangle((x, y, x + width + 1, y + height + 1), outline=(170, 170, 170))
    for i, (text, rest, colour) in enumerate(lines):
        fitted = cut(text, CELL - 14 - width_of(rest, 18), 18) + rest
        write(draw, (x, y + height + 6 + 24 * i), fitted, 18, colour)


def draw_seeds(metric: str, ranking: Sequence[Ranked], chosen: int | None = None) -> bytes:
    """Each candidate's holdout scores by seed, with their mean and its t interval; the first of the ranking is the chosen one.

    `chosen` is the place of the seed whose model was chosen, None if all were.
    """
    from scipy.stats import t

    many = max(len(row.scores) for row in ranking)
    ringed = chosen if many > 1 else None
    most = np.inf if metric in LOWER_IS_BETTER else 1.0

    def draw(figure: Figure) -> None:
        plot = figure.subplots()
        for y, row in enumerate(ranking):
            colour = COLOURS[CHALLENGER] if y == 0 else "#666"
            seeds = len(row.scores)
            plot.plot(row.scores, [y - 0.13] * seeds, "o", color=colour, markersize=8, alpha=0.65, markeredgecolor="white")
            if seeds > 1:
                half = float(t.ppf((1 + LEVEL) / 2, seeds - 1)) * row.deviation / seeds**0.5
                ends = np.clip([row.mean - half, row.mean + half], 0, most)
                plot.plot(ends, [y + 0.17] * 2, color=colour, linewidth=2.2, solid_capstyle="butt")
                plot.plot([row.mean], [y + 0.17], "|", color=colour, markersize=13, markeredgewidth=2.6)
        if ringed is not None:
            plot.plot([ranking[0].scores[ringed]], [-0.13], "o", color=COLOURS[CHALLENGER], markersize=13, markerfacecolor="none")
        names = [f"trial {row.trial}" + (" (chosen)" if y == 0 else "") for y, row in enumerate(ranking)]
        plot.set_yticks(range(len(ranking)), names)
        plot.get_yticklabels()[0].set(fontweight="bold", color=COLOURS[CHALLENGER])
        plot.set_ylim(len(ranking) - 0.4, -0.6)
        plot.grid(axis="x", alpha=0.3)
        better = "lower is better" if metric in LOWER_IS_BETTER else "higher is better"
        plot.set_xlabel(f"{metric.replace('_', ' ')} on holdout ({better})")
        key = f"\ndot: a seed{' (ringed: the chosen one)' if ringed is not None else ''}, line: mean with 95% interval"
        figure.suptitle(f"The candidates on {many} fresh seeds{key}" if many > 1 else "The candidates on a fresh seed")

    return _plot(draw, 1.6 + 0.5 * len(ranking))


def _plot(draw: Callable[[Figure], None], height: float) -> bytes:
    """Draw with Matplotlib, whatever a matplotlibrc says."""
    with style.context(["default", {"font.size": 12, "axes.titlesize": 11.5, "figure.titlesize": 11.5}]):
        figure = Figure(figsize=(WIDE, height), dpi=180, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
    return buffer.getvalue()
