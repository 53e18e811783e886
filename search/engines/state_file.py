"""A JSON file written whole or not at all, with the last good one kept beside it: an engine's own state."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from ..errors import StoreError, StudyError


def write(path: Path, value: Any) -> None:
    """Write plain data to a draft, sync it, then rename it; the earlier file stays as the last good one.

    Raises StoreError if it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_suffix(".draft")
    body = json.dumps(value)
    try:
        with open(draft, "w", encoding="utf-8", opener=_private) as file:
            file.write(f"{_digest(body)}\n{body}")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StoreError(f"{path} cannot be written ({error.strerror}); make room, and the same command resumes.") from error
    if path.exists():
        os.replace(path, _last_good(path))
    os.replace(draft, path)


def read(path: Path) -> Any | None:
    """The data of the file, or of the last good one if the file is damaged; None if nothing was ever written.

    Raises StudyError naming the file if both are damaged.
    """
    places = [place for place in (path, _last_good(path)) if place.exists()]
    for place in places:
        digest, _, body = place.read_bytes().partition(b"\n")
        if digest.decode(errors="replace") == hashlib.sha256(body).hexdigest():
            if place != path and path.exists():  # or the next write would make the damaged file the last good one
                os.replace(path, path.with_suffix(".damaged.json"))
            return json.loads(body)
    if places:
        raise StudyError(
            f"{path}: the engine's state is damaged, and so is the one before it; restore the file from a backup, "
            "or begin again under another --name."
        )
    return None


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def _last_good(path: Path) -> Path:
    return path.with_suffix(".last.json")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
