"""MLflow's folder of a model, with the layout of `mlflow.tensorflow.save_model`, without importing TensorFlow.

The coordinator logs models and must stay light; a test compares this layout with MLflow's own.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mlflow.pyfunc
import yaml
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec
from numpy import dtype

DATA = "data"
CODE = "code"


@dataclass(frozen=True)
class ModelFile:
    """A trained model as bytes, its input shape and number of classes, and the source file of a custom factory."""

    keras: bytes
    input_shape: tuple[int, int, int]
    num_classes: int
    source: Path | None = None


def list_requirements() -> list[str]:
    """The packages that you need to load the model, at the versions that made it."""
    return [f"{name}=={importlib.metadata.version(name)}" for name in ("mlflow", "tensorflow", "keras", "numpy")]


def write(model: ModelFile, folder: Path, model_id: str | None, extra: Mapping[str, str]) -> None:
    """Fill the (empty) folder. `extra` are further text files by relative path."""
    data = folder / DATA
    data.mkdir(parents=True)
    (data / "model.keras").write_bytes(model.keras)
    (data / "keras_module.txt").write_text("tensorflow.keras", encoding="utf-8")
    (data / "save_format.txt").write_text("tf", encoding="utf-8")
    code = None
    if model.source is not None:
        code = CODE
        (folder / CODE).mkdir()
        (folder / CODE / model.source.name).write_bytes(model.source.read_bytes())
    for name, text in extra.items():
        (folder / name).write_text(text, encoding="utf-8")
    _environment(folder, list_requirements())
    record = Model(signature=make_signature(model.input_shape, model.num_classes), model_id=model_id)
    record.add_flavor(
        "tensorflow",
        data=DATA,
        model_type="keras",
        keras_version=importlib.metadata.version("tensorflow"),  # what MLflow writes: tf.keras's version
        save_format="tf",  # MLflow's word for "not HDF5"; the file is .keras
        code=code,
    )
    mlflow.pyfunc.add_to_model(
        record, loader_module="mlflow.tensorflow", data=DATA, code=code, conda_env="conda.yaml", python_env="python_env.yaml"
    )
    record.model_size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    record.save(str(folder / "MLmodel"))


def make_signature(input_shape: Sequence[int], num_classes: int) -> ModelSignature:
    """uint8 images (n, height, width, channels) in, float32 probabilities (n, classes) out."""
    return ModelSignature(
        Schema([TensorSpec(dtype("uint8"), (-1, *input_shape))]), Schema([TensorSpec(dtype("float32"), (-1, num_classes))])
    )


def _environment(folder: Path, packages: list[str]) -> None:
    python = platform.python_version()
    conda = {
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": packages}],
        "name": "mlflow-env",
    }
    (folder / "conda.yaml").write_text(yaml.safe_dump(conda, sort_keys=False), encoding="utf-8")
    env = {"python": python, "build_dependencies": ["pip", "setuptools", "wheel"], "dependencies": ["-r requirements.txt"]}
    (folder / "python_env.yaml").write_text(yaml.safe_dump(env, sort_keys=False), encoding="utf-8")
    (folder / "requirements.txt").write_text("\n".join(packages), encoding="utf-8")
