"""Sheets of small images, PNG bytes: a model's predictions, and the filters of its first layer. Pillow draws them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from ...search.analysis import palette
from ..trials.filters import Filters
from ..trials.metrics import Sample
from .lettering import MUTED, PAPER, cut, to_png, width_of, write

SIZE, SMALL = 20, 16  # of letters
COLUMNS, TILE, CELL = 4, 160, 264  # of predictions: pixels of an image, and of the place that it has
ACROSS, SQUARE = 8, 112  # filters side by side, and their pixels
RIGHT, WRONG = palette.BLUE, palette.ORANGE


def draw_sample_predictions(
    images: np.ndarray, mistakes: Sequence[Sample], random: Sequence[Sample], class_names: Sequence[str]
) -> bytes:
    """The most confident mistakes, and random images, of `images`, uint8 (n, height, width, channels), with predictions."""
    height, width = images.shape[1:3]
    scale = TILE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    row = size[1] + 66
    groups = {
        "The most confident mistakes" if mistakes else "No mistakes": mistakes,
        "Random images (the same for each trial)": random,
    }
    rows = [-(-len(samples) // COLUMNS) for samples in groups.values()]
    sheet = Image.new("RGB", (16 + COLUMNS * CELL, 84 + sum(44 + row * many for many in rows)), PAPER)
    draw = ImageDraw.Draw(sheet)
    write(draw, (16, 12), f"Predictions on {len(images):,} validation images", SIZE)
    x = 16
    for text, colour in (
        ("✓ right", RIGHT),
        ("✗ wrong, with the true class below", WRONG),
        ("(%) the model's confidence", MUTED),
    ):
        write(draw, (x, 48), text, SMALL + 2, colour)
        x += width_of(text, SMALL + 2) + 32
    y = 80
    for (title, samples), many in zip(groups.items(), rows, strict=True):
        draw.line((16, y, sheet.width - 16, y), (200, 200, 200))
        write(draw, (16, y + 8), title, SIZE)
        for place, sample in enumerate(samples):
            corner = 16 + place % COLUMNS * CELL, y + 44 + place // COLUMNS * row
            _draw_sample(sheet, (*corner, *size), images[sample[0]], sample, class_names)
        y += 44 + row * many
    return to_png(sheet)


def _draw_sample(
    sheet: Image.Image, place: tuple[int, int, int, int], image: np.ndarray, sample: Sample, class_names: Sequence[str]
) -> None:
    x, y, width, height = place
    _, label, predicted, confidence = sample
    way = Image.Resampling.NEAREST if width > image.shape[1] else Image.Resampling.LANCZOS
    draw = ImageDraw.Draw(sheet)
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).convert("RGB")
    sheet.paste(picture.resize((width, height), way), (x, y))
    draw.rectangle((x - 1, y - 1, x + width, y + height), outline=(170, 170, 170))
    right = label == predicted
    sure = f" ({confidence:.0%})"
    text = cut(f"{'✓' if right else '✗'} {class_names[predicted]}", CELL - 12 - width_of(sure, SIZE), SIZE) + sure
    write(draw, (x, y + height + 4), text, SIZE, RIGHT if right else WRONG)
    if not right:
        write(draw, (x, y + height + 30), cut(f"true: {class_names[label]}", CELL - 12, SIZE), SIZE)


def draw_filters(filters: Filters) -> bytes:
    """The filters of a first layer: weights as colours, each filter on a scale of its own."""
    weights = filters.weights  # (n, height, width, channels)
    height, width, channels = weights.shape[1:]
    coloured = channels == 3
    if not coloured:
        weights = weights.mean(axis=3, keepdims=True)
    limit = np.maximum(np.abs(weights).max(axis=(1, 2, 3), keepdims=True), 1e-12)
    pixels = ((weights / limit + 1) * 127.5).round().astype("uint8") if coloured else _colour(weights[..., 0] / limit[..., 0])
    across = min(ACROSS, len(pixels))
    scale = SQUARE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    which = f"all {filters.total}" if len(pixels) == filters.total else f"the {len(pixels)} largest of {filters.total:,}"
    kind = "units" if filters.dense else "filters"
    lines = [f"First layer, {filters.layer}: {which} {kind}, {width}×{height}{f'×{channels}' if channels > 1 else ''} weights"]
    key = "grey: 0; red, green, blue: the weights of the three channels" if coloured else ""
    if channels > 3 or channels == 2:
        lines.append("the mean over the channels")
    top = 52 + 30 * len(lines)
    rows = -(-len(pixels) // across)
    wide = max(16 + across * (SQUARE + 16), 24 + max(width_of(line, SIZE) for line in lines), 780)
    sheet = Image.new("RGB", (wide, top + rows * (size[1] + 16) + 4), PAPER)
    draw = ImageDraw.Draw(sheet)
    for i, line in enumerate(lines):
        write(draw, (16, 12 + 30 * i), line, SIZE)
    if coloured:
        write(draw, (16, top - 36), f"{key}; each on its own scale", SMALL, MUTED)
    else:
        _draw_key(sheet, (16, top - 36))
    for place, one in enumerate(pixels):
        x, y = 16 + place % across * (SQUARE + 16), top + place // across * (size[1] + 16)
        sheet.paste(Image.fromarray(one).resize(size, Image.Resampling.NEAREST), (x, y))
        draw.rectangle((x - 1, y - 1, x + size[0], y + size[1]), outline=(170, 170, 170))
    return to_png(sheet)


def _draw_key(sheet: Image.Image, place: tuple[int, int]) -> None:
    draw, (x, y) = ImageDraw.Draw(sheet), place
    start = x + width_of("negative", SMALL) + 8
    sheet.paste(Image.fromarray(_colour(np.linspace(-1, 1, 160)[None])).resize((160, 16)), (start, y + 2))
    draw.rectangle((start, y + 2, start + 160, y + 18), outline=(170, 170, 170))
    write(draw, (x, y + 10), "negative", SMALL, MUTED, "lm")
    write(draw, (start + 168, y + 10), "positive; white: 0; each on its own scale", SMALL, MUTED, "lm")


def _colour(share: np.ndarray) -> np.ndarray:
    """Colours uint8 (…, 3) of shares from -1 to 1."""
    negative, zero, positive = (np.array(colour, float) for colour in (palette.NEGATIVE, palette.ZERO, palette.POSITIVE))
    ends = np.where(share[..., None] < 0, negative, positive)
    return (zero + (ends - zero) * np.abs(share)[..., None]).round().astype("uint8")
