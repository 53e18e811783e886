"""Set the current folder, and the path on which modules are found, for a block."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def working_in(folder: str) -> Iterator[None]:
    """Work in that folder for the block, if it exists, and find its modules; both are put back afterwards."""
    before, added = Path.cwd(), folder not in sys.path
    if added:
        sys.path.append(folder)  # last, so that a user's folder never shadows an installed package
    if Path(folder).is_dir():  # a cluster's other machine may not have it, and a built-in model needs no folder
        os.chdir(folder)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):  # it was removed meanwhile
            os.chdir(before)
        if added:
            with suppress(ValueError):
                sys.path.remove(folder)
