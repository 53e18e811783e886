"""Custom classes and functions by reference: "pkg.mod:name", or "path/to/file.py:name"."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
import weakref
from contextlib import chdir
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import StudyError


def find(field: str, reference: str, digest: str = "") -> tuple[Any, Path]:
    """What the reference names, and the file that it is in. Raises StudyError naming `field`.

    Loads a file again if it was edited since this process loaded it, unless `digest`, a SHA-256, names the earlier content.
    """
    place, _, attribute = reference.rpartition(":")
    if not place or not attribute:
        raise StudyError(f"{field}: expected 'pkg.mod:name' or 'path/to/file.py:name', got {reference!r}.")
    try:
        with chdir("."):  # restores the current folder: other paths are relative to it
            module = _from_file(Path(place), digest) if place.endswith(".py") else _from_module(place, digest)
    except FileNotFoundError as error:
        if place.endswith(".py") and not Path(place).is_file():
            raise StudyError(f"{field}: there is no file {place!r}; correct its path.") from error
        raise _failed(field, reference, error) from error
    except (Exception, SystemExit) as error:  # anything that your module raises
        raise _failed(field, reference, error) from error
    if not hasattr(module, attribute):
        has = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise StudyError(f"{field}: {place!r} has no {attribute!r}; it has: {', '.join(has) or 'none'}.")
    return getattr(module, attribute), Path(module.__file__ or place)


def find_line(error: BaseException, path: Path) -> str:
    """The last line of the file that the error passed through, as " in line 3"; empty if there is none."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path.resolve())]
    return f" in line {lines[-1]}" if lines else ""


def _failed(field: str, reference: str, error: BaseException) -> StudyError:
    return StudyError(
        f"{field}: {reference!r} cannot be imported ({type(error).__name__}: {error}); give a file or an installed module, "
        "and a name in it."
    )


def digest(field: str, reference: str) -> str:
    """The SHA-256 of the file that the reference is in, in hexadecimal."""
    return hashlib.sha256(find(field, reference)[1].read_bytes()).hexdigest()


def _from_file(path: Path, digest: str) -> ModuleType:
    """The file's module, under a unique name, once for each content."""
    named = f"tailor_space_{path.stem}_"
    if (name := f"{named}{digest[:12]}") not in sys.modules:
        name = f"{named}{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path.resolve())
        assert spec is not None and spec.loader is not None  # a .py file always has both
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def _from_module(place: str, digest: str) -> ModuleType:
    """The module; runs it again if the loaded code is neither what the file holds now nor what the digest names."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # last, so that a user's folder never shadows an installed package
    importlib.invalidate_caches()  # the file may be younger than Python's last look at its folder
    module = importlib.import_module(place)
    path = Path(module.__file__ or "")
    if not path.is_file() or path.suffix != ".py":
        return module
    code = path.read_bytes()
    now = hashlib.sha256(code).hexdigest()
    if _LOADED.setdefault(module, now) not in (digest, now):
        # Not importlib.reload: it may take the cached bytecode of a file that was edited within the same second.
        exec(compile(code, str(path), "exec"), vars(module))
        _LOADED[module] = now
    return module


_LOADED: weakref.WeakKeyDictionary[ModuleType, str] = weakref.WeakKeyDictionary()  # the SHA-256 of each module's file
