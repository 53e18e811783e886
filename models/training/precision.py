"""Which precision trains a model faster on this machine: measured on a few steps, to decide "auto" once per study."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from .clone import signature, walk_layers
from .options import TrainOptions
from .program_cache import get_program
from .records import TrialValues

STEPS = 12
WORTH = 1.1  # how many times faster bfloat16 must be
HOPELESS = 3.0  # times slower, and the timing stops
CPUINFO = Path("/proc/cpuinfo")  # of Linux
CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.SeparableConv2D, keras.layers.DepthwiseConv2D)


def choose_precision(build: Callable[[str], keras.Model], options: TrainOptions, num_classes: int) -> str:
    """ "float32" or "bfloat16". `build(policy)` makes the model under a Keras dtype policy. Dense networks gain nothing here."""
    if not has_bfloat16():
        return "float32"
    model = build("float32")
    if signature(model) is None or not any(isinstance(layer, CONVOLUTIONS) for layer in walk_layers(model)):
        return "float32"
    plain = _time_steps(model, options, num_classes)
    try:
        mixed = _time_steps(build("mixed_bfloat16"), options, num_classes, HOPELESS * plain)
    except Exception:  # a custom layer may support float32 alone, and the study did not ask for bfloat16
        return "float32"
    return "bfloat16" if plain > WORTH * mixed else "float32"


def has_bfloat16(file: Path = CPUINFO) -> bool:
    """Whether this machine may compute in bfloat16: it has a GPU, or its processor has instructions for it, or lists none."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []
    listed = next((line for line in lines if line.startswith(("flags", "Features"))), "bf16")
    return "bf16" in listed or bool(tf.config.list_physical_devices("GPU"))


def _time_steps(model: keras.Model, options: TrainOptions, num_classes: int, enough: float = float("inf")) -> float:
    """The shortest of three timings of STEPS steps on random images, in seconds; stops after one above `enough` seconds."""
    rng = np.random.default_rng(0)
    count = STEPS * options.batch_size
    images = tf.constant(rng.integers(0, 256, (count, *model.inputs[0].shape[1:]), dtype="uint8"))
    labels = tf.constant(rng.integers(0, num_classes, count))
    program = get_program(model, options, num_classes)  # kept: what trains this model next need not trace it again
    program.load(model, TrialValues(options))
    order = tf.range(count)
    program.train(images, labels, order, range(0, 1))  # traces
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        program.train(images, labels, order, range(0, STEPS))
        times.append(time.perf_counter() - begun)
        if times[-1] > enough:
            break
    return min(times)
