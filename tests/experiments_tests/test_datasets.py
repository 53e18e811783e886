"""Data sets: every source in one shape, and what is refused before it can hurt."""

from __future__ import annotations

import gzip
import json
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tailor.experiments.datasets import catalog, idx
from tailor.experiments.datasets.catalog import MD5S, open_dataset
from tailor.experiments.errors import InputError
from tailor.search.errors import StudyError

RNG = np.random.default_rng(0)


def write_idx(path: Path, array: np.ndarray, shape: tuple[int, ...] | None = None, magic: int = 0x08) -> None:
    shape = shape or array.shape
    data = struct.pack(f">BBBB{len(shape)}I", 0, 0, magic, len(shape), *shape) + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.fixture
def idx_folder(tmp_path: Path) -> Path:
    for part, count in (("train", 60), ("t10k", 20)):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", RNG.integers(0, 256, (count, 5, 4), dtype="uint8"))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", np.arange(count, dtype="uint8") % 3)
    return tmp_path


def test_digits_are_scaled_up_to_the_one_shape() -> None:
    digits = open_dataset("digits", None)
    assert digits.pool.images.shape == (1797, 8, 8, 1)
    assert (digits.pool.images.dtype, digits.pool.images.max(), digits.pool.labels.dtype) == (np.uint8, 255, np.int64)
    assert digits.test is None


def test_idx_files_gzipped_or_not(idx_folder: Path) -> None:
    dataset = open_dataset(f"idx:{idx_folder}", None)
    assert dataset.pool.images.shape == (60, 5, 4, 1)
    assert dataset.test is not None and len(dataset.test) == 20
    assert dataset.class_names == ("0", "1", "2")


