"""The training options by name, checked: what a study file's [training] (or [space], searched) may say. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ModelError
from . import losses

OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop", "nadam", "adagrad", "lion")
SCHEDULES = ("constant", "cosine", "one_cycle", "exponential", "step")
PRECISIONS = ("auto", "float32", "bfloat16")
CLASS_WEIGHTS = ("none", "balanced")
ADAMW_DECAY = 0.004  # where none is given: Keras's own


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the objective has not improved by more than `min_delta` for `patience` epochs."""

    patience: int = 3
    min_delta: float = 0.0


@dataclass(frozen=True)
class TrainOptions:
    """How a model is fitted. Rates and weights are per step; `warmup_epochs` counts epochs."""

    learning_rate: float = 1e-3
    batch_size: int = 32
    optimizer: str = "adam"  # of OPTIMIZERS, or a compiled model's own, serialized (compiled.py)
    momentum: float = 0.9  # of sgd and rmsprop
    nesterov: bool = False
    weight_decay: float = 0.0  # of adamw ADAMW_DECAY
    clip_norm: float = 0.0  # of all gradients together; 0 leaves them as they are
    schedule: str = "cosine"  # Keras has none: docs/decisions.md
    warmup_epochs: float = 0.0
    loss: str = losses.CROSSENTROPY  # of losses.KERAS, or "pkg.mod:function"
    label_smoothing: float = 0.0
    class_weight: str = "none"
    precision: str = "auto"  # decided once per study, by measuring
    flip: float = 0.0  # probability of a left-right flip
    shift: float = 0.0  # pixels, at most, each way
    rotate: float = 0.0  # degrees, at most, each way
    erase: float = 0.0  # share of the image that a random box blanks
    mixup: float = 0.0  # alpha of its Beta distribution
    cutmix: float = 0.0  # alpha of its Beta distribution
    early_stopping: EarlyStopping | None = None


NAMES = tuple(field.name for field in dataclasses.fields(TrainOptions))
COMPILED = (  # what a compiled model says itself
    "learning_rate", "optimizer", "momentum", "nesterov", "weight_decay", "clip_norm", "schedule", "warmup_epochs", "loss",
    "label_smoothing",
)  # fmt: skip
_RANGES: dict[str, tuple[float, float]] = {  # both ends belong to it
    "learning_rate": (1e-12, 1e3),
    "batch_size": (1, 1_000_000),
    "momentum": (0, 1),
    "weight_decay": (0, 1e3),
    "clip_norm": (0, 1e9),
    "warmup_epochs": (0, 100_000),
    "label_smoothing": (0, 0.99),
    "flip": (0, 1),
    "shift": (0, 1000),
    "rotate": (0, 180),
    "erase": (0, 0.9),
    "mixup": (0, 100),
    "cutmix": (0, 100),
}
_NAMED: dict[str, tuple[str, ...]] = {
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "class_weight": CLASS_WEIGHTS,
    "loss": tuple(losses.KERAS),
    "precision": PRECISIONS,
}


def schema() -> dict[str, Any]:
    """The JSON Schema of each option, by name."""
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    found: dict[str, Any] = {}
    for field in dataclasses.fields(TrainOptions):
        if field.name in _NAMED:
            names = {"enum": list(_NAMED[field.name])}
            own = {"type": "string", "pattern": ":"}
            found[field.name] = {"anyOf": [names, own]} if field.name == "loss" else names
        elif field.name == "early_stopping":
            table = {"patience": {"type": "integer", "minimum": 1}, "min_delta": {"type": "number", "minimum": 0}}
            found[field.name] = {
                "anyOf": [{"const": False}, {"type": "object", "properties": table, "additionalProperties": False}]
            }
        else:
            found[field.name] = {"type": kinds[type(field.default)]}
            if field.name in _RANGES:
                low, high = _RANGES[field.name]
                found[field.name] |= {"minimum": low, "maximum": high}
    return found


def split(values: Mapping[str, Any]) -> tuple[TrainOptions, dict[str, Any]]:
    """Take the training options out of a trial's values; the rest are the factory's. Raises ModelError naming the option."""
    mine = {name: _checked(name, value) for name, value in values.items() if name in NAMES}
    if mine.get("optimizer") == "adamw":
        mine.setdefault("weight_decay", ADAMW_DECAY)
    return TrainOptions(**mine), {name: value for name, value in values.items() if name not in NAMES}


def _checked(name: str, value: Any) -> Any:
    if name in _NAMED:
        own = name == "loss" and isinstance(value, str) and ":" in value
        if value not in _NAMED[name] and not own:
            raise ModelError(f"training.{name}: expected one of {', '.join(_NAMED[name])}, got {value!r}.")
        return value
    if name == "nesterov":
        if not isinstance(value, bool):
            raise ModelError(f"training.nesterov: expected true or false, got {value!r}.")
        return value
    if name == "early_stopping":
        return _early_stopping(value)
    low, high = _RANGES[name]
    whole = name == "batch_size"
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= float(value) <= high:
        noun = "a whole number" if whole else "a number"
        raise ModelError(f"training.{name}: expected {noun} from {low:g} to {high:g}, got {value!r}.")
    return value if whole else float(value)


def _early_stopping(value: Any) -> EarlyStopping | None:
    if value is False:
        return None
    known = tuple(field.name for field in dataclasses.fields(EarlyStopping))
    if not isinstance(value, Mapping) or not set(value) <= set(known):
        raise ModelError(f"training.early_stopping: expected a table of {', '.join(known)}, or false; got {value!r}.")
    stopping = EarlyStopping(**value)
    if type(stopping.patience) is not int or stopping.patience < 1:
        raise ModelError(
            f"training.early_stopping.patience: expected a whole number of epochs above 0, got {stopping.patience!r}."
        )
    if not isinstance(stopping.min_delta, (int, float)) or stopping.min_delta < 0:
        raise ModelError(f"training.early_stopping.min_delta: expected a number from 0 up, got {stopping.min_delta!r}.")
    return stopping
