"""Bring an image that somebody sends to the form that a model takes, and say what was changed and what is strange about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from .folder import Header, Upload, is_dim, read_image
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
    source: Path | Upload, header: Header, shape: tuple[int, int, int], looks: Looks | None, invert: Invert = "never"
) -> Prepared:
    """Read an image file as (height, width, channels). `header` is the file's own. Raises InputError if it is damaged.

    "auto" inverts an image that is brighter or darker than the training images, if its negative is nearer to them: black on
    white for white on black. Without `looks` nothing is strange, and "auto" inverts nothing.
    """
    image = read_image(source, shape[:2], shape[2])
    changes = header.list_changes(shape[:2], shape[2])
    if header.deep and is_dim(image):
        return Prepared(image, changes, ["uses only the lower of its 16 bits, so it is nearly black; save it with 8 bits"])
    if invert == "always" or (invert == "auto" and looks is not None and is_inverted(image, looks)):
        image, changes = 255 - image, [*changes, INVERTED]
    strange = "" if looks is None else find_strangeness(image, looks, INVERTED in changes)
    return Prepared(image, changes, [strange] if strange else [])
