"""Factories by name: a built-in ("cnn"), "pkg.module:attribute", or a file ("nets/mine.py:build")."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import inspect
from collections.abc import Callable, Collection, Mapping
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from . import references
from .beginnings import refuse_made
from .errors import ModelError
from .interface import adapt_input, complete
from .references import check_stands_alone, is_file
from .training.options import TrainOptions

if TYPE_CHECKING:
    import keras

BUILT_IN = ("mlp", "cnn", "resnet", "separable", "transfer")
FIELD = "study.model"
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Factory:
    """A named `build(hparams, input_shape, num_classes) -> keras.Model`.

    `defaults` are its hyperparameters (a custom factory's `build.defaults`); None if it declares none, and then it takes any
    name. `source` is the file of a custom factory's code. `starts` are the values that a search begins with instead of
    defaults, if they are searched (a custom factory's `build.starts`).
    """

    name: str
    build: Callable[[Mapping[str, Any], Shape, int], keras.Model]
    defaults: Mapping[str, Any] | None
    source: Path | None
    starts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def first(self) -> dict[str, Any]:
        """The values that a search begins with."""
        return {**(self.defaults or {}), **self.starts}

    def __call__(self, hparams: Mapping[str, Any], input_shape: Shape, num_classes: int) -> keras.Model:
        """Build the model, with raw images at its input and probabilities at its end. Raises ModelError as `make` does."""
        return self.make(hparams, TrainOptions(), (input_shape, num_classes))[0]

    def make(
        self, hparams: Mapping[str, Any], options: TrainOptions, data: tuple[Shape, int], given: Collection[str] = ()
    ) -> tuple[keras.Model, TrainOptions]:
        """The model and the options that train it; a compiled model brings its own optimizer and loss.

        `data` is the images' shape (height, width, channels) and the number of classes; `given` are the options that the study
        sets. Raises ModelError if the result is no Keras model, if its inputs or outputs do not fit, or if the study sets an
        option that the compiled model sets itself.
        """
        import keras

        if self.source is None:
            self._check_names(hparams)
        with chdir("."):  # then back to the current folder, which relative paths depend on
            model = self.build({**(self.defaults or {}), **hparams}, *data)
        if not isinstance(model, keras.Model):
            raise ModelError(
                f"model {self.name!r}: expected the factory to return a keras.Model, got {type(model).__name__}; "
                "return the model that it builds."
            )
        if self.source is not None:
            refuse_made(self.name, model)
        if model.compiled:
            from . import compiled

            compiled.refuse_options(self.name, given)
            model, options = compiled.adopt(self.name, model, options, data[0])
        else:
            model = adapt_input(self.name, model, data[0])
        return complete(self.name, model, data[1]), options

    def _check_names(self, hparams: Mapping[str, Any]) -> None:
        for name in hparams.keys() - (self.defaults or {}).keys():
            near = difflib.get_close_matches(name, self.defaults or (), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ModelError(f"model {self.name!r}: no option, nor a hyperparameter, has the name {name!r}.{hint}")


def resolve(name: str, kept: Path | None = None) -> Factory:
    """The factory of that name. Raises ModelError, naming the built-ins, the module or the attribute that is missing.

    `kept` is a copy of a factory's file, whose code replaces the file's. An ImportError inside the user's module stays one.
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
        raise references.missing(FIELD, name, module)
    _check_arguments(name, build)
    for attribute in ("defaults", "starts"):
        if not isinstance(given := getattr(build, attribute, None), Mapping | None):
            raise ModelError(f"model {name!r}: the function's {attribute}: expected a mapping of names to values, got {given!r}.")
    source = Path(module.__file__) if module.__file__ else None
    return Factory(name, build, getattr(build, "defaults", None), source, getattr(build, "starts", None) or {})


def _check_arguments(name: str, build: Callable[..., Any]) -> None:
    """Raise ModelError if the function cannot be called as a factory: perhaps it is Keras Tuner's."""
    try:
        inspect.signature(build).bind({}, (1, 1, 1), 1)
    except TypeError:
        raise ModelError(
            f"study.model: expected a function of (hparams, input_shape, num_classes), got {name!r} with "
            f'{inspect.signature(build)}; if it is a Keras Tuner build(hp) or HyperModel, add api = "keras-tuner" to [study].'
        ) from None
    except ValueError:  # one without a signature to look at
        return


def find(name: str, kept: Path | None = None) -> tuple[Any, ModuleType]:
    """What a model's reference names, and its module. Raises as `resolve` does."""
    if is_file(name):
        check_stands_alone(FIELD, Path(name.rpartition(":")[0]), kept)
    return references.find(FIELD, name, kept)


def digest(name: str) -> str:
    """The SHA-256 of a custom model's file, in hexadecimal; empty for a built-in. Raises as `resolve` does."""
    file = None if name in BUILT_IN else find(name)[1].__file__
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""
