"""An .npz file: x_train, y_train (and x_test, y_test), or images and labels; class_names where they are known."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from ..errors import InputError
from .images import Dataset, checked

MOST_CLASSES = 1_000_000


def load(name: str, path: Path) -> Dataset:
    """Read the arrays; never a pickle. Raises InputError naming the arrays that are missing or wrong."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, TypeError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:  # all seen
        raise InputError(f"{name}: {path} cannot be read as .npz without pickles ({error}).") from error
    except MemoryError as error:
        raise InputError(f"{name}: {path} holds more than fits into this machine's memory.") from error
    for x, y in (("x_train", "y_train"), ("images", "labels"), ("x", "y")):
        if x in arrays and y in arrays:
            break
    else:
        raise InputError(
            f"{name}: expected arrays x_train and y_train (or images and labels), got {', '.join(arrays) or 'none'}."
        )
    labels = arrays[y]
    if "class_names" in arrays:
        class_names = _names(name, arrays["class_names"])
    elif np.issubdtype(labels.dtype, np.integer) and labels.size:
        if labels.max() >= MOST_CLASSES:
            raise InputError(f"{name}: labels out of range: expected 0 to {MOST_CLASSES - 1:,} at most, got {labels.max():,}.")
        class_names = tuple(str(c) for c in range(int(labels.max()) + 1))
    else:
        raise InputError(f"{name}: expected whole-number labels in {y!r}, got {labels.dtype} {labels.shape}.")
    test = None
    if "x_test" in arrays and "y_test" in arrays:
        test = checked(f"{name} (test)", arrays["x_test"], arrays["y_test"], len(class_names))
    return Dataset(name, checked(name, arrays[x], labels, len(class_names)), test, class_names)


def _names(name: str, array: np.ndarray) -> tuple[str, ...]:
    names = tuple(c.decode("utf-8", "replace") if isinstance(c, bytes) else str(c) for c in array.ravel())
    if array.ndim != 1 or len(set(names)) < len(names):
        raise InputError(f"{name}: expected class_names as one row of different names, got {names} of shape {array.shape}.")
    return names
