"""The one shape of every data set: uint8 images, int64 labels, class names, and a test set if its source has one."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
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
    """A whole data set; `test` and `val` are None if its source has none. `notes` are lines for the screen."""

    name: str
    pool: Images
    test: Images | None
    class_names: tuple[str, ...]
    val: Images | None = None
    notes: tuple[str, ...] = ()


UNWRITABLE = ("Cc", "Cs", "Zl", "Zp")  # Unicode's control characters, halves of letters, and ends of lines and paragraphs
DARK = 32  # of 255; is_dim, for 16 bits, has its own
Arrays = tuple[np.ndarray, np.ndarray]  # images and labels


def assemble(name: str, parts: Mapping[str, Arrays], class_names: tuple[str, ...], notes: Sequence[str] = ()) -> Dataset:
    """The data set from its parts: train, and val and test if there are any.

    Raises InputError as `validate`, for a class of val or test that train lacks, and for a name that cannot be written.
    """
    _check_names(name, class_names)
    ready = {
        part: validate(name if part == "train" else f"{name} ({part})", images, labels, len(class_names))
        for part, (images, labels) in parts.items()
    }
    shape = ready["train"].images.shape[1:]
    for part, images in ready.items():
        if images.images.shape[1:] != shape:
            raise InputError(f"{name} ({part}): its images are {images.images.shape[1:]}, those to train on {shape}.")
    for part in ready.keys() - {"train"}:
        strange = np.setdiff1d(ready[part].labels, ready["train"].labels)
        _check_known(f"{name} ({part})", [class_names[label] for label in strange])
    lacking = [find_lacking(part, images, class_names) for part, images in ready.items()]
    dark = [_dark(part, images.images) for part, images in ready.items()]
    said = (*notes, *filter(None, [*dark, *lacking]))
    return Dataset(name, ready["train"], ready.get("test"), class_names, ready.get("val"), said)


def name_by_value(name: str, parts: Mapping[str, Arrays]) -> tuple[dict[str, Arrays], tuple[str, ...]]:
    """Labels as 0…classes−1 in the order of their values, gaps closed; a class's name is its value.

    Raises InputError for labels that are no classes, and for a label of val or test that train lacks.
    """
    for part, (images, labels) in parts.items():
        _check_labels(name if part == "train" else f"{name} ({part})", labels)
        _check_counts(name if part == "train" else f"{name} ({part})", images, labels)
    values, counts = np.unique(parts["train"][1], return_counts=True)
    if values.size and values[0] < 0:
        raise InputError(f"{name}: labels out of range: expected 0 or more, got {values[0]}; remove images without a label.")
    if len(values) > 2 and counts.max() == 1:
        raise InputError(f"{name}: {len(values):,} images have {len(values):,} different labels; a class needs several images.")
    mapped = {}
    for part, (images, labels) in parts.items():
        _check_known(f"{name} ({part})", [str(label) for label in np.setdiff1d(labels, values)])
        mapped[part] = (images, np.searchsorted(values, labels).astype(np.int64))
    return mapped, tuple(str(value) for value in values)


def _check_known(name: str, strange: Sequence[str]) -> None:
    """Raise InputError if there are classes of val or test without an image to train on."""
    if strange:
        few = ", ".join(strange[:5]) + (", …" if len(strange) > 5 else "")
        raise InputError(f"{name}: labels that no training image has: {few}.")


def _check_names(name: str, class_names: Sequence[str]) -> None:
    """Raise InputError for a class's name with a line break or the like: it can be neither drawn nor put into a line."""
    for one in class_names:
        if any(unicodedata.category(letter) in UNWRITABLE for letter in one):
            raise InputError(f"{name}: the class {one!r} has a letter that cannot be written, such as a line break; rename it.")


def _dark(part: str, images: np.ndarray) -> str:
    """A line about a part whose images are all nearly black, as those of 0…1 or 0…15 are; empty if some are not."""
    if (brightest := int(images.max())) >= DARK:
        return ""
    where = "" if part == "train" else f" of {part}"
    return f"the images{where} are nearly black: their brightest pixel is {brightest} of 255; if that is their white, scale them"


def find_lacking(part: str, images: Images, class_names: tuple[str, ...]) -> str:
    """A line that names the classes without an image in a part; empty if there are none."""
    absent = np.flatnonzero(np.bincount(images.labels, minlength=len(class_names)) == 0)
    if not len(absent):
        return ""
    few = ", ".join(class_names[i] for i in absent[:5]) + (", …" if len(absent) > 5 else "")
    where = "to train on" if part == "train" else f"in {part}"
    return f"no image {where} of {len(absent):,} of {len(class_names):,} classes: {few}"


def validate(name: str, images: np.ndarray, labels: np.ndarray, classes: int) -> Images:
    """Images in the one shape. Raises InputError, which names `name`, for another type, shape or range of labels."""
    if images.dtype != np.uint8:
        raise InputError(f"{name}: expected images of uint8 from 0 to 255, got {_advice(images)}.")
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise InputError(f"{name}: expected images shaped (n, height, width) or (n, height, width, 1 or 3), got {images.shape}.")
    _check_labels(name, labels)
    _check_counts(name, images, labels)
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(f"{name}: labels out of range: expected 0 to {classes - 1}, got {labels.min()} to {labels.max()}.")
    if classes < 2:
        raise InputError(f"{name}: a classifier needs at least two classes, got {classes}.")
    return Images(np.ascontiguousarray(images), labels.astype(np.int64))


def _check_counts(name: str, images: np.ndarray, labels: np.ndarray) -> None:
    if images.ndim and len(labels) != len(images):
        raise InputError(f"{name}: {len(images):,} images but {len(labels):,} labels; each image needs one.")


def _check_labels(name: str, labels: np.ndarray) -> None:
    if labels.ndim == 1 and np.issubdtype(labels.dtype, np.integer):
        return
    ways = {"b": "; convert them: y.astype('int64')", "f": "; if they are whole, convert them: y.astype('int64')"}
    if labels.ndim > 1 and labels.size == len(labels):
        way = "; use y.ravel()"
    elif labels.ndim == 2:
        way = "; one-hot rows become labels by y.argmax(axis=1)"
    else:
        way = ways.get(labels.dtype.kind, "; convert them: class_names, y = numpy.unique(y, return_inverse=True)")
    raise InputError(f"{name}: expected whole-number labels shaped (n,), got {labels.dtype} {labels.shape}{way}.")


def _advice(images: np.ndarray) -> str:
    """What the images are instead of uint8, and how to convert them."""
    if images.dtype.kind not in "biuf":
        return f"{images.dtype}, no numbers; Tailor classifies images"
    if images.ndim not in (3, 4):
        return f"{images.dtype} {images.shape}: a table? Tailor classifies images, shaped (n, height, width) or (…, 1 or 3)"
    low, high = (images.min(), images.max()) if images.size else (0, 0)
    if images.dtype.kind == "b":
        way = "convert them: x.astype('uint8') * 255"
    elif not np.isfinite([low, high]).all():
        way = "remove what is no number, and scale the rest to 0…255"
    elif low < 0 or high > 255:
        way = "scale them to 0…255: np.interp(x, (x.min(), x.max()), (0, 255)).round().astype('uint8')"
    elif images.dtype.kind != "f":
        way = "convert them: x.astype('uint8')"
    else:
        way = f"convert them: {'(x * 255)' if high <= 1 else 'x'}.round().astype('uint8')"
    return f"{images.dtype} from {float(low):g} to {float(high):g}; {way}"
