"""Letters on the pictures that Pillow draws: fonts for any script, texts that fit, texts that stand on end."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFont

INK, PAPER, MUTED = (34, 34, 34), (255, 255, 255), (105, 105, 105)


Colour = str | tuple[int, int, int]


def write(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, size: int, colour: Colour = INK, anchor: str = "la"
) -> None:
    """Write a text with its anchor (as Pillow names anchors) at a place."""
    draw.text(place, text, colour, font(size, find_font(text)), anchor=anchor)


def write_sideways(picture: Image.Image, text: str, place: tuple[int, int], size: int, centred: bool = False) -> None:
    """Write upwards, with its top (or its centre) at a place."""
    note = Image.new("RGB", (width_of(text, size), size + 6), PAPER)
    write(ImageDraw.Draw(note), (0, 0), text, size)
    note = note.rotate(90, expand=True)
    picture.paste(note, (place[0], place[1] - (note.height // 2 if centred else 0)))


def width_of(text: str, size: int) -> int:
    """The pixels that a text takes."""
    return int(font(size, find_font(text)).getlength(text)) + 2


def cut(text: str, width: int, size: int) -> str:
    """The text; one that is wider than `width` pixels loses its middle, as names often differ at their ends."""
    if width_of(text, size) <= width:
        return text
    text = text[: 2 * width] if len(text) <= 4 * width else text[:width] + text[-width:]
    kept = len(text)
    while kept > 1 and width_of(_shorten(text, kept), size) > width:
        kept -= 1
    return _shorten(text, kept)


def _shorten(text: str, kept: int) -> str:
    end = kept // 3
    return f"{text[: kept - end]}…{text[len(text) - end :]}"


@cache
def font(size: int, path: str) -> ImageFont.FreeTypeFont:
    """The font of a file, at a size in pixels."""
    return ImageFont.truetype(path, size)


@cache
def find_font(text: str) -> str:
    """The file of a font that has the text's letters: Matplotlib's own (Latin, Greek, Cyrillic, Arabic), or this machine's.

    If no font has them all, the one that has most.
    """
    usual = str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
    wanted = {ord(letter) for letter in text if letter.isprintable()}
    missing = wanted - _letters(usual)
    if not missing:
        return usual
    lacks = {path: len(wanted - _letters(path)) for path in list_fonts()}
    best = min(lacks, key=lambda path: lacks[path], default=usual)
    return best if lacks.get(best, len(missing)) < len(missing) else usual


@cache
def list_fonts() -> Sequence[str]:
    """The files of this machine's fonts; bold and slanted ones last."""
    paths = font_manager.findSystemFonts()
    return sorted(paths, key=lambda path: (any(word in path.lower() for word in ("bold", "italic", "oblique")), path))


@cache
def _letters(path: str) -> frozenset[int]:
    """The code points that a font has; none if its file cannot be read."""
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


def to_png(picture: Image.Image) -> bytes:
    """The picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, format="png", compress_level=1)
    return buffer.getvalue()