@pytest.mark.parametrize(
    ("shape", "magic", "says"),
    [
        ((60, 5, 4), 0x0D, "expected an IDX file of unsigned bytes"),
        ((61, 5, 4), 0x08, "the header promises 1,220 bytes"),
        ((59, 5, 4), 0x08, "the file holds more"),
        ((2**31, 2**31, 2**31), 0x08, "more than the"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_wrong_idx_file_is_refused_before_it_is_unpacked(
    tmp_path: Path, shape: tuple[int, ...], magic: int, says: str, suffix: str
) -> None:
    path = tmp_path / f"images{suffix}"
    write_idx(path, np.zeros((60, 5, 4), "uint8"), shape, magic)
    with pytest.raises(InputError) as error:
        idx.read_idx(path)
    assert says in str(error.value) or (not suffix and "the file holds 1,200" in str(error.value))


def test_a_gzip_bomb_is_read_no_further_than_its_header_promises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.gz"
    write_idx(path, np.zeros(200 << 20, "uint8"), (10, 5, 4))
    assert path.stat().st_size < 1 << 20
    read = []
    original = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, size=-1: read.append(size) or original(self, size))
    with pytest.raises(InputError, match="the file holds more"):
        idx.read_idx(path)
    assert max(read) == 201 and min(read) > 0


def test_a_header_that_promises_gigabytes_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "promise.gz"
    write_idx(path, np.zeros(100, "uint8"), (15 << 10, 1 << 10, 1 << 10))
    tracemalloc.start()
    with pytest.raises(InputError, match="the file holds only 100"):
        idx.read_idx(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 << 20


def test_a_truncated_gzip_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    write_idx(path, RNG.integers(0, 256, (60, 5, 4), dtype="uint8"))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="fetch"):
        idx.read_idx(path)


def test_a_published_set_with_another_content_is_refused(idx_folder: Path) -> None:
    for path in list(idx_folder.iterdir()):
        path.rename(path.with_name(path.name))
    with pytest.raises(InputError, match="its checksum is not the published one"):
        open_dataset("fashion-mnist", idx_folder)
    assert len(MD5S["mnist"]) == len(MD5S["fashion-mnist"]) == 4


def test_a_published_set_without_its_test_files_is_another_data_set(idx_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download that was cut off between the files, say: a test set cut from the training images would stand for its own."""
    (idx_folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match="lacks t10k-labels-idx1-ubyte; fetch the missing files"):
        open_dataset("fashion-mnist", idx_folder)
    assert open_dataset(f"idx:{idx_folder}", None).test is None
    home = idx_folder / ".keras" / "datasets" / "fashion-mnist"
    home.mkdir(parents=True)
    for path in idx_folder.glob("*-ubyte*"):
        path.rename(home / path.name)
    monkeypatch.setenv("HOME", str(idx_folder))
    fetched: list[str] = []
    monkeypatch.setattr(catalog, "_download", fetched.append)
    with pytest.raises(InputError, match="was damaged"):  # of what lies there; it is fetched anew first
        open_dataset("fashion-mnist", None)
    assert fetched == ["fashion-mnist"]


def test_only_a_folders_images_are_resized() -> None:
    assert open_dataset("digits", None, (8, 8)).pool.images.shape[1:3] == (8, 8)
    with pytest.raises(InputError, match="only a folder's images are resized; those of digits are \\[8, 8\\]; remove it"):
        open_dataset("digits", None, (28, 28))


KERAS_HOMES = """
import importlib, json, os, sys
from keras.src.backend import config
for home in json.loads(sys.argv[1]):
    os.environ.pop("KERAS_HOME", None)
    os.environ.update(home)
    print(importlib.reload(config).keras_home())
"""


def test_downloads_lie_where_keras_keeps_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    homes = [{"HOME": str(tmp_path / "file" / "home")}, {"HOME": str(tmp_path), "KERAS_HOME": str(tmp_path / "elsewhere")}]
    asked = [sys.executable, "-c", KERAS_HOMES, json.dumps(homes)]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    for home, found in zip(homes, said.splitlines(), strict=True):
        monkeypatch.delenv("KERAS_HOME", raising=False)
        for name, value in home.items():
            monkeypatch.setenv(name, value)
        assert catalog._keras_home() == Path(found) / "datasets"


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_a_download_that_is_not_the_published_file_is_deleted(
    tmp_path: Path, idx_folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    place = tmp_path / ".keras" / "datasets"
    place.mkdir(parents=True)
    if name == "mnist":
        np.savez(place / "mnist.npz", x_train=np.zeros((9, 4, 4), "uint8"), y_train=np.arange(9))
    else:
        (place / name).mkdir()
        for path in idx_folder.glob("*-ubyte*"):
            path.rename(place / name / path.name)
    with pytest.raises(InputError, match=rf"{name}: the download in .* was damaged; Tailor deleted it"):
        open_dataset(name, None)
    assert not [path for path in place.rglob("*") if path.is_file()]


def test_the_real_fashion_mnist_has_its_published_checksums(data_dir: Path) -> None:
    dataset = open_dataset("fashion-mnist", data_dir)
    assert dataset.test is not None
    assert (dataset.pool.images.shape, dataset.test.images.shape) == ((60000, 28, 28, 1), (10000, 28, 28, 1))
    assert dataset.class_names[9] == "Ankle boot"
    assert np.bincount(dataset.pool.labels).tolist() == [6000] * 10


@pytest.mark.parametrize("uri", ["fashon-mnist", "csv:x", "idx:", "folder:/no/such/folder", "idx:/no/such/folder", "npz:/no.npz"])
def test_an_unknown_data_set_is_an_input_error(uri: str) -> None:
    with pytest.raises((InputError, StudyError)):
        open_dataset(uri, None)


def save_images(root: Path, *folders: str) -> str:
    for folder in folders:
        (root / folder).mkdir(parents=True)
        Image.new("L", (4, 4), 100).save(root / folder / "1.png")
    return f"folder:{root}"


@pytest.mark.parametrize(
    "folders", [("train/a", "train/b", "dev/a"), ("train_set/a", "train_set/b", "test_set/a"), ("val/a", "test/b")]
)
def test_splits_are_no_classes_whatever_they_are_called(tmp_path: Path, folders: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="rename the folders above them to train, val and test"):
        open_dataset(save_images(tmp_path, *folders), None)


def test_words_of_splits_may_be_classes(tmp_path: Path) -> None:
    assert open_dataset(save_images(tmp_path, "train station/a", "tram/b"), None).class_names == ("train station", "tram")


def test_a_class_whose_link_leads_nowhere_is_refused(tmp_path: Path) -> None:
    uri = save_images(tmp_path, "a", "b")
    (tmp_path / "c").symlink_to(tmp_path / "b")
    assert open_dataset(uri, None).class_names == ("a", "b", "c")
    (tmp_path / "d").symlink_to(tmp_path / "away")
    with pytest.raises(InputError, match="d: the link leads nowhere"):
        open_dataset(uri, None)
