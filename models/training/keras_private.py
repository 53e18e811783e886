"""Keras's private names that Tailor uses, each with the reason. Checked with Keras 3.15.1; a test shows which is gone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def flatten_layers(model: keras.Model, include_self: bool = True) -> Iterator[Any]:
    """Every layer of a model, also inside layers and nested models. The public `model.layers` is not recursive."""
    return model._flatten_layers(include_self=include_self)


def get_seed_generators(layer: Any) -> list[Any]:
    """What a layer draws from: a clone must begin with its model's seeds. Nothing public lists them."""
    return layer._seed_generators


def get_last_operation(model: keras.Model) -> Any:
    """The layer or operation that makes the model's first output; None for a model by its `call`. Only its tensor is public."""
    outputs = getattr(model, "outputs", None)
    history = getattr(outputs[0], "_keras_history", None) if outputs else None
    return None if history is None else history.operation


def get_sources(operation: Any) -> list[Any]:
    """The operations whose outputs a functional model's operation takes, at its last use. Only `operation.input` is public."""
    nodes = operation._inbound_nodes
    return [tensor._keras_history.operation for tensor in nodes[-1].input_tensors] if nodes else []


def get_learning_rate(optimizer: keras.optimizers.Optimizer) -> Any:
    """The optimizer's rate as given: a variable, a schedule or a function. `learning_rate` is its value at this step."""
    return optimizer._learning_rate


def excludes_weights_from_decay(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether some weights do not decay. A method sets it, and no config holds it."""
    return any(getattr(optimizer, f"_exclude_from_weight_decay{part}", None) for part in ("", "_pattern"))


def get_adam_slots(optimizer: keras.optimizers.Adam | keras.optimizers.ScheduleFreeAdamW, variable: Any) -> tuple[Any, Any]:
    """A weight's first and second moment, which the fused kernel updates. Only the flat list of variables is public.

    The first of ScheduleFreeAdamW is a second copy of the weight.
    """
    index = optimizer._get_variable_index(variable)
    return optimizer._momentums[index], optimizer._velocities[index]


def get_momentum_slot(optimizer: keras.optimizers.SGD, variable: Any) -> Any:
    """A weight's momentum; private as in `get_adam_slots`."""
    return optimizer.momentums[optimizer._get_variable_index(variable)]


def get_averages(optimizer: keras.optimizers.Optimizer) -> list[Any]:
    """The averages of the weights that an optimizer with `use_ema` trains, in their order. Nothing public lists them."""
    return optimizer._model_variables_moving_average


def skip_all_reduce(optimizer: keras.optimizers.Optimizer) -> None:
    """Leave gradients as they are: there is one replica, so there is nothing to reduce.

    TensorFlow's all_reduce also adds a gradient function to a table of the process, which keeps the graph alive for ever:
    eight megabytes per trial.
    """
    optimizer._all_reduce_sum_gradients = list


@contextmanager
def draw_seeds_from(generator: random.Random) -> Iterator[None]:
    """Inside the block Keras's initial seeds come from `generator`.

    Keras takes them from Python's `random`, which the whole process shares: if another thread draws from it (Dask's sometimes
    do), the network begins with other weights. There is no public way.
    """
    from keras.src.random import seed_generator

    shared = seed_generator.python_random
    seed_generator.python_random = generator
    try:
        yield
    finally:
        seed_generator.python_random = shared
