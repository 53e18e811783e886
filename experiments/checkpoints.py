"""Models that later trials begin with, as files under the store: of a study whose engine goes on from earlier trials' weights."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


class Checkpoints:
    """One study's folder. Workers read these files; the coordinator alone writes them."""

    def __init__(self, root: Path, study: str) -> None:
        self._folder = root / study

    def save(self, trial: int, model: bytes) -> None:
        """Keep a trial's .keras file, whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._folder / f"{trial}.draft"
        draft.write_bytes(model)
        os.replace(draft, self._place(trial))

    def find(self, trial: int) -> Path | None:
        """The trial's file, or None where it is gone: whoever wants it begins anew."""
        return self._place(trial) if self._place(trial).exists() else None

    def clear(self) -> None:
        """Remove the study's files: it has ended, and no trial will ask for them."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _place(self, trial: int) -> Path:
        return (self._folder / f"{trial}.keras").absolute()
