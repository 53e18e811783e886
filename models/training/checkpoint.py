"""The state of a fit, and the checkpoint that holds it: bytes of an .npz without pickles, from which a fit resumes exactly.

Everything random in a fit is a function of (seed, epoch, step), so it keeps no generator's state.
"""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from .program import Program
from .records import Predictions, Totals

DAMAGED = (ValueError, OSError, EOFError, KeyError, zlib.error, zipfile.BadZipFile)  # what reading a cut file raises


@dataclass
class FitState:
    """A fit under way: `step` steps of `epoch` (from 1) are done, with `totals`; the epochs before it are in `history`."""

    epoch: int
    step: int = 0
    totals: Totals = field(default_factory=Totals)
    seconds: float = 0.0
    phase: int = 0  # the one whose program trains: freezing.py
    history: list[Mapping[str, float]] = field(default_factory=list)
    best: Mapping[str, float] | None = None
    best_epoch: int = 0
    best_weights: Sequence[np.ndarray] = ()
    validation: Predictions | None = None  # of the best epoch


def pack(state: FitState, program: Program, identity: str) -> bytes:
    """The checkpoint of a fit; `identity` names the fit."""
    header = {
        "identity": identity,
        "epoch": state.epoch,
        "step": state.step,
        "totals": dataclasses.asdict(state.totals),
        "seconds": state.seconds,
        "phase": state.phase,
        "history": [dict(metrics) for metrics in state.history],
        "best": None if state.best is None else dict(state.best),
        "best_epoch": state.best_epoch,
    }
    arrays = {f"variable_{i}": variable.numpy() for i, variable in enumerate(_list_variables(program))}
    arrays |= {f"best_{i}": value for i, value in enumerate(state.best_weights)}
    if state.validation is not None:
        header["validation"] = [state.validation.loss, state.validation.accuracy]
        arrays |= {"labels": state.validation.labels, "confidence": state.validation.confidence}
    file = io.BytesIO()
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), "uint8")
    plain: dict[str, Any] = {name: _widen(value) for name, value in arrays.items()}
    np.savez(file, **plain)
    return file.getvalue()


def read_phase(checkpoint: bytes, identity: str) -> int | None:
    """The phase whose program the checkpoint fits; None if it is damaged or of another fit."""
    try:
        with np.load(io.BytesIO(checkpoint), allow_pickle=False) as file:
            header = json.loads(file["header"].tobytes())
        return int(header["phase"]) if header["identity"] == identity else None
    except DAMAGED:
        return None


def unpack(checkpoint: bytes, program: Program, identity: str) -> FitState | None:
    """Set the program's variables from the checkpoint. If it is damaged or of another fit, returns None and changes nothing."""
    try:
        with np.load(io.BytesIO(checkpoint), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays["header"].tobytes())
    except DAMAGED:
        return None
    if header["identity"] != identity:
        return None
    variables = _list_variables(program)
    kept = [arrays.get(f"variable_{i}") for i in range(len(variables))]
    count = sum(name.startswith("variable_") for name in arrays)
    if count != len(variables) or any(v is None or v.shape != tuple(u.shape) for v, u in zip(kept, variables, strict=True)):
        return None
    for variable, value in zip(variables, kept, strict=True):
        variable.assign(tf.cast(value, variable.dtype))
    validation = None
    if "validation" in header:
        loss, accuracy = header["validation"]
        validation = Predictions(loss, accuracy, arrays["labels"], arrays["confidence"])
    return FitState(
        epoch=header["epoch"],
        step=header["step"],
        totals=Totals(**header["totals"]),
        seconds=header["seconds"],
        phase=header["phase"],
        history=header["history"],
        best=header["best"],
        best_epoch=header["best_epoch"],
        best_weights=[arrays[f"best_{i}"] for i in range(sum(name.startswith("best_") for name in arrays))],
        validation=validation,
    )


def _list_variables(program: Program) -> list:
    """All that training changes: weights, the optimizer's state, and the seeds of layers with their own draws."""
    return [*program.model.variables, *program.optimizer.variables]


def _widen(value: np.ndarray) -> np.ndarray:
    """numpy knows no bfloat16; float32 holds it exactly."""
    return value.astype("float32") if value.dtype.name == "bfloat16" else value
