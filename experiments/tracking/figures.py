"""A model's predictions as tables in a picture, PNG bytes: the confusion matrix, and the scores of each class.

MLflow shows a picture at about 700 pixels: letters of 20 pixels are read there without a click. Pillow draws these in
milliseconds; matplotlib needs a third of a second for a hundred cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from ...search.analysis import palette
from ..trials.metrics import MOST_DENSE, Confusion, list_occurring, score_classes
from .lettering import INK, MUTED, PAPER, cut, to_png, width_of, write, write_sideways

SIZE, SMALL = 20, 16  # of letters
LONGEST = 260  # pixels of a class's name; a longer one is cut
MOST_NUMBERED = 20  # classes; with more, a cell has no room for its count
SIDE = 800  # pixels of a matrix without counts
MISTAKES = 8  # pairs that are listed below such a matrix
MOST_SCORED = 20  # classes whose scores are drawn, the worst ones
BAR = 300


def draw_confusion_matrix(confusion: Confusion, class_names: Sequence[str], split: str = "validation") -> bytes:
    """Counts by true class (rows) and predicted class (columns), coloured by the share of the true class's images.

    With more than MOST_NUMBERED classes, the most frequent mistakes stand below; with more than MOST_DENSE, it shows the
    classes of those.
    """
    whole = confusion.classes <= MOST_DENSE
    shown = np.arange(confusion.classes) if whole else confusion.worst(MOST_NUMBERED)
    counts, classes = confusion.among(shown), len(shown)
    numbered = classes <= MOST_NUMBERED
    cell = (64 if classes <= 10 else 48) if numbered else max(4, SIDE // classes)
    step = max(1, -(-(SIZE + 4) // cell))  # each so many classes have their name beside them
    names = {i: cut(class_names[shown[i]], LONGEST, SIZE) for i in range(0, classes, step)}
    lines = [f"Confusion matrix: {confusion.total:,} {split} images, {confusion.accuracy:.1%} right"]
    if not whole:
        lines.append(f"The {classes} of {confusion.classes:,} classes with the most frequent mistakes")
    notes = [] if numbered else _list_mistakes(confusion, class_names)
    margin, side, top = 48 + max(width_of(name, SIZE) for name in names.values()), cell * classes, 52 + 30 * len(lines)
    width = max(margin + side, *(16 + width_of(line, SIZE) for line in (*lines, *notes)), 520) + 24
    picture = Image.new("RGB", (width, top + side + margin + 28 * len(notes) + 12), PAPER)
    draw = ImageDraw.Draw(picture)
    for i, line in enumerate(lines):
        write(draw, (16, 12 + 30 * i), line, SIZE)
    _draw_key(picture, (16, top - 36))
    share = counts / np.maximum(confusion.sums(0)[shown, None], 1)
    picture.paste(Image.fromarray(_shade(share)).resize((side, side), Image.Resampling.NEAREST), (margin, top))
    draw.rectangle((margin - 1, top - 1, margin + side, top + side), outline=(190, 190, 190))
    if numbered:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                place, text = (margin + column * cell + cell // 2, top + row * cell + cell // 2), f"{count}"
                fitting = SIZE if width_of(text, SIZE) < cell - 4 else 12
                write(draw, place, text, fitting, PAPER if share[row, column] > 0.5 else INK, "mm")
    for i, name in names.items():
        middle = i * cell + cell // 2
        write(draw, (margin - 8, top + middle), name, SIZE, anchor="rm")
        write_sideways(picture, name, (margin + middle - SIZE // 2 - 2, top + side + 8), SIZE)
    write_sideways(picture, "true class", (6, top + side // 2), SIZE, centred=True)
    bottom = top + side + margin
    write(draw, (margin + side // 2, bottom - 4), "predicted class", SIZE, anchor="ms")
    for i, note in enumerate(notes):
        write(draw, (16, bottom + 8 + 28 * i), note, SIZE, MUTED if i == 0 else INK)
    return to_png(picture)


def _list_mistakes(confusion: Confusion, class_names: Sequence[str]) -> list[str]:
    wrong = confusion.cells[confusion.cells[:, 0] != confusion.cells[:, 1]]
    often = wrong[np.argsort(-wrong[:, 2], kind="stable")][:MISTAKES].tolist()
    head = ["The most frequent mistakes (true → predicted: images)"] if often else ["No mistakes"]
    return head + [
        f"{cut(class_names[true], LONGEST, SIZE)} → {cut(class_names[predicted], LONGEST, SIZE)}: {count:,}"
        for true, predicted, count in often
    ]


def draw_class_scores(confusion: Confusion, class_names: Sequence[str], split: str = "validation") -> bytes:
    """Precision, recall, F1 (as a bar) and number of images of each class, the lowest F1 first; at most MOST_SCORED classes."""
    scores = score_classes(confusion)
    occurring = list_occurring(confusion)
    order = occurring[np.argsort(scores["f1-score"][occurring], kind="stable")]
    shown = order[:MOST_SCORED].tolist()
    names = [cut(class_names[i], LONGEST, SIZE) for i in shown]
    title = f"Scores by class: {confusion.total:,} {split} images, worst first"
    if len(shown) < len(order):
        title += f" ({len(shown)} of {len(order):,} classes)"
    left = 32 + max(width_of(name, SIZE) for name in (*names, "class"))
    columns = {"F1": left + BAR + 80, "precision": left + BAR + 200, "recall": left + BAR + 300, "images": left + BAR + 400}
    row, top = 36, 88
    width = max(columns["images"], 16 + width_of(title, SIZE)) + 24
    picture = Image.new("RGB", (width, top + row * len(shown) + 16), PAPER)
    draw = ImageDraw.Draw(picture)
    write(draw, (16, 12), title, SIZE)
    write(draw, (16, 54), "class", SIZE, MUTED)
    for name, x in columns.items():
        write(draw, (x, 54), name, SIZE, MUTED, "ra")
    for place, (i, name) in enumerate(zip(shown, names, strict=True)):
        y = top + place * row
        f1 = float(scores["f1-score"][i])
        draw.rectangle((left, y + 5, left + BAR, y + row - 8), fill=(238, 238, 238))
        draw.rectangle((left, y + 5, left + round(BAR * f1), y + row - 8), fill=palette.BLUE)
        write(draw, (16, y + row // 2 - 2), name, SIZE, anchor="lm")
        values = (f1, scores["precision"][i], scores["recall"][i])
        texts = (*(f"{value:.3f}" for value in values), f"{scores['support'][i]:,}")
        for x, text in zip(columns.values(), texts, strict=True):
            write(draw, (x, y + row // 2 - 2), text, SIZE, anchor="rm")
    return to_png(picture)


def _draw_key(picture: Image.Image, place: tuple[int, int]) -> None:
    draw, (x, y) = ImageDraw.Draw(picture), place
    before, after = "share of the true class's images: 0%", "100%"
    start = x + width_of(before, SMALL) + 8
    picture.paste(Image.fromarray(_shade(np.linspace(0, 1, 160)[None])).resize((160, 16)), (start, y + 2))
    draw.rectangle((start, y + 2, start + 160, y + 18), outline=(190, 190, 190))
    write(draw, (x, y + 10), before, SMALL, MUTED, "lm")
    write(draw, (start + 168, y + 10), after, SMALL, MUTED, "lm")


def _shade(share: np.ndarray) -> np.ndarray:
    low, high = (np.array(colour, float) for colour in palette.SHADES)
    return (low + (high - low) * share[..., None]).round().astype("uint8")
