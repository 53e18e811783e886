"""Stratified, seeded, disjoint splits, their digest, and the cache of .npy files that workers map."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...search.study.spec import DataPlan
from ..errors import InputError
from .images import Dataset, Images, find_lacking

DEFAULT = {"val": 0.1, "holdout": 0.1, "test": 0.15}


@dataclass(frozen=True)
class Splits:
    """A data set in four splits. `digest` identifies the data and the cut; `notes` are lines for the screen."""

    train: Images
    val: Images
    holdout: Images
    test: Images
    class_names: tuple[str, ...]
    digest: str
    notes: tuple[str, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """How many images each split has."""
        return {name: len(getattr(self, name)) for name in ("train", "val", "holdout", "test")}


@dataclass(frozen=True)
class DataHandle:
    """What a worker needs to find the data: a folder of .npy files, the shape of one image, and the number of classes."""

    folder: str
    input_shape: tuple[int, int, int]
    num_classes: int


def split(dataset: Dataset, plan: DataPlan) -> Splits:
    """Cut the data set. Raises InputError if a split would be empty or no image is left for training."""
    sizes: Mapping[str, int | float] = {**DEFAULT, **plan.splits}
    cut = {part: images for part, images in (("test", dataset.test), ("val", dataset.val)) if images is not None}
    for part in cut:
        if part in plan.splits:
            raise InputError(f"data.splits.{part}: {dataset.name} has its own {part} set; remove the key.")
    rest = np.arange(len(dataset.pool))
    rng = np.random.default_rng(plan.seed)
    for name in ("test", "holdout", "val"):
        if name in cut:
            continue
        size = sizes[name]
        count = size if isinstance(size, int) else round(size * len(dataset.pool))
        if not 0 < count < len(rest):
            raise InputError(
                f"data.splits.{name}: {size} of {len(dataset.pool)} images is {count}, with {len(rest)} left to cut from; "
                "every split and the training set need at least one."
            )
        taken = stratify(dataset.pool.labels[rest], count, rng)
        cut[name] = dataset.pool.take(rest[taken])
        rest = np.delete(rest, taken)
    cut["train"] = dataset.pool.take(rest)
    lacking = [find_lacking(part, cut[part], dataset.class_names) for part in ("train", "val", "holdout", "test")]
    notes = tuple(dict.fromkeys(filter(None, [*dataset.notes, *lacking])))  # a part that came with the data is noted before
    return Splits(**cut, class_names=dataset.class_names, digest=_digest(cut, dataset.class_names), notes=notes)


def stratify(labels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` sorted rows with the class proportions of `labels`, by largest remainder (ties by class)."""
    classes, sizes = np.unique(labels, return_counts=True)
    exact = sizes * (count / len(labels))
    take = np.floor(exact).astype(int)
    take[np.argsort(-(exact - take), kind="stable")[: count - take.sum()]] += 1
    rows = [rng.permutation(np.flatnonzero(labels == c))[:n] for c, n in zip(classes, take, strict=True)]
    return np.sort(np.concatenate(rows))


def cache(splits: Splits, root: Path) -> DataHandle:
    """Write train and val once as .npy under `root`/<digest>, never holdout and test (a refit joins holdout to train).

    Files that are missing, cut short or otherwise not those of the splits are written again.
    """
    folder, arrays = root / splits.digest, _list_arrays(splits)
    if not all(_is_whole(folder / name, array) for name, array in arrays.items()):
        root.mkdir(parents=True, exist_ok=True)
        try:
            _write(arrays, folder)
        except OSError as error:
            error.filename = error.filename or str(root)  # that of a full disk names no file
            raise
    height, width, channels = splits.train.images.shape[1:]
    return DataHandle(str(folder.resolve()), (height, width, channels), len(splits.class_names))


def _is_whole(path: Path, array: np.ndarray) -> bool:
    """Whether the file holds an array of that shape and type; reads its header, and only compares its size."""
    try:
        found = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError):  # a file that is missing, empty or cut short
        return False
    return found.shape == array.shape and found.dtype == array.dtype


def _write(arrays: Mapping[str, np.ndarray], folder: Path) -> None:
    """Write the folder's files; a new folder is there whole or not at all."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="draft-", ignore_cleanup_errors=True) as draft:
        for name, array in arrays.items():
            with Path(draft, name).open("wb") as file:  # not np.save: its error of a full disk has no errno
                np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
                file.write(array.data)
        try:
            os.rename(draft, folder)
        except OSError:  # it lacks a file, or another process was first, with the same content
            for name in arrays:
                os.replace(Path(draft, name), folder / name)


def _list_arrays(splits: Splits) -> dict[str, np.ndarray]:
    """What workers map, by the file's name."""
    parts = {"train": splits.train, "val": splits.val}
    arrays = {f"{name}_{kind}.npy": getattr(part, kind) for name, part in parts.items() for kind in ("images", "labels")}
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _digest(cut: Mapping[str, Images], class_names: tuple[str, ...]) -> str:
    sha = hashlib.sha256(json.dumps(class_names).encode())
    for name in ("train", "val", "holdout", "test"):
        sha.update(f"{name}{cut[name].images.shape}".encode())
        sha.update(np.ascontiguousarray(cut[name].images).data)
        sha.update(np.ascontiguousarray(cut[name].labels).data)
    return sha.hexdigest()
