"""Runs in the evaluator's process: Keras's exporters write a model, and the format's own client runs it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import RunError
from ..system.silence import silence
from ..trials.saved_model import SavedModel, load_model
from .formats import Format

INPUT = "images"
AT_ONCE = 50  # images


@dataclass(frozen=True)
class Port:
    """The input or output of an exported model. The first number of the shape is None: any number of images."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


Client = tuple[Port, Port, Callable[[np.ndarray], np.ndarray]]  # and what predicts


def write(
    saved: SavedModel, form: Format, path: Path, calibration: np.ndarray | None = None, way: str = "take another format"
) -> None:
    """Write the model to `path`; in int8 if there are raw images to calibrate with.

    Raises RunError if Keras cannot; it ends with `way`, what to do then.
    """
    import keras

    with _quiet():
        model = load_model(saved)
        # Keras's exporters call it without `training`, and a layer such as Resizing would take that for training=True.
        images = model.inputs[0]
        model = keras.Model(images, model(images, training=False))
        signature = [keras.InputSpec(shape=(None, *images.shape[1:]), dtype=images.dtype, name=INPUT)]
        options = {} if calibration is None else _quantize(calibration.astype(images.dtype))
        if form.name == "onnx":
            _teach_erfc()
        try:
            model.export(str(path), format=form.keras, verbose=False, input_signature=signature, **options)
        except Exception as error:  # a converter may raise anything
            raise RunError(f"Keras cannot export this model to {form.name} ({_shorten(error)}); {way}.") from None


def run(form: Format, path: Path, images: np.ndarray) -> tuple[Port, Port, np.ndarray]:
    """Load the exported model as other tools do. Returns its input, its output, and its probabilities of the raw images."""
    from ...models.training.batches import limit_batch

    with _quiet():
        try:
            given, made, predict = CLIENTS[form.name](path)
            count = limit_batch(images.shape[1], images.shape[2], AT_ONCE)
            batches = [images[first : first + count].astype(given.dtype) for first in range(0, len(images), count)]
            return given, made, np.concatenate([np.array(predict(batch)) for batch in batches])
        except Exception as error:
            raise RunError(f"the exported {form.file} does not run ({_shorten(error)}); take another format.") from None


def _open_onnx(path: Path) -> Client:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,), (made,) = session.get_inputs(), session.get_outputs()

    def describe(port: Any) -> Port:
        kind = port.type.removeprefix("tensor(").removesuffix(")")
        sizes = tuple(size if isinstance(size, int) else None for size in port.shape)
        return Port(port.name, {"float": "float32", "double": "float64"}.get(kind, kind), sizes)

    return describe(given), describe(made), lambda batch: session.run([made.name], {given.name: batch})[0]


def _open_litert(path: Path) -> Client:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(path)).get_signature_runner()
    ((given, its),), ((made, theirs),) = runner.get_input_details().items(), runner.get_output_details().items()

    def describe(name: str, port: dict[str, Any]) -> Port:
        sizes = tuple(None if size < 0 else int(size) for size in port["shape_signature"])
        return Port(name, np.dtype(port["dtype"]).name, sizes)

    return describe(given, its), describe(made, theirs), lambda batch: runner(**{given: batch})[made]


def _open_savedmodel(path: Path) -> Client:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    function = loaded.signatures["serving_default"]
    ((given, its),), ((made, theirs),) = function.structured_input_signature[1].items(), function.structured_outputs.items()

    def describe(name: str, port: Any) -> Port:
        return Port(name, port.dtype.name, tuple(port.shape.as_list()))

    def predict(batch: np.ndarray) -> np.ndarray:
        return loaded.signatures["serving_default"](**{given: tf.constant(batch)})[made].numpy()

    return describe(given, its), describe(made, theirs), predict


CLIENTS: dict[str, Callable[[Path], Client]] = {"onnx": _open_onnx, "litert": _open_litert, "savedmodel": _open_savedmodel}


def _quantize(calibration: np.ndarray) -> dict[str, Any]:
    """The converter's options for int8. Operations that have no int8 form stay in float32."""
    import tensorflow as tf

    def examples() -> Iterator[list[np.ndarray]]:
        for image in calibration:
            yield [image[None]]

    kinds = tf.lite.OpsSet
    return {
        "optimizations": [tf.lite.Optimize.DEFAULT],
        "representative_dataset": examples,
        "target_spec": {"supported_ops": [kinds.TFLITE_BUILTINS_INT8, kinds.TFLITE_BUILTINS]},
    }


def _teach_erfc() -> None:
    """Tell tf2onnx how to write Erfc, which it lacks and GELU needs: 1 - Erf."""
    from tf2onnx.handler import tf_op

    @tf_op("Erfc")
    class Erfc:
        @classmethod
        def version_9(cls, graph: Any, node: Any, **_: Any) -> None:
            values, outputs = node.input[0], list(node.output)
            form = {"shapes": node.output_shapes, "dtypes": node.output_dtypes}
            graph.remove_node(node.name)
            one = graph.make_const(f"{node.name}_one", np.ones((), np.float32))
            erf = graph.make_node("Erf", [values], **form)
            graph.make_node("Sub", [one.output[0], erf.output[0]], outputs=outputs, **form)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing of what exporters and converters print reaches the screen."""
    with silence(), contextlib.redirect_stdout(io.StringIO()):
        yield


def _shorten(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]
