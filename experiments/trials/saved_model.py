"""Saved Keras models: verify, load in safe mode, and explain why one cannot be loaded again."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from ...models.errors import ModelError
from ..errors import InputError
from ..system.import_path import prefer_installed
from ..system.silence import silence

if TYPE_CHECKING:
    import keras

KERAS = ("keras", "keras_hub", "keras_cv", "keras_nlp")  # safe mode imports their layers


@dataclass(frozen=True)
class SavedModel:
    """A .keras file and the source file of its custom layers, if it has any, with their expected checksums."""

    path: Path
    sha256: str
    source: Path | None = None
    source_sha256: str | None = None

    def verify(self) -> None:
        """Raise InputError if a file is missing, or differs from the registered one."""
        for path, wanted in ((self.path, self.sha256), (self.source, self.source_sha256)):
            if path is not None and not path.exists():
                raise InputError(f"{path}: the model's file is missing; restore it, or promote the model again.")
            if path is not None and (got := hashlib.sha256(path.read_bytes()).hexdigest()) != wanted:
                raise InputError(f"{path}: its SHA-256 is {got}, not the registered {wanted}; the file was changed.")


@prefer_installed()
def load_model(saved: SavedModel) -> keras.Model:
    """Load a .keras file in safe mode. Raises InputError if its checksum differs or it holds what is not safe to load.

    Raises ModelError if Keras has another backend than TensorFlow in this process.
    """
    from ...models.references import load_file
    from ...models.training.keras_config import require_tensorflow

    if saved.path.suffix != ".keras":
        raise InputError(f"{saved.path.name}: only .keras files are loaded (in safe mode); .h5 and pickles can run any code.")
    saved.verify()
    try:
        with silence():  # TensorFlow prints as it is imported, and as it looks for a GPU
            require_tensorflow()
            module = None if saved.source is None else load_file(saved.source)
            return _load(saved.path, module)
    except ModelError:
        raise
    except Exception as error:  # a foreign file may raise anything
        raise InputError(
            f"{saved.path.name}: Keras refuses to load it in safe mode ({_shorten(error)}). "
            'Lambda layers are never loaded; other custom layers need the factory\'s file (model = "nets/mine.py:build").'
        ) from error


def _shorten(error: Exception) -> str:
    """The first line of Keras's reason, without its advice to load the model all the same."""
    return (str(error).splitlines() or [""])[0].partition(" If you trust")[0][:300]


def _load(path: Path, module: ModuleType | None) -> keras.Model:
    """Load it with the module's classes: safe mode imports none, so Keras must know them first."""
    import keras

    own = {} if module is None else {key: value for key, value in vars(module).items() if isinstance(value, type)}
    return keras.saving.load_model(path, custom_objects=own, compile=False, safe_mode=True)


def explain_refusal(model: keras.Model, saved: bytes, module: ModuleType | None) -> str:
    """Why its saved form cannot be promoted, and what to do; empty if it can be.

    `module` is the module of a factory named by its file, which travels with its models; None for any other factory.
    """
    import keras

    from ...models.references import is_installed
    from ...models.training.keras_private import flatten_layers

    own = [layer for layer in flatten_layers(model) if type(layer).__module__.partition(".")[0] not in KERAS]
    for layer in flatten_layers(model):
        if isinstance(layer, keras.layers.Lambda):
            return f"{layer.name} is a Lambda layer, which is never loaded; write it as a custom layer"
    for kind in map(type, own):
        place, name = kind.__module__, kind.__name__
        if module is None:
            return f"{name} comes from {place}; name the factory by its file, which travels with its models (nets/mine.py:build)"
        if place != module.__name__ and not is_installed(place.partition(".")[0]):
            return f"{name} comes from {place}, which does not travel with its models; put it into the factory's file"
    return _compare_loaded(model, saved, module) if module is not None else ""


def _compare_loaded(model: keras.Model, saved: bytes, module: ModuleType) -> str:
    """How the loaded model differs from the saved one; empty if both predict the same."""
    import keras

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(saved)
        try:
            again = _load(path, module)
        except Exception as error:  # a custom layer may raise anything
            innermost = str(error).rpartition("Exception encountered: ")[2]  # Keras wraps it once for each object around it
            said = (innermost.strip().splitlines() or [""])[0][:200]
            return (
                f"saved and loaded again it fails ({said}); give each custom layer **kwargs in __init__ and a get_config, "
                "and register custom functions with @keras.saving.register_keras_serializable()"
            )
    raw = np.random.default_rng(0).integers(0, 256, (8, *model.inputs[0].shape[1:]))
    images = keras.ops.cast(raw, model.inputs[0].dtype)
    before, same, after = (np.asarray(one(images, training=False), "float32") for one in (model, model, again))
    if np.allclose(before, after, atol=1e-3) or not np.allclose(before, same, atol=1e-3):  # some models are random
        return ""
    return "saved and loaded again it predicts differently; give each custom layer a get_config that returns all its arguments"
