"""The files under the store that trials resume from: an attempt's checkpoints, and models that later trials begin with.

A trial's checkpoints go when it ends. Models are kept for studies whose engine continues earlier trials' weights. They stay: a
larger budget may ask for them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path


class Checkpoints:
    """One study's folder. A worker writes its own attempt's file there, the coordinator everything else."""

    def __init__(self, root: Path, study: str) -> None:
        self._folder = root / study

    def save(self, trial: int, model: bytes) -> None:
        """Keep a trial's .keras file, whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._folder / f"{trial}.draft"
        draft.write_bytes(model)
        os.replace(draft, self._place(trial))

    def keep_code(self, name: str, code: bytes) -> Path:
        """Keep a file of the user's code as it is now, while the study runs."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = (self._folder / name).absolute()
        draft = place.with_suffix(".draft")
        draft.write_bytes(code)
        os.replace(draft, place)
        return place

    def find(self, trial: int) -> Path | None:
        """The trial's file, or None if it is gone; training then starts from the beginning."""
        return self._place(trial) if self._place(trial).exists() else None

    def attempt(self, trial: int, attempt: int) -> Path:
        """The path of an attempt's checkpoint. Each attempt has its own, so that a lost one cannot write into the next one's."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return (self._folder / f"{trial}.{attempt}.npz").absolute()

    def newest(self, trial: int) -> Path | None:
        """The checkpoint of the trial's newest attempt that has one."""
        found = sorted(self._folder.glob(f"{trial}.*.npz"), key=lambda path: int(path.name.split(".")[1]))
        return found[-1].absolute() if found else None

    def trials(self) -> set[int]:
        """The trials that have checkpoints."""
        return {int(path.name.split(".")[0]) for path in self._folder.glob("*.*.npz")}

    def drop(self, trial: int) -> None:
        """Remove the checkpoints of a trial that has ended."""
        for left in ("npz", "draft"):  # a draft is left by an interrupted write
            for path in self._folder.glob(f"{trial}.*.{left}"):
                path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove the files of a study that has ended."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _place(self, trial: int) -> Path:
        return (self._folder / f"{trial}.keras").absolute()
