"""A folder of images, one sub-folder for each class; or `train/`, `val/` and `test/`, each with such sub-folders."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import ExifTags, Image

from ..errors import InputError, escape_path
from .images import Dataset, assemble
from .layout import MOST_NAMED, find, find_pattern, formats

T = TypeVar("T")

MOST_PIXELS = 64_000_000
CAMERAS = ("JPEG", "MPO", "WEBP", "AVIF")  # formats of cameras; Pillow turns TIFF itself, and a PNG would have to be decoded
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
QUARTERS = [TURNS[orientation] for orientation in (5, 6, 7, 8)]
DEEP = "I;16"  # how Pillow's modes of 16 bits of gray begin


class Upload(io.BytesIO):
    """An image file that lies in memory; errors call it "the image"."""

    def __str__(self) -> str:
        return "the image"


@dataclass(frozen=True)
class Header:
    """An image file's header: (height, width) as Tailor reads it, and Pillow's mode.

    `deep`: 16 bits a channel; `animated`: several frames; `turned`: its camera was; `transparent`: in parts.
    """

    size: tuple[int, int]
    mode: str
    deep: bool
    animated: bool
    turned: bool
    transparent: bool

    def list_changes(self, size: tuple[int, int], channels: int) -> list[str]:
        """What `read_image` changes for images of that size: nothing, if the file has 8 bits, the size and the channels."""
        gray = self.mode in ("1", "L", "LA") or self.mode.startswith(DEEP)
        changes = {
            "its first frame": self.animated,
            "16 bits reduced to 8": self.deep,
            "turned as its camera was": self.turned,
            "transparent parts filled with white": self.transparent,
            "converted to gray": channels == 1 and not gray,
            "converted to RGB": channels == 3 and gray,
            f"resized from {show_size(self.size)} to {show_size(size)}": self.size != size,
            "stretched": not 0.9 < self.size[0] * size[1] / (self.size[1] * size[0]) < 1.1,
        }
        return [change for change, made in changes.items() if made]


def show_size(size: Sequence[int]) -> str:
    """The (height, width) as people give a picture's size: width×height."""
    return f"{size[1]}×{size[0]}"


def load(name: str, folder: Path, image_size: tuple[int, int] | None) -> Dataset:
    """Read every image; class names are the sub-folders' names, sorted. Raises InputError, which names wrong files."""
    if not os.path.isdir(folder):
        raise InputError(f"{name}: there is no folder {escape_path(folder)!r}.")
    found = find(name, folder)
    paths = [path for of_part, _ in found.parts.values() for path in of_part]
    headers = dict(zip(paths, _every(name, paths, read_header, check=decode), strict=True))
    size = image_size or _common_size(name, {header.size for header in headers.values()})
    channels = 1 if all(header.mode in ("1", "L") or header.mode.startswith(DEEP) for header in headers.values()) else 3
    images = dict(zip(paths, _every(name, paths, lambda path: read_image(path, size, channels)), strict=True))
    _check_depth(name, [images[path] for path, header in headers.items() if header.deep])
    animated = sum(header.animated for header in headers.values())
    notes = [f"images with several frames or pages: {animated:,}; Tailor reads the first of each"] if animated else []
    parts = {
        part: (np.stack([images[path] for path in of_part]), np.array(labels, np.int64))
        for part, (of_part, labels) in found.parts.items()
    }
    return assemble(name, parts, found.class_names, (*found.notes, *notes))


def read_image(path: Path | Upload, size: tuple[int, int], channels: int) -> np.ndarray:
    """One image file as uint8 (height, width, channels), resized if it has another size. Raises InputError.

    It is turned as its camera recorded; transparent parts become white.
    """
    image = decode(path).convert("L" if channels == 1 else "RGB")
    if image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(image, np.uint8).reshape(*size, channels)


def decode(path: Path | Upload) -> Image.Image:
    """One image file, its first frame, turned, on white, as gray or RGB. Raises InputError."""
    image = _opened(path)
    if image.mode in ("I", "F"):
        raise InputError(f"{path}: its pixels are 32-bit numbers with no known range; save it with 8 or 16 bits.")
    if image.mode == "LAB":
        raise InputError(f"{path}: its colours are CIELAB; save it as RGB.")
    try:
        if image.mode.startswith(DEEP):
            image = _reduce(image)
        if (turn := _turn(image)) is not None:
            image = image.transpose(turn)
        if image.has_transparency_data:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
        return image.convert("L" if image.mode in ("1", "L") else "RGB")
    except (OSError, SyntaxError, ValueError, RuntimeError) as error:  # what Pillow and its codecs raise for broken files
        raise InputError(f"{path}: the image is damaged ({error}); remove it or replace it.") from error


