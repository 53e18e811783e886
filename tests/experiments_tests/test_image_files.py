"""Single image files of your own: turned, scaled and brought to their colours, or refused by name."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from image_folders import frame_png, make_folder, tree
from PIL import ExifTags, Image, ImageOps, features

from tailor.experiments.datasets import folder
from tailor.experiments.datasets.catalog import open_dataset
from tailor.experiments.datasets.folder import read_header, read_image
from tailor.experiments.datasets.layout import find_pattern
from tailor.experiments.errors import InputError


def test_every_turn_is_pillows_own() -> None:
    image = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    for orientation, turn in folder.TURNS.items():
        image.getexif()[ExifTags.Base.Orientation] = orientation
        np.testing.assert_array_equal(image.transpose(turn), ImageOps.exif_transpose(image))


@pytest.mark.parametrize("ending", ["jpg", "webp", "avif"])
def test_a_photograph_is_turned_as_its_camera_says(tmp_path: Path, ending: str) -> None:
    if not features.check(ending):
        pytest.skip(f"this Pillow is built without {ending}")
    make_folder(tmp_path, [(8, 6)], "L")
    exif = Image.Exif()
    pixels = np.zeros((6, 8), np.uint8)
    pixels[:, :4] = 255
    for name in ("cat", "dog"):
        (tmp_path / name / "0.png").unlink()
        exif[ExifTags.Base.Orientation] = 6  # Pillow takes it out as it writes an AVIF
        Image.fromarray(pixels).save(tmp_path / name / f"0.{ending}", quality=95, exif=exif)
    images = open_dataset(f"folder:{tmp_path}", None).pool.images
    assert images.shape[1:3] == (8, 6)  # a quarter turn: what was left is above
    assert images[0, :3].min() > 200 and images[0, 5:].max() < 50


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_tiff_is_turned_as_its_camera_says(tmp_path: Path, compression: str | None) -> None:
    pixels, exif, path = np.arange(48, dtype=np.uint8).reshape(6, 8), Image.Exif(), tmp_path / "a.tiff"
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(pixels).save(path, exif=exif, compression=compression)
    assert read_header(path).size == (8, 6)
    np.testing.assert_array_equal(read_image(path, (8, 6), 1)[..., 0], np.rot90(pixels, -1))


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


def test_the_transparent_value_of_sixteen_bits_becomes_white_and_its_neighbour_stays(tmp_path: Path) -> None:
    values = np.full((4, 4), 0x3000, np.uint16)
    values[0], values[1] = 0x1234, 0x1235
    Image.fromarray(values).save(tmp_path / "1.png", transparency=0x1234)
    assert "transparent parts filled with white" in read_header(tmp_path / "1.png").list_changes((4, 4), 1)
    assert read_image(tmp_path / "1.png", (4, 4), 1)[:, 0, 0].tolist() == [255, 0x12, 0x30, 0x30]


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    make_folder(tmp_path, [(6, 8)] * 2)
    (tmp_path / "cat" / "broken.png").write_text("no picture")
    with pytest.raises(InputError, match=r"broken\.png: not an image"):
        open_dataset(f"folder:{tmp_path}", None)
    with pytest.raises(InputError, match="there is no such file"):
        read_image(tmp_path / "none.png", (8, 8), 1)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A grey picture of 8×8 with further chunks before its pixels."""
    return frame_png(8, 8, 0, b"\0" * 8 * 9, *chunks)


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


@pytest.mark.parametrize(("bits", "says"), [(8, "x >> 0"), (10, "x >> 2"), (12, "x >> 4"), (14, "x >> 6")])
def test_few_bits_in_files_of_sixteen_are_refused(tmp_path: Path, bits: int, says: str) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.full((6, 6), 2**bits - 1, np.uint16)).save(tmp_path / name / "0.png")
    with pytest.raises(InputError, match=rf"its images of 16 bits \(2\) use {bits} of them at most") as error:
        open_dataset(f"folder:{tmp_path}", None)
    assert says in str(error.value)


def rgb16(value: int) -> bytes:
    """A PNG of 4×4 in colours of 16 bits."""
    return frame_png(4, 16, 2, (b"\0" + struct.pack(">H", value) * 12) * 4)


