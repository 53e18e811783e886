"""Modules that a package imports at once, though few ever use them: here their code runs when somebody does.

As the standard library's LazyLoader, but for one thread at a time (that one's lock came after Python 3.11.7), and a look at what
every module has, such as `__file__`, runs nothing: `inspect.stack` looks at all modules.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

LOADER = "__late_loader__"  # of a module whose code has not run
_lock = threading.RLock()


class _LateModule(ModuleType):
    """A module whose code runs when an attribute is asked for that it lacks; other threads wait for the end of that."""

    def __getattr__(self, name: str) -> Any:
        with _lock:
            if (loader := self.__dict__.pop(LOADER, None)) is not None:
                try:
                    loader.exec_module(self)
                except BaseException:
                    self.__dict__[LOADER] = loader
                    raise
                self.__class__ = ModuleType  # type: ignore[assignment]
        return ModuleType.__getattribute__(self, name)


class _LateLoader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._loader
        module.__dict__[LOADER] = self._loader
        module.__class__ = _LateModule


class _Finder(MetaPathFinder):
    def __init__(self, is_late: Callable[[str], bool]) -> None:
        self._is_late = is_late

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if self._is_late(name) else None
        if spec is not None and spec.loader is not None:
            spec.loader = _LateLoader(spec.loader)
        return spec


@contextmanager
def loaded_late(is_late: Callable[[str], bool]) -> Iterator[None]:
    """Modules that are imported in the block, and of whose names that holds, load when something in them is used."""
    finder = _Finder(is_late)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
