"""What Tailor could not write to MLflow yet: entries in order, each a folder that is there whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from .entries import Entry, from_plain, to_plain


class Spool:
    """One study's folder of entries. Only its coordinator writes it."""

    def __init__(self, root: Path, study: str) -> None:
        self.folder = root / study
        for draft in self.folder.glob(".*"):  # of a process that was killed
            shutil.rmtree(draft, ignore_errors=True)
        with suppress(OSError):
            self.folder.rmdir()  # if nothing else is in it
        self._numbers = sorted(int(path.name) for path in self.folder.glob("[0-9]*"))

    def __len__(self) -> int:
        return len(self._numbers)

    def append(self, entry: Entry) -> None:
        """Put an entry last. It is on the disk when this returns. Raises OSError if it cannot write."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        number = self._numbers[-1] + 1 if self._numbers else 1
        draft = self.folder / f".{number:08}"
        try:
            self._fill(draft, entry)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)  # room for others
            raise
        draft.rename(self._place(number))
        handle = os.open(self.folder, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
        self._numbers.append(number)

    def _fill(self, draft: Path, entry: Entry) -> None:
        (draft / "files").mkdir(parents=True)
        files: Mapping[str, bytes] = getattr(entry, "files", {})
        for path, data in {
            draft / "entry.json": json.dumps(to_plain(entry)).encode(),
            **{draft / "files" / name: data for name, data in files.items()},
        }.items():
            with path.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())

    def first(self) -> Entry:
        """The next entry; there must be one."""
        place = self._place(self._numbers[0])
        files = {path.name: path.read_bytes() for path in (place / "files").iterdir()}
        return from_plain(json.loads((place / "entry.json").read_bytes()), files)

    def drop(self) -> None:
        """Remove the first entry."""
        place = self._place(self._numbers.pop(0))
        gone = place.with_name(f".{place.name}")
        place.rename(gone)
        shutil.rmtree(gone)
        if not self._numbers:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _place(self, number: int) -> Path:
        return self.folder / f"{number:08}"
