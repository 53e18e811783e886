"""Where a fit is, and the checkpoint that holds it: bytes of an .npz without pickles, from which a fit goes on exactly.

What is random in a fit is a function of (seed, epoch, step), so no generator's state needs to be kept.
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

from .program import Predictions, Program, Totals


@dataclass
class Course:
    """A fit under way: `step` steps of `epoch` (from 1) are done, with `totals`; the epochs before it are in `history`."""

    epoch: int
    step: int = 0
    totals: Totals = field(default_factory=Totals)
    seconds: float = 0.0
    history: list[Mapping[str, float]] = field(default_factory=list)
    best: Mapping[str, float] | None = None
    best_epoch: int = 0
    best_weights: Sequence[np.ndarray] = ()
    validation: Predictions | None = None  # of the best epoch


def pack(course: Course, program: Program, identity: str) -> bytes:
    """The checkpoint of a fit; `identity` says what fit it is."""
    header = {
        "identity": identity,
        "epoch": course.epoch,
        "step": course.step,
        "totals": dataclasses.asdict(course.totals),
        "seconds": course.seconds,
        "history": [dict(metrics) for metrics in course.history],
        "best": None if course.best is None else dict(course.best),
        "best_epoch": course.best_epoch,
    }
    arrays = {f"variable_{i}": variable.numpy() for i, variable in enumerate(_variables(program))}
    arrays |= {f"best_{i}": value for i, value in enumerate(course.best_weights)}
    if course.validation is not None:
        header["validation"] = [course.validation.loss, course.validation.accuracy]
        arrays |= {"labels": course.validation.labels, "confidence": course.validation.confidence}
    file = io.BytesIO()
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), "uint8")
    plain: dict[str, Any] = {name: _plain(value) for name, value in arrays.items()}
    np.savez(file, **plain)
    return file.getvalue()


def unpack(checkpoint: bytes, program: Program, identity: str) -> Course | None:
    """Put the program's variables where the checkpoint left them; None, and nothing touched, where it is another fit's."""
    try:
        with np.load(io.BytesIO(checkpoint), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays["header"].tobytes())
    except (ValueError, OSError, EOFError, KeyError, zlib.error, zipfile.BadZipFile):
        return None
    if header["identity"] != identity:
        return None
    variables = _variables(program)
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
    return Course(
        epoch=header["epoch"],
        step=header["step"],
        totals=Totals(**header["totals"]),
        seconds=header["seconds"],
        history=header["history"],
        best=header["best"],
        best_epoch=header["best_epoch"],
        best_weights=[arrays[f"best_{i}"] for i in range(sum(name.startswith("best_") for name in arrays))],
        validation=validation,
    )


def _variables(program: Program) -> list:
    """All that training changes: weights, the optimizer's state, and the seeds of layers that draw for themselves."""
    return [*program.model.variables, *program.optimizer.variables]


def _plain(value: np.ndarray) -> np.ndarray:
    """numpy knows no bfloat16; float32 holds it exactly."""
    return value.astype("float32") if value.dtype.name == "bfloat16" else value
