"""Code by reference, "pkg.module:attribute" or "path/to/file.py:attribute"; and the neighbouring files that a file imports."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from contextvars import ContextVar
from importlib.machinery import PathFinder
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from .errors import ModelError

_STARTED_WITH = tuple(sys.path)  # before the user's folders are on it


_kept: ContextVar[Mapping[str, str]] = ContextVar("kept", default=MappingProxyType({}))


@contextmanager
def reading_kept(copies: Mapping[str, str]) -> Iterator[None]:
    """Inside the block, a reference that is a key of `copies` is read from that copy of its file."""
    token = _kept.set(copies)
    try:
        yield
    finally:
        _kept.reset(token)


def is_file(name: str) -> bool:
    """Whether the name is of the form `path/to/file.py:attribute`."""
    return name.rpartition(":")[0].endswith(".py")


def find(field: str, name: str, kept: Path | None = None) -> tuple[Any, ModuleType]:
    """What the reference names, and its module. Raises ModelError that names `field` and what is missing.

    `kept` is a copy of the file, whose code replaces the file's, as does one of `reading_kept`. An ImportError inside the user's
    module is not masked.
    """
    if kept is None and name in _kept.get():
        kept = Path(_kept.get()[name])
    place, _, attribute = name.rpartition(":")
    if place in ("", "__main__"):
        raise ModelError(
            f"{field}: {name!r} is in a script or a notebook, which other processes cannot import; "
            f"write it to a file and name that, such as 'nets/mine.py:{attribute or 'build'}'."
        )
    module = load_file(Path(place), kept, field) if is_file(name) else _import(field, place)
    if not hasattr(module, attribute):
        raise missing(field, name, module)
    return getattr(module, attribute), module


def refuse_function(field: str, value: Any) -> None:
    """Raise ModelError for a function instead of a reference to one: the processes that train cannot get the function."""
    if callable(value):
        name = getattr(value, "__name__", type(value).__name__)
        raise ModelError(
            f"{field}: expected a text, got the function {name}; other processes cannot import it from a script or a notebook: "
            f"write it to a file and name that, such as 'nets/mine.py:{name}'."
        )


def missing(field: str, name: str, module: ModuleType) -> ModelError:
    """The error for a reference to what the module does not have; it lists what there is."""
    place, _, attribute = name.rpartition(":")
    has = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    noun = "factory" if field == "study.model" else "function"
    return ModelError(f"{field}: {place!r} has no {noun} {attribute!r}; it has: {', '.join(has) or 'none'}.")


def require_file(name: str, field: str = "study.model") -> None:
    """Raise ModelError if the reference names a file that there is not."""
    path = Path(name.rpartition(":")[0])
    if is_file(name) and not os.path.isfile(path):
        raise _no_file(field, path)


def _no_file(field: str, path: Path) -> ModelError:
    beside = "" if field.startswith(("space.", "study.space.")) else ", then from the study file's"
    return ModelError(f"{field}: there is no file {str(path)!r}; the path is taken from the current folder{beside}.")


def load_file(path: Path, kept: Path | None = None, field: str = "study.model") -> ModuleType:
    """Import a Python file, or the kept copy of it, under a unique name, once for each content: it shadows no package.

    Raises ModelError for a file that is missing or is not valid Python, and what the file raises.
    """
    source = kept or path
    if not os.path.isfile(source):
        raise _no_file(field, path)
    code = source.read_bytes()
    name = f"tailor_user_{path.stem}_{hashlib.sha256(code).hexdigest()[:12]}"
    if name not in sys.modules:
        tree = _parse(field, path, code)
        module = ModuleType(name)
        module.__file__ = str(path.resolve())
        sys.modules[name] = module
        try:
            with chdir("."):  # then back to the current folder, which relative paths depend on
                exec(compile(tree, module.__file__, "exec", dont_inherit=True), module.__dict__)
        except BaseException as error:
            del sys.modules[name]
            if isinstance(error, SystemExit):  # a script's; it would end Tailor without a word
                raise ModelError(
                    f"{field}: {path} ends Python when it is imported (sys.exit); put that under if __name__ == '__main__'."
                ) from error
            raise
    return sys.modules[name]


def check_stands_alone(field: str, path: Path, kept: Path | None = None) -> None:
    """Raise ModelError if the file imports one beside it or in the current folder, which does not travel with a model."""
    source = kept or path
    if not os.path.isfile(source):
        return  # `load_file` raises for it
    for name, place in _find_neighbours(_parse(field, path, source.read_bytes()), path):
        raise ModelError(
            f"{field}: {path} imports {name} ({place}), which does not travel with its models; "
            f"put that code into {path}, or install it as a package."
        )


def is_installed(name: str) -> bool:
    """Whether a top-level module is found without the current folder: in the standard library, a package, PYTHONPATH."""
    if name in sys.builtin_module_names or name in sys.stdlib_module_names:
        return True
    here = Path.cwd()
    paths = [path for path in _STARTED_WITH if path and Path(path).resolve() != here]
    if PathFinder.find_spec(name, paths) is not None:
        return True
    finders = [finder for finder in sys.meta_path if finder is not PathFinder and hasattr(finder, "find_spec")]
    return any(finder.find_spec(name, None) is not None for finder in finders)  # editable installs


def _parse(field: str, path: Path, code: bytes) -> ast.Module:
    try:
        text = importlib.util.decode_source(code)
    except (UnicodeDecodeError, SyntaxError) as error:
        raise ModelError(f"{field}: {path} is not text in UTF-8; save it as UTF-8.") from error
    if "\0" in text:
        raise ModelError(f"{field}: {path} is not text in UTF-8; save it as UTF-8.")
    try:
        return ast.parse(text, str(path))
    except SyntaxError as error:
        raise ModelError(f"{field}: {path}:{error.lineno} is not valid Python ({error.msg}); correct it.") from error


def _find_neighbours(tree: ast.Module, path: Path) -> Iterator[tuple[str, Path]]:
    """The imports of a file that are files in its folder or the current one: each name, with its file."""
    folder = path.resolve().parent
    for name, level in _list_imports(tree):
        top = name.partition(".")[0]
        if level:
            yield "." * level + name, folder
        elif not is_installed(top):
            for root in (folder, Path.cwd()):
                for place in (root / f"{top}.py", root / top):
                    if place.is_file() or (place.is_dir() and any(place.rglob("*.py"))):
                        yield name, place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place


def _list_imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every import in a file, in its functions too, as a name and the number of dots before it; not those for types alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.level
        elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from (found for part in node.orelse for found in _list_imports(part))
        else:
            yield from _list_imports(node)


def _import(field: str, place: str) -> ModuleType:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # last, so that a user's folder never shadows an installed package
    try:
        with chdir("."):
            return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not (place == error.name or place.startswith(f"{error.name}.")):
            raise
        raise ModelError(
            f"{field}: there is no module {place!r}; install it, run from the folder that holds it, "
            "or name a file such as 'nets/mine.py:factory'."
        ) from error
