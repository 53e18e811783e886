"""The formats by name: the file of each, Keras's name of it, and the packages that it needs."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from ...search.errors import unknown
from ..errors import InputError


@dataclass(frozen=True)
class Format:
    """A format: its name, its file or folder, Keras's name of it, the packages that write and run it, and Tailor's extra."""

    name: str
    file: str
    keras: str
    packages: tuple[str, ...] = ()
    extra: str = ""


FORMATS = {
    one.name: one
    for one in (
        Format("onnx", "model.onnx", "onnx", ("onnx", "tf2onnx", "onnxruntime"), "onnx"),
        Format("litert", "model.tflite", "litert", ("ai_edge_litert",), "litert"),
        Format("savedmodel", "saved_model", "tf_saved_model"),
    )
}


def find_format(name: str, option: str = "--format") -> Format:
    """The format that `option` names. Raises InputError if a package that it needs is missing, StudyError if there is none."""
    if name not in FORMATS:
        raise unknown(option, name, list(FORMATS))
    found = FORMATS[name]
    missing = [package for package in found.packages if importlib.util.find_spec(package) is None]
    if missing:
        names = ", ".join(missing).replace("_", "-")
        raise InputError(f"{option}: {name} needs {names}; run: pip install 'tailor-hpo[{found.extra}]'")
    return found
