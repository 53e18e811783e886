"""Factories by name: a built-in ("cnn"), "pkg.module:attribute", or a file of one's own ("nets/mine.py:build")."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import sys
from collections.abc import Callable, Mapping
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .errors import ModelError
from .interface import check, with_input

if TYPE_CHECKING:
    import keras

BUILT_IN = ("mlp", "cnn")


@dataclass(frozen=True)
class Factory:
    """A named `build(hparams, input_shape, num_classes) -> keras.Model`.

    `defaults` are its hyperparameters; None where it does not say (a user's factory may declare them as `build.defaults`),
    and then any name is taken for one of its own. `source` is the file that its code is in, for a factory outside Tailor.
    `starts` are values that a search begins with, where they are searched, in the place of defaults (a user's: `build.starts`).
    """

    name: str
    build: Callable[[Mapping[str, Any], tuple[int, int, int], int], keras.Model]
    defaults: Mapping[str, Any] | None
    source: Path | None
    starts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def first(self) -> dict[str, Any]:
        """What a search begins with."""
        return {**(self.defaults or {}), **self.starts}

    def __call__(self, hparams: Mapping[str, Any], input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
        """Build and check the model. Raises ModelError when it is no Keras model, or its ends do not fit."""
        import keras

        if self.source is None:
            self._check_names(hparams)
        with chdir("."):  # back to where it was: other paths are taken from there
            model = self.build({**(self.defaults or {}), **hparams}, input_shape, num_classes)
        if not isinstance(model, keras.Model):
            raise ModelError(
                f"model {self.name!r}: expected the factory to return a keras.Model, got {type(model).__name__}; "
                "return the model that it builds."
            )
        model = with_input(self.name, model, input_shape)
        check(self.name, model, num_classes)
        return model

    def _check_names(self, hparams: Mapping[str, Any]) -> None:
        for name in hparams.keys() - (self.defaults or {}).keys():
            near = difflib.get_close_matches(name, self.defaults or (), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ModelError(f"model {self.name!r}: no option, nor a hyperparameter, has the name {name!r}.{hint}")


def is_file(name: str) -> bool:
    """Whether the name is of the form `path/to/file.py:attribute`."""
    return name.rpartition(":")[0].endswith(".py")


def resolve(name: str, kept: Path | None = None) -> Factory:
    """The factory of that name. Raises ModelError, naming the built-ins, the module or the attribute that is missing.

    `kept` is a copy of a factory's file, whose code is taken in the place of the file's own. An ImportError inside the user's own
    module is not masked (as uvicorn's importer does it).
    """
    if ":" not in name:
        if name not in BUILT_IN:
            raise ModelError(
                f"study.model: expected one of {', '.join(BUILT_IN)}, 'my_pkg.my_module:factory' or 'nets/mine.py:factory', "
                f"got {name!r}."
            )
        module = importlib.import_module(f".factories.{name}", __package__)
        return Factory(name, module.build, module.DEFAULTS, None, getattr(module, "STARTS", {}))
    build, module = find(name, kept)
    if not callable(build):
        raise _missing(name, module)
    source = Path(module.__file__) if module.__file__ else None
    return Factory(name, build, getattr(build, "defaults", None), source, getattr(build, "starts", {}))


def find(name: str, kept: Path | None = None) -> tuple[Any, ModuleType]:
    """What "pkg.module:attribute" or "path/to/file.py:attribute" names, and the module it is in. Raises as `resolve`."""
    place, _, attribute = name.rpartition(":")
    module = load_file(Path(place), kept) if is_file(name) else _import(place)
    if not hasattr(module, attribute):
        raise _missing(name, module)
    return getattr(module, attribute), module


def digest(name: str) -> str:
    """The SHA-256 of the file that a model outside Tailor is in, in hexadecimal; empty for a built-in. Raises as `resolve`."""
    file = None if name in BUILT_IN else find(name)[1].__file__
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""


def _missing(name: str, module: ModuleType) -> ModelError:
    place, _, attribute = name.rpartition(":")
    has = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    return ModelError(f"study.model: {place!r} has no factory {attribute!r}; it has: {', '.join(has) or 'none'}.")


def load_file(path: Path, kept: Path | None = None) -> ModuleType:
    """Import a Python file, or the copy kept of it, under a name of its own, once for each content: it shadows no package."""
    source = kept or path
    if not source.is_file():
        raise ModelError(f"study.model: there is no file {str(path)!r}; the path is taken from the current folder.")
    code = source.read_bytes()
    name = f"tailor_user_{path.stem}_{hashlib.sha256(code).hexdigest()[:12]}"
    if name not in sys.modules:
        module = ModuleType(name)
        module.__file__ = str(path.resolve())
        sys.modules[name] = module
        try:
            with chdir("."):  # back to where it was: other paths are taken from there
                exec(compile(code, module.__file__, "exec", dont_inherit=True), module.__dict__)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def _import(place: str) -> ModuleType:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # last, so that a user's folder never shadows an installed package
    try:
        with chdir("."):
            return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not (place == error.name or place.startswith(f"{error.name}.")):
            raise
        raise ModelError(
            f"study.model: there is no module {place!r}; install it, run from the folder that holds it, "
            "or name a file such as 'nets/mine.py:factory'."
        ) from error
