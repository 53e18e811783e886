"""The one shape that every data set has: uint8 images, int64 labels, class names, and a test set where one came with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError


@dataclass(frozen=True)
class Images:
    """`images` uint8 (n, height, width, channels), 0–255; `labels` int64 (n,), 0…classes−1."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> Images:
        """The images at those rows."""
        return Images(self.images[rows], self.labels[rows])


@dataclass(frozen=True)
class Dataset:
    """A whole data set; `test` is None where its source sets none apart."""

    name: str
    pool: Images
    test: Images | None
    class_names: tuple[str, ...]


def checked(name: str, images: np.ndarray, labels: np.ndarray, classes: int) -> Images:
    """Images in the one shape. Raises InputError for another type, shape or range of labels, naming `name`."""
    if images.dtype != np.uint8:
        raise InputError(
            f"{name}: expected images of uint8 from 0 to 255, got {images.dtype}; multiply and convert them "
            "(`(x * 255).round().astype('uint8')` for 0 to 1)."
        )
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise InputError(f"{name}: expected images shaped (n, height, width) or (n, height, width, 1 or 3), got {images.shape}.")
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"{name}: expected whole-number labels shaped (n,), got {labels.dtype} {labels.shape}.")
    if len(labels) != len(images):
        raise InputError(f"{name}: {len(images)} images but {len(labels)} labels; each image needs one.")
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(f"{name}: labels out of range: expected 0 to {classes - 1}, got {labels.min()} to {labels.max()}.")
    if classes < 2:
        raise InputError(f"{name}: a classifier needs at least two classes, got {classes}.")
    return Images(np.ascontiguousarray(images), labels.astype(np.int64))
