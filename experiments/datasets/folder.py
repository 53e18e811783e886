"""A folder of images, one sub-folder a class; or `train/` and `test/`, each with such sub-folders."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from ..errors import InputError
from .images import Dataset, Images, checked

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
MOST_PIXELS = 64_000_000
CAMERAS = ("JPEG", "MPO", "WEBP")  # formats of cameras; of TIFF Pillow turns it, and a PNG would be decoded for it
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
QUARTERS = [TURNS[orientation] for orientation in (5, 6, 7, 8)]
DEEP = "I;16"  # how Pillow's modes of 16 bits of gray begin


def load(name: str, folder: Path, image_size: tuple[int, int] | None) -> Dataset:
    """Read every image; class names are the sub-folders' names, sorted. Raises InputError naming the file that is wrong."""
    if not folder.is_dir():
        raise InputError(f"{name}: there is no folder {str(folder)!r}.")
    parts = ("train", "test") if all((folder / part).is_dir() for part in ("train", "test")) else (".",)
    class_names = tuple(sorted(d.name for d in (folder / parts[0]).iterdir() if d.is_dir() and not d.name.startswith(".")))
    if len(class_names) < 2:
        raise InputError(f"{name}: expected one sub-folder of images a class, at least two; got {len(class_names)} in {folder}.")
    files = {part: _files(name, folder / part, class_names) for part in parts}
    size = image_size or _common_size(name, [path for paths, _ in files.values() for path in paths])
    modes = {_opened(path).mode for paths, _ in files.values() for path in paths}
    channels = 1 if all(mode in ("1", "L") or mode.startswith(DEEP) for mode in modes) else 3
    ready: list[Images] = []
    for paths, labels in files.values():
        images = np.stack([read_image(path, size, channels) for path in paths])
        ready.append(checked(name, images, np.array(labels, np.int64), len(class_names)))
    return Dataset(name, ready[0], ready[1] if len(ready) > 1 else None, class_names)


def read_image(path: Path, size: tuple[int, int], channels: int) -> np.ndarray:
    """One image file as uint8 (height, width, channels), resized where it has another size. Raises InputError.

    It is turned as its camera says, and what is transparent lies on white.
    """
    image = _opened(path)
    if image.mode in ("I", "F"):
        raise InputError(f"{path}: its pixels are 32-bit numbers of no known range; save it with 8 or 16 bits.")
    try:
        if image.mode.startswith(DEEP):  # Pillow would cut off what is above 255
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        if (turn := _turn(image)) is not None:
            image = image.transpose(turn)
        if image.has_transparency_data:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
        image = image.convert("L" if channels == 1 else "RGB")
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's for broken chunks, and for text that unpacks to too much
        raise InputError(f"{path}: the image is damaged ({error}); remove it or replace it.") from error
    if image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(image, np.uint8).reshape(*size, channels)


def _opened(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file.") from error
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path}: not an image that can be read ({type(error).__name__}).") from error
    if image.width * image.height > MOST_PIXELS:
        raise InputError(f"{path}: {image.width}×{image.height} pixels are more than the {MOST_PIXELS:,} that are read.")
    return image


def _files(name: str, folder: Path, class_names: tuple[str, ...]) -> tuple[list[Path], list[int]]:
    paths, labels = [], []
    for label, class_name in enumerate(class_names):
        all_of_it = (folder / class_name).glob("[!.]*")  # and not macOS's ._IMAGE.jpg
        found = sorted(path for path in all_of_it if path.suffix.lower() in SUFFIXES)
        if not found and folder.name != "test":
            raise InputError(f"{name}: {folder / class_name} holds no image ({', '.join(sorted(SUFFIXES))}).")
        paths += found
        labels += [label] * len(found)
    if not paths:
        raise InputError(f"{name}: {folder} holds no image of any class.")
    return paths, labels


def _common_size(name: str, paths: list[Path]) -> tuple[int, int]:
    sizes = set(map(image_size, paths))
    if len(sizes) > 1:
        raise InputError(
            f"{name}: the images have {len(sizes)} sizes, such as {sorted(sizes)[0]} and {sorted(sizes)[-1]}; "
            "say which to resize them to: [data] image_size = [HEIGHT, WIDTH]."
        )
    return sizes.pop()


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) of an image file, as it is read. Raises InputError for what is no image."""
    image = _opened(path)
    return (image.width, image.height) if _turn(image) in QUARTERS else (image.height, image.width)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """How a camera's image is to be turned, by EXIF; None where it is not, or that cannot be read."""
    if image.format not in CAMERAS:
        return None
    try:
        found = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # whatever damaged metadata leads to
        return None
    return TURNS.get(found) if isinstance(found, int) else None
