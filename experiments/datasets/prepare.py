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
    white for white on black. It leaves an image that uses only the lower of its 16 bits. Without `looks` it inverts nothing, and
    nothing is strange. "always" inverts every image.
    """
    image = read_image(source, shape[:2], shape[2])
    changes, dim = header.list_changes(shape[:2], shape[2]), header.deep and is_dim(image)
    if invert == "always" or (invert == "auto" and not dim and looks is not None and is_inverted(image, looks)):
        image, changes = 255 - image, [*changes, INVERTED]
    strange = "" if looks is None else find_strangeness(image, looks, INVERTED in changes)
    if dim:  # it explains how strange it looks
        strange = "uses only the lower of its 16 bits, so it is nearly black; save it with 8 bits"
    return Prepared(image, changes, [strange] if strange else [])
