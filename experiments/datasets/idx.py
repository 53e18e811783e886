"""IDX files, the format of MNIST: a magic, the dimensions, then bytes; plain or gzipped."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from ..errors import InputError
from .images import Dataset, assemble, name_by_value

UNSIGNED_BYTE = 0x08
MOST_BYTES = 16 << 30
PIECE = 16 << 20
STEMS = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def read_idx(path: Path, md5s: tuple[str, ...] = ()) -> np.ndarray:
    """The file's array of uint8, in the shape of its header. Never reads more than the header promises.

    `md5s` are checksums, of the file or of its content; if given, one must match. Raises InputError.
    """
    raw = path.read_bytes() if md5s else b""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header, body, shape = _parts(path, file)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read as IDX ({error}); fetch the file again.") from error
    except MemoryError as error:
        raise InputError(f"{path}: it does not fit into this machine's memory.") from error
    if md5s and not {hashlib.md5(raw).hexdigest(), hashlib.md5(header + body).hexdigest()} & set(md5s):
        raise InputError(f"{path}: its checksum is not the published one; fetch the file again, or use idx:{path.parent}.")
    return np.frombuffer(body, np.uint8).reshape(shape)


def load(name: str, folder: Path, md5s: dict[str, tuple[str, ...]], class_names: tuple[str, ...] | None) -> Dataset:
    """The data set in a folder of IDX files with MNIST's names: train-…, and t10k-… if there is a test set."""
    parts = {part: _images(name, folder, stems, md5s) for part, stems in STEMS.items() if part == "train" or _has(folder, stems)}
    half = [stem for stem in STEMS["test"] if "test" not in parts and _find(folder, stem)]
    notes = [f"not read: {stem}, because its other half is missing" for stem in half]
    if class_names is None:
        parts, class_names = name_by_value(name, parts)
    return assemble(name, parts, class_names, notes)


def list_missing(folder: Path) -> list[str]:
    """Which of the four files are missing in the folder."""
    return [stem for stems in STEMS.values() for stem in stems if _find(folder, stem) is None]


def _images(name: str, folder: Path, stems: tuple[str, str], md5s: dict[str, tuple[str, ...]]) -> tuple[np.ndarray, np.ndarray]:
    arrays = []
    for stem, dimensions in zip(stems, (3, 1), strict=True):
        path = _find(folder, stem)
        if path is None:
            raise InputError(f"{name}: {folder} has no {stem} or {stem}.gz; expected MNIST's file names.")
        array = read_idx(path, md5s.get(stem, ()))
        if array.ndim not in (dimensions, dimensions + 1) or (dimensions == 1 and array.ndim != 1):
            raise InputError(f"{path}: expected {dimensions} dimension(s), got {array.ndim}.")
        if not len(array):
            raise InputError(f"{path}: it holds no items.")
        arrays.append(array)
    return arrays[0], arrays[1].astype(np.int64)


def _parts(path: Path, file: IO[bytes] | gzip.GzipFile) -> tuple[bytes, bytes, tuple[int, ...]]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] != UNSIGNED_BYTE or not 1 <= magic[3] <= 4:
        raise InputError(f"{path}: expected an IDX file of unsigned bytes (magic 0x0000080N), got 0x{magic.hex()}.")
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise InputError(f"{path}: the header ends early; fetch the file again.")
    shape = struct.unpack(f">{magic[3]}I", sizes)
    total = math.prod(shape)
    if total > MOST_BYTES:
        raise InputError(f"{path}: its header promises {total:,} bytes, more than the {MOST_BYTES:,} that Tailor reads.")
    if path.suffix != ".gz" and (got := path.stat().st_size - len(magic + sizes)) != total:
        raise InputError(f"{path}: the header promises {total:,} bytes ({shape}), the file holds {got:,}; fetch it again.")
    body = _read(file, total + 1)  # one byte more, to see whether the file is longer; a gzip bomb stops here
    if len(body) != total:
        more = "more" if len(body) > total else f"only {len(body):,}"
        raise InputError(f"{path}: the header promises {total:,} bytes ({shape}), the file holds {more}; fetch it again.")
    return magic + sizes, body, shape


def _read(file: IO[bytes] | gzip.GzipFile, most: int) -> bytes:
    """At most `most` bytes, piece by piece, so that a header's promise alone takes no memory."""
    pieces = []
    while most and (piece := file.read(min(most, PIECE))):
        pieces.append(piece)
        most -= len(piece)
    return b"".join(pieces)


def _has(folder: Path, stems: tuple[str, str]) -> bool:
    return all(_find(folder, stem) for stem in stems)


def _find(folder: Path, stem: str) -> Path | None:
    return next((path for path in (folder / stem, folder / f"{stem}.gz") if os.path.isfile(path)), None)