def _reduce(image: Image.Image) -> Image.Image:
    """16 bits of gray as 8, on white; Pillow would cut off values above 255."""
    values = np.asarray(image)
    clear = values == image.info.get("transparency", -1)  # of 16 bits: its neighbours have the same upper 8
    return Image.fromarray(np.where(clear, 255, values >> 8).astype(np.uint8))


def _opened(path: Path | Upload) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path, formats=formats(measured=isinstance(path, Upload)))
        if image.format == "TIFF":
            image.filename = ""  # else Pillow maps the file, and mixes up the pixels of one that it turns by a quarter
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file.") from error
    except IsADirectoryError as error:
        raise InputError(f"{path}: expected an image, got a folder; name its files{find_pattern(Path(str(path)))}.") from error
    except Exception as error:  # Pillow's readers of rare formats may raise anything for a damaged header
        raise InputError(f"{path}: not an image that can be read ({type(error).__name__}); remove it or replace it.") from error
    if image.width * image.height > MOST_PIXELS:
        raise InputError(f"{path}: {image.width}×{image.height} pixels are more than the {MOST_PIXELS:,} that Tailor reads.")
    return image


def read_header(path: Path | Upload) -> Header:
    """The header of an image file. Raises InputError if it is no image."""
    image = _opened(path)
    turn = _turn(image)
    size = (image.width, image.height) if turn in QUARTERS else (image.height, image.width)
    stored = "".join(map(str, getattr(image, "tile", ())))
    deep = image.mode.startswith(DEEP) or (";16" in stored and "BGR;16" not in stored)  # BGR;16: five or six bits a channel
    animated = False
    with suppress(Exception):  # decoding finds the faults of a damaged file
        animated = image.format != "MPO" and getattr(image, "is_animated", False)  # MPO: the other frames are a camera's previews
    return Header(size, image.mode, deep, animated, turn is not None, image.has_transparency_data)


def is_dim(image: np.ndarray) -> bool:
    """Whether an image of 16 bits, read as uint8, used too few of them: cameras of 10, 12 or 14 bits leave the upper ones 0."""
    return int(image.max()) < 64


def _check_depth(name: str, images: Sequence[np.ndarray]) -> None:
    """Raise InputError if the images of 16 bits would be read as nearly black."""
    if images and all(map(is_dim, images)):
        bits = 8 + int(max(image.max() for image in images)).bit_length()
        raise InputError(
            f"{name}: its images of 16 bits ({len(images):,}) use {bits} of them at most and would be nearly black; "
            f"save them with 8 bits: (x >> {bits - 8}).astype('uint8')."
        )


def _every(name: str, paths: Sequence[Path], read: Callable[[Path], T], check: Callable[[Path], object] | None = None) -> list[T]:
    """What `read` returns for each file. Raises one InputError for all files that it refuses, and those that `check` refuses."""
    done: list[T] = []
    refused: list[str] = []
    for path in paths:
        try:
            done.append(read(path))
        except InputError as error:
            refused.append(str(error))
    if not refused:
        return done
    if check is not None:  # the pixels of the others: a second start should not find more
        known = set(refused)
        refused += [text for path in paths if (text := _refusal(check, path)) and text not in known]
    if len(refused) == 1:
        raise InputError(refused[0])
    few = " ".join(refused[:MOST_NAMED]) + (f" And {len(refused) - MOST_NAMED:,} more." if len(refused) > MOST_NAMED else "")
    raise InputError(f"{name}: {len(refused):,} of {len(paths):,} images cannot be read. {few}")


def _refusal(check: Callable[[Path], object], path: Path) -> str:
    try:
        check(path)
    except InputError as error:
        return str(error)
    return ""


def _common_size(name: str, sizes: set[tuple[int, int]]) -> tuple[int, int]:
    if len(sizes) > 1:
        raise InputError(
            f"{name}: the images have {len(sizes)} sizes, such as {sorted(sizes)[0]} and {sorted(sizes)[-1]}; "
            "give one size for all: [data] image_size = [HEIGHT, WIDTH]."
        )
    return next(iter(sizes))


def _turn(image: Image.Image) -> Image.Transpose | None:
    """How to turn a camera's image, by EXIF; None if it needs no turn, or EXIF cannot be read."""
    if image.format not in CAMERAS:
        return None
    try:
        found = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # damaged metadata can raise anything
        return None
    return TURNS.get(found) if isinstance(found, int) else None
