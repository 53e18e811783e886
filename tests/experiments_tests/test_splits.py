"""How a data set is cut: disjoint, whole, stratified, seeded; and what of it the workers see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tailor.experiments.datasets.images import Dataset, Images
from tailor.experiments.datasets.splits import cache, split
from tailor.experiments.errors import InputError
from tailor.search.study.spec import DataPlan

RNG = np.random.default_rng(0)


def dataset(count: int = 1000, classes: int = 4, test: bool = False) -> Dataset:
    labels = np.minimum(RNG.geometric(0.4, count) - 1, classes - 1).astype("int64")  # uneven on purpose
    images = np.arange(count, dtype="uint32").view("uint8").reshape(count, 2, 2, 1)  # each image tells its own row
    part = Images(images, labels)
    return Dataset("made", part, part.take(np.arange(10)) if test else None, tuple("abcd"[:classes]))


def test_splits_are_disjoint_whole_stratified_and_seeded() -> None:
    made = dataset()
    cut = split(made, DataPlan({"val": 100, "holdout": 0.1, "test": 50}, seed=3))
    assert cut.sizes == {"train": 750, "val": 100, "holdout": 100, "test": 50}
    rows = np.concatenate([getattr(cut, n).images.reshape(-1, 4).view("uint32").ravel() for n in cut.sizes])
    assert sorted(rows) == list(range(1000))
    share = np.bincount(made.pool.labels, minlength=4) / 1000
    for name, size in cut.sizes.items():
        counts = np.bincount(getattr(cut, name).labels, minlength=4)
        assert abs(counts - share * size).max() <= 2, name
    assert split(made, DataPlan({"val": 100, "holdout": 0.1, "test": 50}, seed=3)).digest == cut.digest
    assert split(made, DataPlan({"val": 100, "holdout": 0.1, "test": 50}, seed=4)).digest != cut.digest


def test_a_class_that_only_one_image_has_stays_in_training() -> None:
    images = Images(np.zeros((101, 2, 2, 1), "uint8"), np.array([0] * 60 + [1] * 40 + [2]))
    cut = split(Dataset("rare", images, None, ("a", "b", "c")), DataPlan())
    assert 2 in cut.train.labels and 2 not in cut.val.labels
    assert cut.notes == tuple(f"no image in {part} of 1 of 3 classes: c" for part in ("val", "holdout", "test"))
    assert split(dataset(), DataPlan()).notes == ()


@pytest.mark.parametrize("size", [0.0001, 1000, 0.999])
def test_a_split_that_would_be_empty_or_leave_none_is_refused(size: float) -> None:
    with pytest.raises(InputError, match="need at least one"):
        split(dataset(), DataPlan({"val": size}))


def test_a_test_set_that_came_with_the_data_is_not_cut_again() -> None:
    assert split(dataset(test=True), DataPlan()).sizes["test"] == 10
    with pytest.raises(InputError, match="has its own test set"):
        split(dataset(test=True), DataPlan({"test": 100}))


def test_the_cache_holds_train_and_val_alone(tmp_path: Path) -> None:
    cut = split(dataset(), DataPlan())
    handle = cache(cut, tmp_path)
    assert cache(cut, tmp_path) == handle
    names = sorted(path.name for path in Path(handle.folder).iterdir())
    assert names == ["train_images.npy", "train_labels.npy", "val_images.npy", "val_labels.npy"]
    assert (np.load(Path(handle.folder) / "val_images.npy") == cut.val.images).all()
    assert [p.name for p in tmp_path.iterdir()] == [cut.digest]


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: np.save(path, np.load(path)[1:]),
        lambda path: np.save(path, np.load(path).view("int8")),
    ],
    ids=["missing", "empty", "short", "other-shape", "other-type"],
)
def test_a_cached_file_that_is_not_whole_is_written_again(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    cut = split(dataset(), DataPlan())
    path = Path(cache(cut, tmp_path).folder) / "train_images.npy"
    whole = path.read_bytes()
    damage(path)
    cache(cut, tmp_path)
    assert path.read_bytes() == whole
    assert [p.name for p in tmp_path.iterdir()] == [cut.digest]
