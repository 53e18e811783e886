"""Data sets: every source in one shape, and what is refused before it can hurt."""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.datasets import catalog, idx
from experiments.datasets.catalog import MD5S, open_dataset
from experiments.datasets.folder import read_image
from experiments.datasets.images import Dataset, Images
from experiments.datasets.splits import cache, split
from experiments.errors import InputError
from search.errors import StudyError
from search.spec import DataPlan

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
    with pytest.raises(InputError, match="lacks t10k-labels-idx1-ubyte; fetch what is missing"):
        open_dataset("fashion-mnist", idx_folder)
    assert open_dataset(f"idx:{idx_folder}", None).test is None
    home = idx_folder / ".keras" / "datasets" / "fashion-mnist"
    home.mkdir(parents=True)
    for path in idx_folder.glob("*-ubyte*"):
        path.rename(home / path.name)
    monkeypatch.setenv("HOME", str(idx_folder))
    fetched: list[str] = []
    monkeypatch.setattr(catalog, "_download", fetched.append)
    with pytest.raises(InputError, match="the published one"):  # of what lies there; it is fetched anew first
        open_dataset("fashion-mnist", None)
    assert fetched == ["fashion-mnist"]


def test_only_a_folders_images_are_resized() -> None:
    assert open_dataset("digits", None, (8, 8)).pool.images.shape[1:3] == (8, 8)
    with pytest.raises(InputError, match="only a folder's images are resized; those of digits are 8 × 8"):
        open_dataset("digits", None, (28, 28))


def test_downloads_lie_where_keras_keeps_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = "from keras.src.backend import config; print(config.keras_home())"
    (tmp_path / "file").touch()
    impossible = str(tmp_path / "file" / "home")
    for home, named in ((impossible, None), (str(tmp_path), str(tmp_path / "elsewhere"))):
        monkeypatch.setenv("HOME", home)
        monkeypatch.delenv("KERAS_HOME", raising=False)
        if named:
            monkeypatch.setenv("KERAS_HOME", named)
        said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
        assert catalog._keras_home() == Path(said) / "datasets"


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
    with pytest.raises(InputError, match="the published one"):
        open_dataset(name, None)
    assert not [path for path in place.rglob("*") if path.is_file()]


def test_the_real_fashion_mnist_has_its_published_checksums(data_dir: Path) -> None:
    dataset = open_dataset("fashion-mnist", data_dir)
    assert dataset.test is not None
    assert (dataset.pool.images.shape, dataset.test.images.shape) == ((60000, 28, 28, 1), (10000, 28, 28, 1))
    assert dataset.class_names[9] == "Ankle boot"
    assert np.bincount(dataset.pool.labels).tolist() == [6000] * 10


def make_folder(root: Path, sizes: list[tuple[int, int]], mode: str = "RGB") -> None:
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for i, (height, width) in enumerate(sizes):
            Image.new(mode, (width, height), i).save(root / name / f"{i}.png")


def test_a_folder_of_images_a_class(tmp_path: Path) -> None:
    make_folder(tmp_path, [(6, 8)] * 5)
    dataset = open_dataset(f"folder:{tmp_path}", None)
    assert dataset.pool.images.shape == (10, 6, 8, 3)
    assert dataset.class_names == ("cat", "dog")


def test_a_folder_with_a_test_part_and_grey_images(tmp_path: Path) -> None:
    make_folder(tmp_path / "train", [(6, 6)] * 5, "L")
    make_folder(tmp_path / "test", [(6, 6)] * 2, "L")
    dataset = open_dataset(f"folder:{tmp_path}", None)
    assert dataset.pool.images.shape == (10, 6, 6, 1)
    assert dataset.test is not None and len(dataset.test) == 4


def test_one_colour_image_anywhere_makes_a_set_of_colour_images(tmp_path: Path) -> None:
    make_folder(tmp_path, [(6, 6)] * 3, "L")
    Image.new("RGB", (6, 6), (250, 0, 0)).save(tmp_path / "dog" / "9.png")
    dataset = open_dataset(f"folder:{tmp_path}", None)
    assert dataset.pool.images[-1, 0, 0].tolist() == [250, 0, 0]


def test_sixteen_bits_of_grey_are_scaled_and_32_refused(tmp_path: Path) -> None:
    """Pillow by itself cuts off what is above 255: nearly all of such an image is white."""
    make_folder(tmp_path, [(6, 6)], "I;16")
    for name, value in (("cat", 0x1000), ("dog", 0x8000)):
        Image.fromarray(np.full((6, 6), value, np.uint16)).save(tmp_path / name / "0.png")
    dataset = open_dataset(f"folder:{tmp_path}", None)
    assert dataset.pool.images.shape[-1] == 1
    assert sorted(set(dataset.pool.images.ravel().tolist())) == [0x10, 0x80]
    Image.new("F", (6, 6), 0.5).save(tmp_path / "dog" / "0.tif")
    with pytest.raises(InputError, match=r"0\.tif: its pixels are 32-bit numbers"):
        read_image(tmp_path / "dog" / "0.tif", (6, 6), 1)


