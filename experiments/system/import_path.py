"""Imports: a file in the current folder, or in the script's, never shadows an installed package of the same name."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import PathFinder
from pathlib import Path


@contextmanager
def prefer_installed() -> Iterator[None]:
    """Look for modules in the user's folders last, in this process and in those that it starts in the block.

    Afterwards sys.path is put back; entries that were added meanwhile stay, at its end. Also a decorator.
    """
    before = list(sys.path)
    own = _own_folders()
    sys.path[:] = sorted(before, key=lambda entry: os.path.realpath(entry) in own)
    try:
        yield
    finally:
        sys.path[:] = [*before, *(entry for entry in sys.path if entry not in before)]


def find_shadows(folder: Path) -> list[str]:
    """The folder's files and packages named like a standard module or an installed package, sorted."""
    found = [path for path in folder.glob("*.py") if path.stem != "__init__"]
    found += [path.parent for path in folder.glob("*/__init__.py")]
    elsewhere = [entry for entry in sys.path if os.path.realpath(entry) != os.path.realpath(folder)]
    return sorted(path.name for path in found if _installed(path.stem, elsewhere))


def _installed(name: str, path: list[str]) -> bool:
    if name in sys.stdlib_module_names:
        return True
    spec = PathFinder.find_spec(name, path)
    return spec is not None and spec.origin is not None  # a folder without __init__.py has no origin


def _own_folders() -> set[str]:
    """The current folder, and the folder of the running script."""
    own = set[str]()
    with suppress(OSError):  # the current folder was removed
        own.add(os.path.realpath(os.curdir))
    if script := getattr(sys.modules["__main__"], "__file__", None):
        own.add(os.path.realpath(os.path.dirname(script)))
    return own
