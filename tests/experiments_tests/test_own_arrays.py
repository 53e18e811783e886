"""Arrays of your own, npz:FILE: read whole, or refused with the way out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tailor.experiments.datasets.catalog import open_dataset
from tailor.experiments.datasets.images import _advice
from tailor.experiments.errors import InputError


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
        (
            {"images": np.zeros((9, 4, 4), "uint8"), "labels": np.arange(9), "class_names": ["a", "b"]},
            "class_names has 2 names, for the labels 0 to 1, and there are labels up to 8; give each label a name",
        ),
        ({"images": np.zeros((9, 4, 4), "uint8"), "labels": np.arange(9) * 10**12}, "a class needs several images"),
        ({"images": np.zeros((9, 4, 4), "uint8"), "labels": np.zeros(9, int)}, "at least two classes"),
        ({"pictures": np.zeros(3)}, "expected arrays x_train and y_train"),
        ({"images": np.array([{}], object), "labels": np.zeros(1)}, "images holds Python objects, which only a pickle"),
        (
            {
                "images": np.zeros((9, 4, 4), "uint8"),
                "labels": np.arange(9) % 3,
                "class_names": np.array(["a", "b", "c"], object),
            },
            "class_names holds Python objects, which only a pickle can bring back; save class_names.astype(str).",
        ),
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


def test_a_name_that_begins_with_a_tilde_is_a_file_if_no_user_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("~nobody-has-this.npz", images=np.zeros((9, 4, 4), "uint8"), labels=np.arange(9) % 3)
    assert len(open_dataset("npz:~nobody-has-this.npz", None).pool) == 9


def test_npz_class_names_as_bytes(tmp_path: Path) -> None:
    arrays = {"images": np.zeros((6, 4, 4), "uint8"), "labels": np.arange(6) % 2}
    np.savez(tmp_path / "set.npz", **arrays, class_names=np.array([b"cat", b"dog"]))
    assert open_dataset(f"npz:{tmp_path / 'set.npz'}", None).class_names == ("cat", "dog")
    np.savez(tmp_path / "set.npz", **arrays, class_names=np.array(["cat", "cat"]))
    with pytest.raises(InputError, match="one row of different names"):
        open_dataset(f"npz:{tmp_path / 'set.npz'}", None)


X = np.full((8, 4, 4), 200, "uint8")


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ((1001, 2005, 30117, 99999), ("1001", "2005", "30117", "99999")),
        ((1, 2, 3, 4), tuple("1234")),
        ((0, 1, 3, 4), tuple("0134")),
    ],
)
def test_labels_with_gaps_are_the_classes_of_their_values(
    tmp_path: Path, values: tuple[int, ...], names: tuple[str, ...]
) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, x_train=X, y_train=np.array(values * 2), x_test=X[:2], y_test=np.array(values[2:]))
    dataset = open_dataset(f"npz:{path}", None)
    assert dataset.class_names == names and dataset.pool.labels.tolist() == [0, 1, 2, 3] * 2
    assert dataset.test is not None and dataset.test.labels.tolist() == [2, 3]
    np.savez(path, x_train=X, y_train=np.array(values * 2), x_test=X[:2], y_test=np.array([values[0], 5]))
    with pytest.raises(InputError, match=r"\(test\): labels that no training image has: 5"):
        open_dataset(f"npz:{path}", None)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("a", "b", "c"), r"\(test\): labels that no training image has: c\."),
        (("a\n", "b", "c"), r"the class 'a\\n' has a letter that cannot be written, such as a line break; rename it"),
        (("a", "b\u2028", "c"), "has a letter that cannot be written"),
    ],
)
def test_class_names_that_cannot_be_learned_or_written_are_refused(tmp_path: Path, names: tuple[str, ...], says: str) -> None:
    path, y = tmp_path / "set.npz", np.arange(8) % 2
    np.savez(path, x_train=X, y_train=y, x_test=X[:3], y_test=np.array([0, 1, 2]), class_names=np.array(names))
    with pytest.raises(InputError, match=says):
        open_dataset(f"npz:{path}", None)


def test_an_npz_with_validation_arrays_and_what_of_it_is_not_read(tmp_path: Path) -> None:
    path, y = tmp_path / "set.npz", np.arange(8) % 2
    np.savez(path, x_train=X, y_train=y, x_val=X[:4], y_val=y[:4], groups=y)
    dataset = open_dataset(f"npz:{path}", None)
    assert dataset.val is not None and len(dataset.val) == 4
    assert dataset.notes == ("not read: the arrays groups",)
    for arrays, says in (
        ({"x_val": X}, "there is no y_val"),
        ({"x_test": np.zeros((8, 5, 5), "uint8"), "y_test": y}, r"\(test\): its images are \(5, 5, 1\)"),
    ):
        np.savez(path, x_train=X, y_train=y, **arrays)
        with pytest.raises(InputError, match=says):
            open_dataset(f"npz:{path}", None)


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (np.zeros((8, 4, 4)), r"from 0 to 0; convert them: \(x \* 255\)"),
        (np.full((8, 4, 4), 255.0), r"from 255 to 255; convert them: x\.round"),
        (np.full((8, 4, 4), -0.5), r"from -0\.5 to -0\.5; scale them to 0…255"),
        (np.full((8, 4, 4), np.nan), "remove what is no number"),
        (np.full((8, 4, 4), 7, "int64"), r"from 7 to 7; convert them: x\.astype"),
        (np.full((8, 4, 4), 4095, "uint16"), "scale them to 0…255"),
        (np.ones((8, 4, 4), bool), r"x\.astype\('uint8'\) \* 255"),
        (np.zeros((8, 20)), r"a table\? Tailor classifies images"),
        (np.array(["a text"] * 8), "no numbers; Tailor classifies images"),
    ],
)
def test_what_is_advised_fits_what_came(tmp_path: Path, images: np.ndarray, says: str) -> None:
    np.savez(tmp_path / "set.npz", images=images, labels=np.arange(8) % 2)
    with pytest.raises(InputError, match=says):
        open_dataset(f"npz:{tmp_path / 'set.npz'}", None)


def test_what_is_advised_for_a_wide_range_overflows_no_type() -> None:
    x = np.array([-20000, 10000, 20000], "int16").reshape(3, 1, 1)
    advice = _advice(x).partition("scale them to 0…255: ")[2]
    assert eval(advice, {"np": np, "x": x}).ravel().tolist() == [0, 191, 255]


@pytest.mark.parametrize(
    ("content", "kind"), [(b"PAR1....", "Parquet"), (b"\x80\x04.", "a pickle"), (b"a,b\n1,2\n", "something else")]
)
def test_another_format_is_named_once_and_no_pickle_is_advised(tmp_path: Path, content: bytes, kind: str) -> None:
    (tmp_path / "file.parquet").write_bytes(content)
    with pytest.raises(InputError, match=rf"it is {kind}; save the arrays with numpy\.savez") as error:
        open_dataset(f"npz:{tmp_path / 'file.parquet'}", None)
    assert "pickle=" not in str(error.value) and str(error.value).count("cannot be read as .npz") == 1
    with pytest.raises(InputError, match="is a folder; a folder of images is folder:"):
        open_dataset(f"npz:{tmp_path}", None)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (np.arange(8.0) % 2, r"float64 \(8,\); if they are whole, convert them: y\.astype"),
        (np.arange(8) % 2 == 0, r"bool \(8,\); convert them: y\.astype"),
        (np.array(["cat", "dog"] * 4), r"numpy\.unique\(y, return_inverse=True\)"),
        (np.arange(8)[:, None] % 2, r"int64 \(8, 1\); use y\.ravel"),
        ((np.arange(8) % 2)[:, None, None], r"use y\.ravel\(\)"),  # which numpy.unique would leave in its shape
        (np.eye(2)[np.arange(8) % 2], r"one-hot rows become labels by y\.argmax"),
    ],
)
def test_labels_that_are_no_whole_numbers_are_refused_with_the_way_out(tmp_path: Path, labels: np.ndarray, says: str) -> None:
    np.savez(tmp_path / "set.npz", images=X, labels=labels)
    with pytest.raises(InputError, match=says):
        open_dataset(f"npz:{tmp_path / 'set.npz'}", None)


def test_nearly_black_images_of_8_bits_are_named(tmp_path: Path) -> None:
    """Images scaled to 0…1 before they became uint8, or of 4 bits: a model that divides by 255 sees nearly nothing."""
    path, y = tmp_path / "set.npz", np.arange(8) % 2
    for dark, where in (("x_train", ""), ("x_test", " of test")):
        arrays = {"x_train": X, "x_test": X} | {dark: X // 16}
        np.savez(path, **arrays, y_train=y, y_test=y)
        said = f"the images{where} are nearly black: their brightest pixel is 12 of 255; if that is their white, scale them"
        assert open_dataset(f"npz:{path}", None).notes == (said,)
    np.savez(path, x_train=X // 4, y_train=y)
    assert open_dataset(f"npz:{path}", None).notes == ()
