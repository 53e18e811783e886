"""An .npz file: x_train and y_train (and x_val, y_val, x_test, y_test), or images and labels; class_names is optional."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import InputError
from .images import Arrays, Dataset, assemble, name_by_value

# Names of the arrays of images and labels, by part; the first pair that is there counts.
PAIRS = {
    "train": (("x_train", "y_train"), ("images", "labels"), ("x", "y")),
    "val": (("x_val", "y_val"), ("x_valid", "y_valid"), ("x_validation", "y_validation")),
    "test": (("x_test", "y_test"),),
}
KINDS = {b"PAR1": "Parquet", b"\x89HDF": "HDF5", b"\x93NUM": "a single array (.npy)", b"\x1f\x8b": "gzip", b"\x80": "a pickle"}
WAY = "save the arrays with numpy.savez(FILE, x_train=…, y_train=…), or use folder:DIR or idx:DIR"


def load(name: str, path: Path) -> Dataset:
    """Read the arrays; never a pickle. Raises InputError, which names missing or wrong arrays."""
    arrays = _arrays(name, path)
    parts = {}
    for part, pairs in PAIRS.items():
        if (pair := next((pair for pair in pairs if set(pair) & set(arrays)), None)) is None:
            continue
        if lacking := set(pair) - set(arrays):
            raise InputError(f"{name}: expected arrays {pair[0]} and {pair[1]} together; there is no {lacking.pop()}.")
        parts[part] = (arrays.pop(pair[0]), arrays.pop(pair[1]))
    if "train" not in parts:
        held = ", ".join(arrays) or "none"
        raise InputError(f"{name}: expected arrays x_train and y_train (or images and labels), got {held}.")
    names = arrays.pop("class_names", None)
    notes = [f"not read: the arrays {', '.join(arrays)}"] if arrays else []
    if names is None:
        parts, class_names = name_by_value(name, parts)
    else:
        class_names = _names(name, names)
        _check_named(name, parts, len(class_names))
    return assemble(name, parts, class_names, notes)


def _check_named(name: str, parts: Mapping[str, Arrays], count: int) -> None:
    """Raise InputError for whole labels beyond the names."""
    most = max((int(labels.max()) for _, labels in parts.values() if labels.size and labels.dtype.kind in "iu"), default=0)
    if most >= count:
        raise InputError(
            f"{name}: class_names has {count} names, for the labels 0 to {count - 1}, and there are labels up to {most}; "
            "give each label a name, or leave class_names out."
        )


def _arrays(name: str, path: Path) -> dict[str, np.ndarray]:
    """The file's arrays by name."""
    try:
        with path.open("rb") as raw:
            head = raw.read(4)
        if not zipfile.is_zipfile(path):
            kind = next((kind for magic, kind in KINDS.items() if head.startswith(magic)), "something else")
            raise InputError(f"{name}: {path} cannot be read as .npz: it is {kind}; {WAY}.")
        with np.load(path, allow_pickle=False) as file:
            return {key: _read(name, file, key) for key in file.files}
    except InputError:  # which is a ValueError too
        raise
    except FileNotFoundError as error:
        raise InputError(f"{name}: there is no file {str(path)!r}.") from error
    except IsADirectoryError as error:
        raise InputError(f"{name}: {path} is a folder; a folder of images is folder:{path}.") from error
    except (OSError, ValueError, EOFError, TypeError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:  # each was seen
        raise InputError(f"{name}: {path} cannot be read as .npz ({error}); {WAY}.") from error
    except MemoryError as error:
        raise InputError(f"{name}: {path} does not fit into this machine's memory.") from error


def _read(name: str, file: np.lib.npyio.NpzFile, key: str) -> np.ndarray:
    try:
        return file[key]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        way = "class_names.astype(str)" if key == "class_names" else "numbers"
        raise InputError(f"{name}: {key} holds Python objects, which only a pickle can bring back; save {way}.") from error


def _names(name: str, array: np.ndarray) -> tuple[str, ...]:
    names = tuple(c.decode("utf-8", "replace") if isinstance(c, bytes) else str(c) for c in array.ravel())
    if array.ndim != 1 or len(set(names)) < len(names):
        raise InputError(f"{name}: expected class_names as one row of different names, got {names} of shape {array.shape}.")
    return names
