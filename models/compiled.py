"""A compiled model's own optimizer and loss as training options, and the model with the inputs and outputs that Tailor needs.

The optimizer is stored as its serialized config, in place of a name. A constant learning rate and the weight decay, which vary
between trials, are values beside it, so that trials that differ only in those share one trace.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable

import keras

from .errors import ModelError
from .interface import adapt_input
from .outputs import add_softmax
from .training import optimizers
from .training.clone import walk_layers
from .training.keras_private import excludes_weights_from_decay, get_learning_rate
from .training.keras_step import has_custom_step
from .training.losses import CROSSENTROPY, KERAS
from .training.options import COMPILED, TrainOptions

LOSSES = {"sparse_categorical_crossentropy": CROSSENTROPY, **{theirs: ours for ours, theirs in KERAS.items()}}

DIVIDING = ("Divide", "TrueDivide", "Multiply")  # operations, such as in images / 255.0
SCALING = (keras.layers.Rescaling, keras.layers.Normalization, keras.layers.BatchNormalization, keras.layers.LayerNormalization)
RATES = (keras.Variable, keras.optimizers.schedules.LearningRateSchedule)


def adopt(name: str, model: keras.Model, options: TrainOptions, shape: tuple[int, int, int]) -> tuple[keras.Model, TrainOptions]:
    """The model, uncompiled, for raw images of (height, width, channels) and with probabilities at its end, and the options
    with its optimizer and loss. Raises ModelError for what compile() lacks, or what Tailor cannot train with.
    """
    if not model.compiled or model.optimizer is None:
        raise ModelError(f"model {name!r}: expected a compiled model; call model.compile(optimizer, loss) in build(hp).")
    loss, smoothing, logits = _loss(name, model)
    serialized, rate, decay = _optimizer(name, model.optimizer)
    options = dataclasses.replace(
        options, optimizer=serialized, learning_rate=rate, weight_decay=decay, loss=loss, label_smoothing=smoothing
    )
    model.compiled = False  # a saved model needs none of it
    return _end(name, adapt_input(name, model, shape), logits), options


def has_scaling(model: keras.Model) -> bool:
    """Whether something in the model scales its inputs."""
    inside = list(walk_layers(model))
    operations = [operation for part in (model, *inside) for operation in getattr(part, "operations", ())]
    divided = (type(one).__name__ in DIVIDING and not isinstance(one, keras.layers.Layer) for one in operations)
    return any(divided) or any(isinstance(layer, SCALING) for layer in inside)


def _optimizer(name: str, optimizer: keras.optimizers.Optimizer) -> tuple[str, float, float]:
    """The optimizer serialized, its rate (0 if a schedule gives it) and its weight decay."""
    for wrong, what in (
        (isinstance(optimizer, keras.optimizers.LossScaleOptimizer), "a LossScaleOptimizer; give the optimizer inside it"),
        (bool(optimizer.gradient_accumulation_steps), "gradient_accumulation_steps; raise batch_size instead"),
        (optimizer.use_ema, "use_ema; remove it, and set `ema` in the study"),
        (not isinstance(get_learning_rate(optimizer), RATES), "a function for its rate; give a number or a LearningRateSchedule"),
        (excludes_weights_from_decay(optimizer), "exclude_from_weight_decay; remove it"),
        (_is_local(optimizer), "a class that is made in a function, perhaps of a trial's values; move it to the top of its file"),
    ):
        if wrong:
            raise ModelError(f"model {name!r}: expected an optimizer that Tailor can train with, got one with {what}.")
    try:
        plain = keras.optimizers.serialize(optimizer)
        config = plain["config"]
        rate, decay = config["learning_rate"], config["weight_decay"]
        config |= {"name": None, "loss_scale_factor": None}  # scaling the loss up and its gradients down changes nothing
        if isinstance(rate, float):
            config["learning_rate"] = 0.0
        if decay is not None:
            config["weight_decay"] = 0.0
        serialized = json.dumps(plain, sort_keys=True, default=float)
        optimizers.read(serialized)
    except Exception as error:  # of the user's get_config or __init__, or Keras's
        said = (str(error).strip().splitlines() or [""])[0].partition(". ")[0][:200]
        raise ModelError(
            f"model {name!r}: expected an optimizer that can be made again of its config, got {type(optimizer).__name__} "
            f"({type(error).__name__}: {said}); give each custom optimizer or schedule a whole get_config, and register it with "
            "@keras.saving.register_keras_serializable()."
        ) from error
    return serialized, rate if isinstance(rate, float) else 0.0, float(decay or 0.0)


def _is_local(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether a class of it is made in a function, and is not one that its module made once."""
    return any(
        "<locals>" in kind.__qualname__ and not any(kind is one for one in vars(sys.modules[kind.__module__]).values())
        for kind in map(type, (optimizer, get_learning_rate(optimizer)))
    )


def _loss(name: str, model: keras.Model) -> tuple[str, float, bool]:
    """Tailor's name for the compiled loss, its label smoothing, and whether it takes logits."""
    if model.loss is None and has_custom_step(model):
        return CROSSENTROPY, 0.0, False
    loss = keras.losses.get(model.loss) if isinstance(model.loss, str) else model.loss
    function = getattr(loss, "fn", loss)
    ours = next((ours for theirs, ours in LOSSES.items() if getattr(keras.losses, theirs) is function), None)
    if ours is None:
        raise ModelError(
            f"model {name!r}: expected it to be compiled with one of Keras's {', '.join(LOSSES)}, got {model.loss!r}; "
            'use one of those, or a factory (api = "tailor") with training.loss = "pkg.mod:function".'
        )
    if model.get_compile_config()["loss_weights"] not in (None, 1, [1]):
        raise ModelError(f"model {name!r}: it is compiled with loss_weights, which Tailor does not support; remove them.")
    if not isinstance(loss, keras.losses.Loss):
        return ours, 0.0, False
    config, plain = loss.get_config(), type(loss)().get_config()
    free = ("name", "from_logits", "label_smoothing")
    if other := [key for key, value in config.items() if key not in free and value != plain[key]]:
        raise ModelError(
            f"model {name!r}: its loss has {other[0]} = {config[other[0]]!r}, which Tailor does not support; remove it."
        )
    return ours, float(config.get("label_smoothing", 0.0)), bool(config.get("from_logits", False))


def refuse_options(name: str, given: Iterable[str]) -> None:
    """Raise ModelError if a study sets what a compiled model sets itself."""
    for option in sorted(set(given) & set(COMPILED)):
        raise ModelError(
            f"{option}: stands in [training] or [space], and model {name!r} is compiled with its own optimizer and loss; "
            "set it there, or return the model without compile()."
        )


def _end(name: str, model: keras.Model, logits: bool) -> keras.Model:
    """The model with probabilities at its end, if its loss takes logits."""
    if not logits:
        return model
    if has_custom_step(model):
        raise ModelError(
            f"model {name!r}: with a custom step or loss it must end with a softmax, and its loss must take no logits."
        )
    return add_softmax(model)
