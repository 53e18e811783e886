"""After which epoch halving looks first: the default search, played on a surrogate of LCBench with one worker.

TAILOR_DATA=DIR python benchmarks/first_look.py [choose|check] [--looks 1 2 3 5 10] [--out benchmarks/RESULTS.md]

DIR holds lcbench/model.onnx (YAHPO Gym's); `pip install -e '.[bench]'` has what runs it. The look was chosen by twelve tasks, and
checked on twelve others. Each play is noted in the log file when it ends, and those noted there are not played again.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
import os
import random
import statistics
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import optuna
from common import machine, markdown, write_section
from play import optuna_engine, play, spec_of
from stand_ins import Curve, StandIn

from tailor.search.space.conditions import Value
from tailor.search.space.parameters import Float, Int
from tailor.search.space.rules import draw, middle
from tailor.search.space.space import Space, walk
from tailor.search.study.spec import Component, SearchPlan

HERE = Path(__file__).resolve().parent
# The surrogate's codes, by OpenML's task; the eleven of its 35 that are not here are left for others to judge by.
CODES = {
    126025: 1, 126026: 2, 146212: 4, 167083: 5, 167104: 6, 167149: 7, 167152: 8, 167161: 9, 167181: 11, 167184: 12, 167185: 13,
    167200: 15, 167201: 16, 168329: 17, 168331: 19, 168335: 20, 168868: 21, 168908: 22, 168910: 23, 189862: 25, 189865: 26,
    189866: 27, 189905: 29, 189906: 30,
}  # fmt: skip
TASKS = {"choose": list(CODES)[::2], "check": list(CODES)[1::2]}
SPACE = Space(
    (
        Int("batch_size", 16, 512, log=True),
        Float("learning_rate", 1e-4, 1e-1, log=True),
        Float("momentum", 0.1, 0.99),
        Float("weight_decay", 1e-5, 1e-1),
        Int("num_layers", 1, 5),
        Int("max_units", 64, 1024, log=True),
        Float("max_dropout", 0.0, 1.0),
    )
)
NAMES = [parameter.name for parameter in SPACE.parameters]
EPOCHS = 50
UNTRAINED = 1  # the surrogate's first epoch, which is left out
DRAWN = 2000  # random points by which a task's good value and mean time are told
GOOD_OF = 100  # the best of so many random whole trials, in the median
WHOLE_TRIALS = 50  # a play lasts as long as so many whole trials
MANY = 10_000
OPTUNA = 0  # the look that stands for Optuna's defaults: TPE, and the median of five whole trials
LOOKS = (OPTUNA, 1, 2, 3, 5, 10, 15)


@dataclass(frozen=True)
class Played:
    """One play: the share of its length after which it had the good value, or none; how many trials it began."""

    look: int
    task: int
    seed: int
    share: float | None
    trials: int


@cache
def _session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = Path(os.environ["TAILOR_DATA"]) / "lcbench" / "model.onnx"
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def predict(task: int, points: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Validation accuracy, shaped (points, epochs), and the seconds that the last epoch ends after, shaped (points,)."""
    places = np.array([[point[name] for name in NAMES] for point in points], np.float32).repeat(EPOCHS, axis=0)
    epochs = np.tile(np.arange(1, EPOCHS + 1, dtype=np.float32) + UNTRAINED, len(points))
    inputs = {"x_cat": np.full((len(places), 1), CODES[task], np.int32), "x_cont": np.column_stack([epochs, places])}
    (found,) = _session().run(None, inputs)
    found = found.reshape(len(points), EPOCHS, -1)
    return found[:, :, 1], found[:, :, 0].max(axis=1)


@cache
def problem(task: int) -> StandIn:
    """A task as a stand-in."""
    rng = random.Random(task)
    values, seconds = predict(task, [walk(SPACE, lambda parameter: draw(parameter, rng)) for _ in range(DRAWN)])
    mean = float(seconds.mean())

    def curve(hparams: Mapping[str, Value]) -> Curve:
        (accuracy,), (took,) = predict(task, [hparams])
        return Curve(accuracy.tolist(), float(took) / mean)

    return StandIn(str(task), SPACE, EPOCHS, curve, (float(np.quantile(values.max(axis=1), 0.5 ** (1 / GOOD_OF))),) * 2)