def test_few_bits_in_colours_of_sixteen_are_refused_too(tmp_path: Path) -> None:
    uri = tree(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "b" / "1.png").write_bytes(rgb16(0xFFF))
    with pytest.raises(InputError, match=r"its images of 16 bits \(1\) use 12 of them"):
        open_dataset(uri, None)
    (tmp_path / "b" / "1.png").write_bytes(rgb16(0xFFFF))
    assert open_dataset(uri, None).pool.images.max() == 255


@pytest.mark.parametrize(
    ("mode", "colour", "pixel"),
    [("P", 7, [17, 34, 51]), ("CMYK", (0, 255, 255, 0), [255, 0, 0]), ("RGBA", (9, 9, 9, 0), [255] * 3), ("1", 1, [255] * 3)],
)
def test_every_mode_becomes_its_colours(tmp_path: Path, mode: str, colour: object, pixel: list[int]) -> None:
    image = Image.new(mode, (4, 4), colour)
    if mode == "P":
        image.putpalette([0] * 21 + [17, 34, 51])
    image.save(tmp_path / "1.tif")
    assert read_image(tmp_path / "1.tif", (4, 4), 3)[0, 0].tolist() == pixel


def test_an_animations_first_frame_is_read_and_that_is_said(tmp_path: Path) -> None:
    uri = tree(tmp_path, "a/1.png", "b/1.png")
    frames = [Image.new("L", (4, 4), value) for value in (30, 90)]
    frames[0].save(tmp_path / "a" / "2.gif", save_all=True, append_images=frames[1:])
    dataset = open_dataset(uri, None)
    assert dataset.pool.images[1].max() == 30
    assert dataset.notes == ("images with several frames or pages: 1; Tailor reads the first of each",)


def test_what_another_program_would_draw_is_no_image(tmp_path: Path) -> None:
    """Pillow hands PostScript to Ghostscript, whatever the file's name."""
    (tmp_path / "1.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n")
    with pytest.raises(InputError, match="not an image"):
        read_image(tmp_path / "1.png", (4, 4), 1)


@pytest.mark.parametrize(
    ("files", "pattern"), [(["a.JPG"], ", such as *.JPG"), (["x/b.png"], ", such as */*.png"), (["a.txt"], "")]
)
def test_a_folder_in_place_of_an_image_is_answered_with_the_images_in_it(tmp_path: Path, files: list[str], pattern: str) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    assert find_pattern(tmp_path).replace(f"{tmp_path}/", "") == pattern
    with pytest.raises(InputError, match="expected an image, got a folder; name its files"):
        read_header(tmp_path)


def test_what_pillow_fails_on_is_no_image(tmp_path: Path) -> None:
    """Its reader of SPIDER's format asks for an attribute that a file which claims to be part of a stack lacks."""
    floats = [0.0] * 27
    for place, value in {2: 4, 5: 1, 12: 4, 13: 1, 22: 108, 23: 108, 27: 1}.items():  # counted from 1, as SPIDER does
        floats[place - 1] = value
    (tmp_path / "1.png").write_bytes(struct.pack(">27f", *floats))
    with pytest.raises(InputError, match=r"1\.png: not an image that can be read \(AttributeError\)"):
        read_header(tmp_path / "1.png")


def test_a_bitmap_of_sixteen_bits_a_pixel_has_five_or_six_a_colour(tmp_path: Path) -> None:
    pixels = struct.pack("<H", 0xF800) * 16  # red
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    head = struct.pack("<IiiHHIIiiII", 40, 4, 4, 1, 16, 3, len(pixels), 0, 0, 0, 0)
    start = 14 + len(head) + len(masks)
    (tmp_path / "1.bmp").write_bytes(struct.pack("<2sIII", b"BM", start + len(pixels), 0, start) + head + masks + pixels)
    header = read_header(tmp_path / "1.bmp")
    assert not header.deep and header.list_changes((4, 4), 3) == []
    assert read_image(tmp_path / "1.bmp", (4, 4), 3)[0, 0].tolist() == [255, 0, 0]
