"""The training options: the keys of a study file's [training] (or [space], searched). Each key is declared once, here. Pure."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

from . import losses
from .rules import EarlyStopping, Flag, Name, Number, Rule, Stopping

ADAMW_DECAY = 0.004  # if the study gives none: Keras's default


@dataclass(frozen=True)
class TrainOptions:
    """How a model is fitted. Rates and weights are per step; `warmup_epochs` counts epochs.

    Each key has the rule that checks it and makes its schema, and its description in docs/study.md. `optimizer` may also be a
    compiled model's own, serialized (compiled.py).
    """

    learning_rate: Annotated[float, Number(1e-12, 1e3), "at its highest; the schedule lowers it"] = 1e-3
    batch_size: Annotated[int, Number(1, 1_000_000, whole=True), "images"] = 32
    optimizer: Annotated[
        str,
        Name(("adam", "adamw", "sgd", "rmsprop", "nadam", "adagrad", "lion", "muon", "schedule_free_adamw")),
        "{names}; `muon` is for matrices, and trains biases, convolutions and the last layer by AdamW",
    ] = "adam"
    momentum: Annotated[float, Number(0, 1), "of `sgd` and `rmsprop`"] = 0.9
    nesterov: Annotated[bool, Flag(), "of `sgd`"] = False
    weight_decay: Annotated[float, Number(0, 1e3), "a step, decoupled (AdamW's); the default of `adamw` and `muon` is 0.004"] = (
        0.0
    )
    clip_norm: Annotated[float, Number(0, 1e9), "of all gradients together; 0 leaves them as they are"] = 0.0
    schedule: Annotated[
        str,
        Name(("constant", "cosine", "one_cycle", "exponential", "step", "plateau")),
        "{names}; over `max_epochs`, or with Keras Tuner's Hyperband over those of a round; `plateau` lowers the rate when the "
        "objective stalls, as Keras's ReduceLROnPlateau does, anew "
        "in each of those rounds; the default of `schedule_free_adamw` is `constant`",
    ] = "cosine"  # Keras has none: docs/decisions.md
    warmup_epochs: Annotated[
        float, Number(0, 100_000), "epochs in which the rate rises from 0; not of `one_cycle`, which rises by itself"
    ] = 0.0
    plateau_factor: Annotated[float, Number(0, 0.999), "what `plateau` multiplies the rate by"] = 0.1
    plateau_patience: Annotated[
        int, Number(1, 100_000, whole=True), "epochs without an improvement, before `plateau` lowers the rate; Keras's own is 10"
    ] = 2
    plateau_min_rate: Annotated[float, Number(0, 1e3), "where `plateau` lowers the rate no further"] = 0.0
    frozen_epochs: Annotated[
        int, Number(0, 100_000, whole=True), "the first epochs, in which layers are frozen; 0 freezes none"
    ] = 0
    frozen_share: Annotated[
        float, Number(0, 1), "of the layers with weights, from the images on, are frozen then; 1 freezes all but the last"
    ] = 1.0
    fine_tune_share: Annotated[float, Number(0, 1), "of the frozen layers, the last ones, train after these epochs"] = 1.0
    fine_tune_factor: Annotated[float, Number(0, 1), "what the rate is multiplied by after these epochs"] = 0.1
    ema: Annotated[
        float,
        Number(0, 0.9999),
        "momentum of an average of the weights (Keras's `use_ema`), such as 0.99: the average is validated and kept; 0 for none",
    ] = 0.0
    loss: Annotated[
        str,
        Name(tuple(losses.KERAS), references=True),
        "{names}, or a function of one-hot labels and probabilities, both (n, classes), that returns (n,): "
        '`"my_pkg.my_module:function"` or `"nets/mine.py:function"`',
    ] = losses.CROSSENTROPY
    label_smoothing: Annotated[float, Number(0, 0.99), "share of a label that is spread over all classes"] = 0.0
    class_weight: Annotated[str, Name(("none", "balanced")), "{names}"] = "none"
    precision: Annotated[str, Name(("auto", "float32", "bfloat16")), "{names}; `auto` is measured once per study"] = "auto"
    flip: Annotated[float, Number(0, 1), "probability of a left-right flip"] = 0.0
    shift: Annotated[float, Number(0, 1000), "pixels, at most, each way"] = 0.0
    rotate: Annotated[float, Number(0, 180), "degrees, at most, each way"] = 0.0
    erase: Annotated[float, Number(0, 0.9), "share of the image that a random box blanks"] = 0.0
    mixup: Annotated[float, Number(0, 100), "alpha of its Beta distribution"] = 0.0
    cutmix: Annotated[float, Number(0, 100), "alpha of its Beta distribution"] = 0.0
    tta: Annotated[
        str,
        Name(("none", "flip", "shift", "flip_shift")),
        "{names}: test-time augmentation. `val_tta_accuracy` and `val_tta_loss` are of the best epoch's mean predictions, over "
        "each image as it is, flipped, moved by a pixel each way, or both; the model is the same",
    ] = "none"
    early_stopping: Annotated[
        EarlyStopping | None,
        Stopping(),
        "`{ patience = 3, min_delta = 0.0 }`, in epochs and of the objective (of `val_loss`, as the best epoch is, if the "
        "objective is known at a trial's end only: `val_macro_f1`, `latency_ms`, …); `false` turns it off",
    ] = None


NAMES = tuple(field.name for field in dataclasses.fields(TrainOptions))
COMPILED = (  # what a compiled model sets itself
    "learning_rate", "optimizer", "momentum", "nesterov", "weight_decay", "clip_norm", "schedule", "warmup_epochs",
    "plateau_factor", "plateau_patience", "plateau_min_rate", "frozen_epochs", "frozen_share", "fine_tune_share",
    "fine_tune_factor", "loss", "label_smoothing",
)  # fmt: skip
_DECLARED = {  # by name: the rule, and the description in the reference
    name: kind.__metadata__ for name, kind in get_type_hints(TrainOptions, include_extras=True).items()
}


def check(name: str, value: Any, section: str = "training") -> Any:
    """The value as the option of that name holds it. Raises ModelError naming the option, what was expected and what came.

    `section` of the study file is where it stands.
    """
    return _DECLARED[name][0].check(f"{section}.{name}", value)


def split(values: Mapping[str, Any]) -> tuple[TrainOptions, dict[str, Any]]:
    """Split a trial's values into the training options and the factory's values. Raises ModelError naming the option."""
    mine = {name: check(name, value) for name, value in values.items() if name in NAMES}
    if mine.get("optimizer") in ("adamw", "muon"):
        mine.setdefault("weight_decay", ADAMW_DECAY)
    if mine.get("optimizer") == "schedule_free_adamw":
        mine.setdefault("schedule", "constant")
    return TrainOptions(**mine), {name: value for name, value in values.items() if name not in NAMES}


def schema() -> dict[str, Any]:
    """The JSON Schema of each option, by name, with what it is and its default."""
    defaults = vars(TrainOptions())
    return {
        name: {**rule.schema(), "description": _explain(rule, says)}
        | ({} if defaults[name] is None else {"default": defaults[name]})
        for name, (rule, says) in _DECLARED.items()
    }


def table() -> str:
    """The options as the Markdown table in docs/study.md."""
    rows = ["| key | default | what it is |", "| --- | --- | --- |"]
    defaults = vars(TrainOptions())
    for name, (rule, says) in _DECLARED.items():
        default = "–" if defaults[name] is None else f"`{json.dumps(defaults[name])}`"
        rows.append(f"| `{name}` | {default} | {_explain(rule, says)} |")
    return "\n".join(rows)


def _explain(rule: Rule, says: str) -> str:
    """What the option is, with the names that it may have."""
    return says.replace("{names}", ", ".join(f"`{one}`" for one in rule.names)) if isinstance(rule, Name) else says
