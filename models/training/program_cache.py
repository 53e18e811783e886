"""Which program trains a model: an earlier one for the same architecture and rules, or a new one; and when XLA compiles it."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from typing import Any

import keras
import tensorflow as tf

from . import losses
from .augmentation import STRENGTHS
from .clone import clone_or_keep, signature, walk_layers
from .options import TrainOptions
from .program import Program
from .random import Clock

KEPT_PROGRAMS = 8
COMPILED_STEPS, COMPILED_STEPS_NARROW = 12_000, 2_000  # a fit this long repays XLA's compilation of 1 to 3 seconds
NARROW = 100_000  # parameters; below, most time goes into starting operations, and XLA saves most of that
XLA_LAYERS = (
    keras.layers.Rescaling,
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Dense,
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.Dropout,  # RatedDropout replaces it
    keras.layers.Add,
    keras.layers.Concatenate,
)


_programs: OrderedDict[tuple[str, TrainOptions, str, int, bool], Program] = OrderedDict()


def get_program(model: keras.Model, options: TrainOptions, num_classes: int, steps: int = 0) -> Program:
    """The program for a fresh model: an earlier one if the architecture and rules are the same, else a new one.

    `steps` is the total number to come: XLA's compilation takes a second, which only a longer fit repays.
    """
    shape = signature(model)
    if shape is None:
        return Program(model, Clock(), options, num_classes, compiled=False)
    repaid = steps >= (COMPILED_STEPS_NARROW if model.count_params() <= NARROW else COMPILED_STEPS)
    on_cpu = suits_xla(model) and not any(getattr(options, name) for name in STRENGTHS)
    compiled = repaid and (on_cpu or bool(tf.config.list_logical_devices("GPU")))
    key = (shape, _blank_values(options), losses.find_module(options.loss), num_classes, compiled)
    if key not in _programs:
        made, clock = clone_or_keep(model)
        if made is model:
            return Program(model, clock, options, num_classes, compiled=False)
        _programs[key] = Program(made, clock, options, num_classes, compiled)
        if len(_programs) > KEPT_PROGRAMS:
            _programs.popitem(last=False)
    _programs.move_to_end(key)
    return _programs[key]


def suits_xla(model: keras.Model) -> bool:
    """Whether XLA speeds the model up on a CPU: dense layers in float32. On convolutions and bfloat16 it is many times slower."""
    return all(type(layer) in XLA_LAYERS and layer.compute_dtype in ("float32", "uint8") for layer in walk_layers(model))


def _blank_values(options: TrainOptions) -> TrainOptions:
    """The options without the values that do not shape the graph; whether a value is 0 does shape it."""
    values: dict[str, Any] = {
        "precision": "float32",  # it stands in the signature, as the layers' own
        "learning_rate": 0.0,
        "warmup_epochs": 0.0,
        "plateau_factor": 0.0,
        "plateau_patience": 0,
        "plateau_min_rate": 0.0,
        "frozen_epochs": 0,  # which layers are frozen stands in the model's signature
        "frozen_share": 0.0,
        "fine_tune_share": 0.0,
        "fine_tune_factor": 0.0,
        "early_stopping": None,
        **{name: float(getattr(options, name) > 0) for name in ("label_smoothing", "weight_decay", "ema", *STRENGTHS)},
    }
    return dataclasses.replace(options, **values)
