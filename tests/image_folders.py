"""Small folders of images for tests, and PNG files made by hand."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from PIL import Image


def make_folder(root: Path, sizes: list[tuple[int, int]], mode: str = "RGB") -> None:
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for i, (height, width) in enumerate(sizes):
            Image.new(mode, (width, height), i).save(root / name / f"{i}.png")


def tree(root: Path, *files: str, value: int = 100) -> str:
    """Small gray images at those paths; answers the folder as a data set."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        kind = "PNG" if Path(file).suffix == ".txt" else None
        Image.new("L", (4, 4), value).save(root / file, kind)
    return f"folder:{root}"


def frame_png(side: int, bits: int, colour: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A square PNG of PNG's colour type (0 grey, 2 colours), with further chunks before its pixels."""
    head = struct.pack(">IIBBBBB", side, side, bits, colour, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    framed = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)