def one(look: int, task: int, seed: int) -> Played:
    """Play the default search with that first look on a task."""
    plan = SearchPlan(trials=MANY, max_epochs=EPOCHS, seed=seed)
    spec = dataclasses.replace(spec_of(problem(task), plan), enqueue=(walk(SPACE, middle),))
    if look == OPTUNA:
        plan = dataclasses.replace(plan, sampler=Component("optuna.samplers:TPESampler"), pruner=Component("median"))
        spec = dataclasses.replace(spec, enqueue=())
    else:
        plan = dataclasses.replace(plan, pruner=Component("successive-halving", {"min_resource": look}))
    length, good = float(WHOLE_TRIALS * EPOCHS), problem(task).good[0]
    course = play(optuna_engine(dataclasses.replace(spec, search=plan)), problem(task), length, workers=1, enough=good)
    when = course.when(good)
    return Played(look, task, seed, when and when / length, course.trials)


def table(played: Sequence[Played]) -> list[list[str]]:
    """A row a look: plays that never had the good value, the share of a play until it was had (the whole where it was not), and
    that over the share of a first look after epoch 1, with the interval that holds nine in ten resamplings of the tasks."""
    by: dict[int, dict[tuple[int, int], float | None]] = {}
    for play_ in played:
        by.setdefault(play_.look, {})[play_.task, play_.seed] = play_.share
    tasks, seeds = sorted({play_.task for play_ in played}), sorted({play_.seed for play_ in played})
    logs = {
        look: np.array([[math.log(shares[task, seed] or 1.0) for seed in seeds] for task in tasks]).mean(axis=1)
        for look, shares in by.items()
    }
    drawn = np.random.default_rng(0).integers(0, len(tasks), (2000, len(tasks)))
    rows = []
    for look in sorted(by):
        shares = [share or 1.0 for share in by[look].values()]
        over = logs[look] - logs[1]
        low, high = np.exp(np.quantile(over[drawn].mean(axis=1), [0.05, 0.95]))
        rows.append(
            [
                f"halving, first look after epoch {look}" if look else "Optuna's defaults",
                f"{sum(share is None for share in by[look].values())} of {len(shares)}",
                f"{statistics.median(shares):.3f}",
                f"{math.exp(logs[look].mean()):.3f}",
                f"**{math.exp(over.mean()):.2f}** ({low:.2f}–{high:.2f})",
            ]
        )
    return rows


def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="?", choices=TASKS, default="choose")
    parser.add_argument("--looks", type=int, nargs="+", default=LOOKS, help="epochs; 0 for Optuna's defaults, 1 is always played")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--log", type=Path, default=HERE / "measured" / "first_look.jsonl")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    wanted = list(itertools.product(sorted({1, *options.looks}), TASKS[options.tasks], range(options.seeds)))
    lines = options.log.read_text().splitlines() if options.log.exists() else []
    found = {(play_.look, play_.task, play_.seed): play_ for play_ in (Played(**json.loads(line)) for line in lines)}
    missing = [key for key in wanted if key not in found]
    with options.log.open("a") as log, ProcessPoolExecutor(options.jobs, initializer=_quiet) as pool:
        for key, played in zip(missing, pool.map(one, *zip(*missing, strict=True)) if missing else (), strict=True):
            found[key] = played
            log.write(json.dumps(dataclasses.asdict(played)) + "\n")
            log.flush()
    head = ("way", "never", "median", "geometric mean", "over a first look after epoch 1")
    tasks, looks = TASKS[options.tasks], " ".join(map(str, options.looks))
    text = f"""
{machine("optuna", "onnxruntime")}
{options.seeds} seeds on each of {len(tasks)} tasks of LCBench's surrogate, {EPOCHS} epochs; one worker, a play as long as
{WHOLE_TRIALS} whole trials; halving by three, begun with the middle of the space. The time is the share of a play until a
trial was as good as the best of {GOOD_OF} random ones (in the median), the whole play where none
was; the interval resamples the tasks.
Tasks: {", ".join(map(str, tasks))}.
Command: `python benchmarks/first_look.py {options.tasks} --looks {looks}`.

{markdown(head, table([found[key] for key in wanted]))}
"""
    write_section(options.out, f"The first look of halving, to {options.tasks}", text)


if __name__ == "__main__":
    main()
