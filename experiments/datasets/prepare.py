"""Bring an image that somebody sends to the form that a model takes, and say what was changed and what is strange about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import InputError
from .folder import MOST_PIXELS, Upload, is_dim, read_header, read_image
from .looks import Looks, find_strangeness, is_inverted

Invert = Literal["never", "auto", "always"]
INVERTED = "inverted, light for dark"


@dataclass(frozen=True)
class Prepared:
    """A raw uint8 image (height, width, channels), what was changed about the file's, and what is strange about it."""

    image: np.ndarray
    changes: list[str]
    warnings: list[str]


def prepare(
    source: Path | Upload,
    shape: tuple[int, int, int],
    looks: Looks | None,
    invert: Invert = "never",
    most_pixels: int = MOST_PIXELS,
) -> Prepared:
    """Read an image file as (height, width, channels). Raises InputError if it is no image, or too large.

    "auto" inverts an image that is brighter or darker than the training images, if its negative is nearer to them: black on
    white for white on black. Without `looks` nothing is strange, and "auto" inverts nothing.
    """
    header = read_header(source)
    if header.size[0] * header.size[1] > most_pixels:
        raise InputError(f"{source}: expected at most {most_pixels:,} pixels, got {header.size[0]}×{header.size[1]}; reduce it.")
    image = read_image(source, shape[:2], shape[2])
    changes = header.list_changes(shape[:2], shape[2])
    if header.deep and is_dim(image):
        return Prepared(image, changes, ["uses only the lower of its 16 bits, so it is nearly black; save it with 8 bits"])
    if invert == "always" or (invert == "auto" and looks is not None and is_inverted(image, looks)):
        image, changes = 255 - image, [*changes, INVERTED]
    strange = "" if looks is None else find_strangeness(image, looks)
    return Prepared(image, changes, [strange] if strange else [])
