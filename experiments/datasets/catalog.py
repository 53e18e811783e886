"""Data sets by catalog name (digits, fashion-mnist, mnist) or URI (idx:DIR, folder:DIR, npz:FILE)."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from ...search.errors import unknown
from ..errors import InputError, RunError, escape_path
from . import folder, idx, npz
from .images import Dataset, validate

CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
DIGITS = tuple("0123456789")
# MD5 of the published .gz file, and of its content.
MD5S: dict[str, dict[str, tuple[str, ...]]] = {
    "fashion-mnist": {
        "train-images-idx3-ubyte": ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
        "train-labels-idx1-ubyte": ("25c81989df183df01b3e8a0aad5dffbe", "9018921c3c673c538a1fc5bad174d6f9"),
        "t10k-images-idx3-ubyte": ("bef4ecab320f06d8554ea6380940ec79", "8181f5470baa50b63fa0f6fddb340f0a"),
        "t10k-labels-idx1-ubyte": ("bb300cfdad3c16e7a12a480ee83cd310", "15d484375f8d13e6eb1aabb0c3f46965"),
    },
    "mnist": {
        "train-images-idx3-ubyte": ("f68b3c2dcbeaaa9fbdd348bbdeb94873", "6bbc9ace898e44ae57da46a324031adb"),
        "train-labels-idx1-ubyte": ("d53e105ee54ea40749a09fcbcd1e9432", "a25bea736e30d166cdddb491f175f624"),
        "t10k-images-idx3-ubyte": ("9fb629c4189551a2d022fa330f9573f3", "2646ac647ad5339dbf082846283269ea"),
        "t10k-labels-idx1-ubyte": ("ec29112dd5afa0611ce80d1b7f02629c", "27ae3e4e09519cfbb04c329615203637"),
    },
}
MNIST_NPZ = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"  # SHA-256, from keras.datasets.mnist
NAMES = ("digits", "fashion-mnist", "mnist")
SCHEMES = ("idx", "folder", "npz")


def check_uri(uri: str, where: str = "study.dataset") -> None:
    """Raise StudyError or InputError, which names `where`, for a name or URI that cannot be a data set; open no file."""
    if escape_path(uri) != uri:  # MLflow could not record it
        raise InputError(f"{where}: {escape_path(uri)!r} is not UTF-8; rename the file or folder.")
    scheme, colon, rest = uri.partition(":")
    if colon and (scheme not in SCHEMES or not rest):
        raise InputError(f"{where}: expected idx:DIR, folder:DIR or npz:FILE, got {uri!r}.")
    if not colon and uri not in NAMES:
        raise unknown(where, uri, [*NAMES, "idx:DIR", "folder:DIR", "npz:FILE"])


def open_dataset(uri: str, data_dir: Path | None, image_size: tuple[int, int] | None = None) -> Dataset:
    """Read a data set. `data_dir` holds published ones; without it Keras downloads them. Raises InputError.

    A folder's images are resized to `image_size`; those of other data sets must have it.
    """
    check_uri(uri)
    scheme, colon, rest = uri.partition(":")
    path = Path(os.path.expanduser(rest))
    if scheme == "folder":
        return folder.load(uri, path, image_size)
    if not colon:
        found = _digits() if uri == "digits" else _published(uri, data_dir)
    else:
        found = idx.load(uri, path, {}, None) if scheme == "idx" else npz.load(uri, path)
    height, width = found.pool.images.shape[1:3]
    if image_size not in (None, (height, width)):
        raise InputError(f"data.image_size: only a folder's images are resized; those of {uri} are {[height, width]}; remove it.")
    return found


def _digits() -> Dataset:
    from sklearn.datasets import load_digits  # 1.5 s to import, so only here

    bunch = load_digits()
    images = (bunch.images * (255 / 16)).round().astype(np.uint8)  # published as 0–16
    return Dataset("digits", validate("digits", images, bunch.target, 10), None, DIGITS)


def _published(name: str, data_dir: Path | None) -> Dataset:
    class_names = CLOTHES if name == "fashion-mnist" else DIGITS
    if data_dir is not None:
        for place in (data_dir / name, data_dir):
            lacking = idx.list_missing(place)
            if not lacking:
                return idx.load(name, place, MD5S[name], class_names)
            if idx.STEMS["train"][0] not in lacking:  # without its test set it is another data set
                raise InputError(f"{name}: {place} lacks {', '.join(lacking)}; fetch the missing files, or use idx:{place}.")
        raise InputError(f"{name}: neither {data_dir / name} nor {data_dir} holds {idx.STEMS['train'][0]}[.gz]; see --data.")
    keras_home = _keras_home()
    if not _downloaded(keras_home, name):
        _download(name)
    archive = keras_home / "mnist.npz"
    try:
        if name == "mnist":
            _check_archive(archive)
            return npz.load(name, archive)  # its classes are the digits
        return idx.load(name, keras_home / name, MD5S[name], class_names)
    except InputError as error:
        if isinstance(error.__cause__, MemoryError):
            raise
        for path in [archive] if name == "mnist" else (keras_home / name).glob("*-ubyte*"):
            path.unlink()
        raise InputError(
            f"{name}: the download in {keras_home} was damaged; Tailor deleted it, and the next start fetches it again."
        ) from error


def _keras_home() -> Path:
    """Keras's folder for downloads, by Keras's own rule. To ask Keras itself costs an import of 5 s."""
    home = Path(os.path.expanduser("~"))
    base = os.environ.get("KERAS_HOME", (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras")
    return Path(base) / "datasets"


def _check_archive(path: Path) -> None:
    if (got := hashlib.sha256(path.read_bytes()).hexdigest()) != MNIST_NPZ:
        raise InputError(f"{path}: its SHA-256 is {got}, not the published one.")


def _downloaded(keras_home: Path, name: str) -> bool:
    return (keras_home / "mnist.npz").is_file() if name == "mnist" else not idx.list_missing(keras_home / name)


def _download(name: str) -> None:
    """Let Keras's loader fetch it, in a separate process: TensorFlow stays out of this one."""
    code = f"from keras.datasets import {name.replace('-', '_')} as d; d.load_data()"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],  # -P: no file in the current folder replaces a package
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        check=False,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RunError(
            f"{name}: Keras could not download it ({last}). Put the four IDX files into a folder DIR/{name} "
            "and name it: --data DIR, or TAILOR_DATA=DIR."
        )