def test_images_of_several_sizes_need_one_to_be_named(tmp_path: Path) -> None:
    make_folder(tmp_path, [(6, 8), (7, 9)])
    with pytest.raises(InputError, match=r"\[data\] image_size = \[HEIGHT, WIDTH\]"):
        open_dataset(f"folder:{tmp_path}", None)
    assert open_dataset(f"folder:{tmp_path}", None, (10, 12)).pool.images.shape == (4, 10, 12, 3)


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    make_folder(tmp_path, [(6, 8)] * 2)
    (tmp_path / "cat" / "broken.png").write_text("no picture")
    with pytest.raises(InputError, match=r"broken\.png: not an image"):
        open_dataset(f"folder:{tmp_path}", None)
    with pytest.raises(InputError, match="there is no such file"):
        read_image(tmp_path / "none.png", (8, 8), 1)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A grey picture of 8×8 with further chunks before its pixels."""
    head = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 8 * 9)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    framed = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    path = tmp_path / "odd.png"
    path.write_bytes(png())
    assert read_image(path, (8, 8), 1).shape == (8, 8, 1)
    text_bomb = b"comment\0\0" + zlib.compress(bytes(64 << 20))
    whole = png()
    for damaged in (png((b"zTXt", text_bomb)), whole[:-30], whole[:45] + b"\0" * 8 + whole[53:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"odd\.png: (not an image|the image is damaged)"):
            read_image(path, (8, 8), 1)


def test_npz_with_class_names(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, images=np.zeros((9, 4, 4), "uint8"), labels=np.arange(9) % 3, class_names=["a", "b", "c"])
    dataset = open_dataset(f"npz:{path}", None)
    assert dataset.class_names == ("a", "b", "c") and dataset.pool.images.shape == (9, 4, 4, 1)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"images": np.zeros((9, 4, 4)), "labels": np.arange(9) % 3}, "expected images of uint8"),
        ({"images": np.zeros((9, 4, 4, 2), "uint8"), "labels": np.arange(9) % 3}, "expected images shaped"),
        ({"images": np.zeros((9, 4, 4), "uint8"), "labels": np.arange(8) % 3}, "9 images but 8 labels"),
        ({"images": np.zeros((9, 4, 4), "uint8"), "labels": np.arange(9) - 1}, "labels out of range"),
        ({"images": np.zeros((9, 4, 4), "uint8"), "labels": np.arange(9), "class_names": ["a", "b"]}, "labels out of range"),
        ({"images": np.zeros((9, 4, 4), "uint8"), "labels": np.arange(9) * 10**12}, "labels out of range"),
        ({"images": np.zeros((9, 4, 4), "uint8"), "labels": np.zeros(9, int)}, "at least two classes"),
        ({"pictures": np.zeros(3)}, "expected arrays x_train and y_train"),
        ({"images": np.array([{}], object), "labels": np.zeros(1)}, "without pickles"),
    ],
)
def test_a_wrong_npz_is_refused(tmp_path: Path, arrays: dict, says: str) -> None:
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(InputError) as error:
        open_dataset(f"npz:{tmp_path / 'set.npz'}", None)
    assert says in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", "array"])
def test_a_file_that_is_no_npz_is_refused_in_one_line(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "set.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    with pytest.raises(InputError, match=r"cannot be read as \.npz"):
        open_dataset(f"npz:{path}", None)


def test_npz_class_names_as_bytes(tmp_path: Path) -> None:
    arrays = {"images": np.zeros((6, 4, 4), "uint8"), "labels": np.arange(6) % 2}
    np.savez(tmp_path / "set.npz", **arrays, class_names=np.array([b"cat", b"dog"]))
    assert open_dataset(f"npz:{tmp_path / 'set.npz'}", None).class_names == ("cat", "dog")
    np.savez(tmp_path / "set.npz", **arrays, class_names=np.array(["cat", "cat"]))
    with pytest.raises(InputError, match="one row of different names"):
        open_dataset(f"npz:{tmp_path / 'set.npz'}", None)


@pytest.mark.parametrize("uri", ["fashon-mnist", "csv:x", "idx:", "folder:/no/such/folder", "idx:/no/such/folder", "npz:/no.npz"])
def test_an_unknown_data_set_is_an_input_error(uri: str) -> None:
    with pytest.raises((InputError, StudyError)):
        open_dataset(uri, None)


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


@pytest.mark.parametrize("size", [0.0001, 1000, 0.999])
def test_a_split_that_would_be_empty_or_leave_none_is_refused(size: float) -> None:
    with pytest.raises(InputError, match="need at least one"):
        split(dataset(), DataPlan({"val": size}))


def test_a_test_set_that_came_with_the_data_is_not_cut_again() -> None:
    assert split(dataset(test=True), DataPlan()).sizes["test"] == 10
    with pytest.raises(InputError, match="comes with a test set of its own"):
        split(dataset(test=True), DataPlan({"test": 100}))


def test_the_cache_holds_train_and_val_alone(tmp_path: Path) -> None:
    cut = split(dataset(), DataPlan())
    handle = cache(cut, tmp_path)
    assert cache(cut, tmp_path) == handle
    names = sorted(path.name for path in Path(handle.folder).iterdir())
    assert names == ["train_images.npy", "train_labels.npy", "val_images.npy", "val_labels.npy"]
    assert (np.load(Path(handle.folder) / "val_images.npy") == cut.val.images).all()
    assert [p.name for p in tmp_path.iterdir()] == [cut.digest]
