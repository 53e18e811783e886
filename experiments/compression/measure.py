"""What a model costs in use: latency of one image and peak memory, each model in a process of its own, with one thread."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

from ..errors import RunError
from ..trials.evaluator import Evaluator
from ..trials.saved_model import SavedModel, load_model
from .records import Cost
from .timing import time_calls


def measure_keras(saved: SavedModel) -> Cost:
    """The cost of a .keras file, called as a traced function of TensorFlow; its memory includes TensorFlow."""
    with Evaluator(threads=1) as evaluator:
        return evaluator.call(_time_keras, saved)


def measure_litert(path: Path) -> Cost:
    """The cost of a .tflite file by LiteRT's interpreter, in a process without TensorFlow."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", f"{__package__}.timing", str(path)],
        check=False,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode:
        raise RunError(f"LiteRT does not run {path.name}: {(done.stderr.strip().splitlines() or ['it died'])[-1][:300]}")
    return Cost(*json.loads(done.stdout.splitlines()[-1]))


def count_gzipped(data: bytes) -> int:
    """The bytes after gzip: what a download takes. Zeros pay there, and nowhere else."""
    return len(gzip.compress(data, 9, mtime=0))


def _time_keras(saved: SavedModel) -> Cost:
    import tensorflow as tf

    model = load_model(saved)
    images = tf.zeros((1, *model.inputs[0].shape[1:]), tf.as_dtype(model.inputs[0].dtype))
    signature = [tf.TensorSpec(images.shape, images.dtype)]
    call = tf.function(lambda batch: model(batch, training=False), input_signature=signature, autograph=False)
    return Cost(*time_calls(lambda: call(images).numpy()))
