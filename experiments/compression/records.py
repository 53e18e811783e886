"""The records of a compression: what is asked for, what each variant measured, and which one is chosen. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ..errors import InputError

ORIGINAL, INT8 = "original", "int8"
SPARSITIES = (0.5, 0.8, 0.9)  # if none is asked for
TOLERANCE = 1.0  # points of accuracy
WORDS = {str: "a text", int: "a whole number", int | float: "a number", int | float | None: "a number"}
KINDS = {  # from Python, anything may come
    **dict.fromkeys(("prune", "rate", "temperature", "alpha"), int | float),
    "tolerance": int | float | None,
    **dict.fromkeys(("epochs", "seed"), int),
    **dict.fromkeys(("distil", "student"), str),
}
LAST_SEED = 2**31 - 1  # as of a study


@dataclass(frozen=True)
class Asked:
    """What to try; all empty asks for everything. `prune` are sparsities; `distil` is a factory or STUDY:TRIAL, `student` its
    hyperparameters as KEY=VALUE. `epochs` 0 takes a third of the trial's to prune, and all of them to distil.
    """

    prune: tuple[float, ...] = ()
    distil: str = ""
    int8: bool = False
    student: tuple[str, ...] = ()
    epochs: int = 0
    rate: float = 1.0  # times the trial's own learning rate, to prune
    temperature: float = 4.0
    alpha: float = 0.7
    tolerance: float | None = None  # TOLERANCE, but a single variant is taken as it is
    seed: int = 0

    @property
    def everything(self) -> bool:
        """Whether nothing particular is asked for."""
        return not (self.prune or self.distil or self.int8)

    @property
    def single(self) -> bool:
        """Whether a single variant is asked for, perhaps with its 8-bit form."""
        return not self.everything and len(self.prune) + bool(self.distil) <= 1

    @property
    def most_lost(self) -> float:
        """The points of accuracy on holdout that a variant may lose."""
        return TOLERANCE if self.tolerance is None else self.tolerance

    @property
    def sparsities(self) -> tuple[float, ...]:
        """The sparsities to prune to."""
        return SPARSITIES if self.everything else self.prune

    def validate(self) -> None:
        """Raise InputError that names the option."""
        for name, kind in KINDS.items():
            values = getattr(self, name)
            if any(not isinstance(one, kind) for one in (values if isinstance(values, tuple) else [values])):
                raise InputError(f"--{name}: expected {WORDS[kind]}, got {values!r}.")
        for one in self.prune:
            if not 0 < one < 1:
                raise InputError(f"--prune: expected a share of weights above 0 and below 1, such as 0.8, got {one:g}.")
        for name, low, high in (("epochs", 0, 100_000), ("tolerance", 0, 100), ("rate", 1e-9, 1e3), ("temperature", 0.01, 1e3)):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise InputError(f"--{name}: expected a number from {low:g} to {high:g}, got {value:g}.")
        if not 0 <= self.seed <= LAST_SEED:
            raise InputError(f"--seed: expected a whole number from 0 to {LAST_SEED}, got {self.seed}.")
        if not 0 <= self.alpha <= 1:
            raise InputError(f"--alpha: expected the share of the soft targets, from 0 to 1, got {self.alpha:g}.")
        if self.student and not (self.distil or self.everything):
            raise InputError("--student: it belongs to --distil FACTORY; add that.")

    def label(self, sha256: str, digest: str) -> str:
        """What tells this compression of a model and its data from others, short enough for a tag."""
        return hashlib.sha256(json.dumps([asdict(self), sha256, digest]).encode()).hexdigest()


@dataclass(frozen=True)
class Cost:
    """What one image costs in a process of its own with one thread: median and 99th percentile in ms, peak memory in MB."""

    p50_ms: float
    p99_ms: float
    peak_mb: float


@dataclass(frozen=True)
class Row:
    """A variant: its accuracy on holdout, its file's bytes as it is and gzipped, and its cost by that runtime.

    `parameters` are those that are not 0; `best_epoch` is 0 if nothing was trained. `base` is the name of the float32 model.
    """

    name: str
    base: str
    runtime: str
    holdout_accuracy: float
    bytes: int
    gzip_bytes: int
    cost: Cost
    sparsity: float
    parameters: int
    best_epoch: int = 0

    @property
    def int8(self) -> bool:
        """Whether it is the 8-bit form of its base."""
        return self.name != self.base


def name_int8(base: str) -> str:
    """The name of a float32 variant's 8-bit form."""
    return INT8 if base == ORIGINAL else f"{base} {INT8}"


def choose(rows: Sequence[Row], asked: Asked) -> Row | None:
    """The smallest variant, gzipped, of those within the tolerance (in points) of the original's accuracy on holdout.

    A single variant is what was asked for, and is taken as it is, unless a tolerance was asked for too. None if there is no such
    variant. If 8-bit forms are asked for, it chooses from them alone.
    """
    original = rows[0]
    others = [row for row in rows[1:] if row.int8 or not asked.int8]
    if asked.single and others and asked.tolerance is None:
        return others[0]
    least = original.holdout_accuracy - asked.most_lost / 100 - 1e-9
    close = [row for row in others if row.holdout_accuracy >= least and row.gzip_bytes < original.gzip_bytes]
    return min(close, key=lambda row: (row.gzip_bytes, -row.holdout_accuracy), default=None)
