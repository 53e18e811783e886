"""Data of one's own: folders of images and .npz files, and what is refused of them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from tailor.experiments.datasets import folder
from tailor.experiments.datasets.catalog import open_dataset
from tailor.experiments.datasets.folder import read_image
from tailor.experiments.errors import InputError

RNG = np.random.default_rng(0)


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


def test_what_is_transparent_lies_on_white_and_hidden_files_are_none(tmp_path: Path) -> None:
    """Black ink on a transparent ground would be black on black."""
    make_folder(tmp_path, [(6, 6)] * 3, "LA")
    for name in ("cat", "dog"):
        Image.new("LA", (6, 6), (0, 0)).save(tmp_path / name / "0.png")
        Image.new("LA", (6, 6), (0, 255)).save(tmp_path / name / "1.png")
        (tmp_path / name / "._0.png").write_bytes(b"what macOS leaves beside a file")
    images = open_dataset(f"folder:{tmp_path}", None).pool.images
    assert len(images) == 6
    assert (images[0].min(), images[1].max()) == (255, 0)


def test_every_turn_is_pillows_own() -> None:
    image = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    for orientation, turn in folder.TURNS.items():
        image.getexif()[ExifTags.Base.Orientation] = orientation
        np.testing.assert_array_equal(image.transpose(turn), ImageOps.exif_transpose(image))


def test_a_photograph_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    make_folder(tmp_path, [(8, 6)], "L")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    pixels = np.zeros((6, 8), np.uint8)
    pixels[:, :4] = 255
    for name in ("cat", "dog"):
        (tmp_path / name / "0.png").unlink()
        Image.fromarray(pixels).save(tmp_path / name / "0.jpg", quality=95, exif=exif)
    images = open_dataset(f"folder:{tmp_path}", None).pool.images
    assert images.shape[1:] == (8, 6, 1)  # a quarter turn: what was left is above
    assert images[0, :3].min() > 200 and images[0, 5:].max() < 50


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
