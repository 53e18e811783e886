"""Stand-ins for training, on which a searcher is played in no time: public test functions, and tables of real learning curves.

The functions are the multi-fidelity ones of Kandasamy et al., "Multi-fidelity Bayesian Optimisation with Continuous
Approximations" (2017), section 5: Currin exponential, Branin, Hartmann in three and six dimensions, all maximised. An epoch's
share of the whole is the fidelity. A table holds trials that were trained (tables.py); a Gaussian process makes of it a curve for
every point, and what a searcher sees has the noise of one training besides.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from tailor.search.space.conditions import Value
from tailor.search.space.parameters import Choice, Float, Int
from tailor.search.space.rules import draw
from tailor.search.space.space import Space, walk
from tailor.search.study.load import build

TABLES = Path(__file__).resolve().parent / "measured" / "tables"
EPOCHS = 12  # of a function's trial
DRAWN = 4000  # points by which a function's good values are told


@dataclass(frozen=True)
class Curve:
    """What a trial brings: its value after each epoch, the seconds that an epoch takes, and by how much it looks better."""

    values: Sequence[float]
    seconds: float
    luck: float = 0.0


@dataclass(frozen=True)
class StandIn:
    """A problem to maximise. `good` holds two values: those of the best of 8 and of 64 whole random trials, in the median.

    `usual` is the point of the model's own defaults, where there is a model.
    """

    name: str
    space: Space
    epochs: int
    curve: Callable[[Mapping[str, Value]], Curve]
    good: tuple[float, float]
    usual: Mapping[str, Value] = field(default_factory=dict)


def all_of_them() -> list[StandIn]:
    """Every stand-in."""
    found = [_function(name, dimensions, value) for name, (dimensions, value) in FUNCTIONS.items()]
    return found + [_table(path) for path in sorted(TABLES.glob("*.json"))]


def _currin(x: Sequence[float], z: float) -> float:
    fade = 1 - 0.1 * (1 - z) * (math.exp(-1 / (2 * x[1])) if x[1] > 0 else 0.0)
    return fade * (2300 * x[0] ** 3 + 1900 * x[0] ** 2 + 2092 * x[0] + 60) / (100 * x[0] ** 3 + 500 * x[0] ** 2 + 4 * x[0] + 20)


def _branin(x: Sequence[float], z: float) -> float:
    u, v, less = 15 * x[0] - 5, 15 * x[1], 1 - z
    b, c, t = 5.1 / (4 * math.pi**2) - 0.01 * less, 5 / math.pi - 0.1 * less, 1 / (8 * math.pi) + 0.05 * less
    return -((v - b * u**2 + c * u - 6) ** 2 + 10 * (1 - t) * math.cos(u) + 10)


HARTMANN_3 = (
    np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]]),
    1e-4 * np.array([[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]]),
)
HARTMANN_6 = (
    np.array([[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]),
    1e-4
    * np.array(
        [
            [1312, 1696, 5569, 124, 8283, 5886],
            [2329, 4135, 8307, 3736, 1004, 9991],
            [2348, 1451, 3522, 2883, 3047, 6650],
            [4047, 8828, 8732, 5743, 1091, 381],
        ]
    ),
)


def _hartmann(constants: tuple[np.ndarray, np.ndarray]) -> Callable[[Sequence[float], float], float]:
    steepness, centres = constants

    def value(x: Sequence[float], z: float) -> float:
        weights = np.array([1.0, 1.2, 3.0, 3.2]) - 0.1 * (1 - z)
        return float(weights @ np.exp(-(steepness * (np.array(x) - centres) ** 2).sum(axis=1)))

    return value


FUNCTIONS: Mapping[str, tuple[int, Callable[[Sequence[float], float], float]]] = {
    "currin-2": (2, _currin),
    "branin-2": (2, _branin),
    "hartmann-3": (3, _hartmann(HARTMANN_3)),
    "hartmann-6": (6, _hartmann(HARTMANN_6)),
}


def _function(name: str, dimensions: int, value: Callable[[Sequence[float], float], float]) -> StandIn:
    space = Space(tuple(Float(f"x{i}", 0.0, 1.0) for i in range(dimensions)))

    def curve(hparams: Mapping[str, Any]) -> Curve:
        x = [hparams[f"x{i}"] for i in range(dimensions)]
        return Curve([value(x, epoch / EPOCHS) for epoch in range(1, EPOCHS + 1)], 1.0)

    rng = random.Random(name)
    drawn = [max(curve(walk(space, lambda parameter: draw(parameter, rng))).values) for _ in range(DRAWN)]
    return StandIn(name, space, EPOCHS, curve, _good(drawn))


def _table(path: Path) -> StandIn:
    held = json.loads(path.read_text())
    space = build(held["study"]).space
    rows = held["rows"]
    epochs = held["study"]["search"]["max_epochs"]
    curves = np.array([row["curve"] + row["curve"][-1:] * (epochs - len(row["curve"])) for row in rows])
    values, noise = _smoothed(space, [row["values"] for row in rows], np.log(np.maximum(1 - curves, 1e-3)))
    seconds, _ = _smoothed(space, [row["values"] for row in rows], np.log([[row["seconds"]] for row in rows]))
    mean = float(np.mean([row["seconds"] for row in rows]))

    def curve(hparams: Mapping[str, Value]) -> Curve:
        wrong = np.exp(values(hparams))
        luck = random.Random(json.dumps(hparams, sort_keys=True)).gauss(0, noise) * float(wrong[-1])
        return Curve([float(1 - w) for w in wrong], float(np.exp(seconds(hparams))[0]) / mean, luck)

    rng = random.Random(path.stem)
    drawn = [max(curve(walk(space, lambda parameter: draw(parameter, rng))).values) for _ in range(DRAWN // 4)]
    return StandIn(path.stem, space, epochs, curve, _good(drawn), held["usual"])


def _smoothed(
    space: Space, points: Sequence[Mapping[str, Value]], outputs: np.ndarray | Sequence[Sequence[float]]
) -> tuple[Callable[[Mapping[str, Value]], np.ndarray], float]:
    """A function from a point to outputs like those of the points given, and the standard deviation of one of them from it."""
    places, found = np.array([place(space, point) for point in points]), np.asarray(outputs)
    kernel = ConstantKernel() * Matern([1.0] * places.shape[1], (0.05, 50), nu=2.5) + WhiteKernel(0.1)
    process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0).fit(places, found[:, -1])  # by the last epoch
    fixed = GaussianProcessRegressor(process.kernel_, optimizer=None, normalize_y=True).fit(places, found)
    noise = math.sqrt(process.kernel_.k2.noise_level) * float(found[:, -1].std())

    def value(hparams: Mapping[str, Value]) -> np.ndarray:
        return np.atleast_1d(fixed.predict(np.array([place(space, hparams)]))[0])

    return value, noise


def place(space: Space, values: Mapping[str, Value]) -> list[float]:
    """A point in the unit cube: numbers on their own scale, a choice as one coordinate a value; 0.5 for what is not there."""
    found: list[float] = []
    for parameter in space.searched:
        value = values.get(parameter.name)
        if isinstance(parameter, Choice):
            found += [0.5 * (value == choice) for choice in parameter.choices]  # two that differ are 1 apart
        elif isinstance(parameter, (Float, Int)):
            low, high, at = (_scaled(parameter, x) for x in (parameter.low, parameter.high, value))
            found.append(0.5 if value is None or high == low else (at - low) / (high - low))
    return found


def _scaled(parameter: Float | Int, value: Any) -> float:
    return math.log(value) if parameter.log and value else float(value or 0)


def _good(values: Sequence[float]) -> tuple[float, float]:
    """The medians of the best of 8 and of 64 drawn from the values."""
    return tuple(float(np.quantile(values, 0.5 ** (1 / count))) for count in (8, 64))  # type: ignore[return-value]
