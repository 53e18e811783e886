"""Which way of searching gets to a good trial soonest: all that were tried, played on the stand-ins with two workers.

python benchmarks/defaults.py [--seeds 30] [--only PATTERN] [--log FILE] [--out benchmarks/RESULTS.md]

Each play is noted in the log file when it ends, and those noted there are not played again.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import importlib.metadata
import itertools
import json
import random
import re
import statistics
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from common import machine, markdown, write_section
from play import OneEpochEach, optuna_engine, play, spec_of
from stand_ins import StandIn, all_of_them

from tailor.search.engines.protocol import Engine
from tailor.search.space.conditions import Value
from tailor.search.space.rules import draw, middle
from tailor.search.space.space import walk
from tailor.search.study.spec import Component, SearchPlan

HERE = Path(__file__).resolve().parent
WHOLE_TRIALS = 24  # a play lasts as long as each worker needs for so many whole trials
MANY = 10_000
NONE = Component("none")
OURS = "tpe, halving by 3, defaults first"


@dataclass(frozen=True)
class Way:
    """A way of searching: sampler and pruner with their arguments, and the points that are tried first."""

    sampler: Component
    pruner: Component = NONE
    first: Callable[[StandIn, int], list[dict[str, Value]]] = lambda _problem, _seed: []

    def engine(self, problem: StandIn, seed: int) -> Engine:
        plan = SearchPlan(sampler=self.sampler, pruner=self.pruner, trials=MANY, max_epochs=problem.epochs, seed=seed)
        return optuna_engine(dataclasses.replace(spec_of(problem, plan), enqueue=tuple(self.first(problem, seed))))


class OneEpoch:
    """`OneEpochEach` as a way."""

    def __init__(self, count: int, keep: int) -> None:
        self.count, self.keep = count, keep

    def engine(self, problem: StandIn, seed: int) -> Engine:
        return OneEpochEach(problem, seed, self.count, self.keep)


class KerasTuner:
    """A tuner of Keras Tuner's by its own oracle, which draws each point by its seed plus one: seeds in a row share points."""

    def __init__(self, name: str, apart: int = 1000) -> None:
        self.name, self.apart = name, apart

    def engine(self, problem: StandIn, seed: int) -> Engine:
        from tailor.search.engines.keras_tuner import KerasTunerEngine

        plan = SearchPlan(
            engine="keras-tuner", sampler=Component(self.name), trials=MANY, max_epochs=problem.epochs, seed=self.apart * seed
        )
        engine = KerasTunerEngine.open(spec_of(problem, plan), Path(tempfile.mkdtemp()))
        engine._save = lambda: None  # type: ignore[method-assign]  # a play is not gone on with
        return engine


def usual(problem: StandIn, _seed: int) -> list[dict[str, Value]]:
    """The model's own defaults, or the middle of the space."""
    return [dict(problem.usual) if problem.usual else walk(problem.space, middle)]


def centre(problem: StandIn, _seed: int) -> list[dict[str, Value]]:
    """The middle of the space."""
    return [walk(problem.space, middle)]


def both(problem: StandIn, seed: int) -> list[dict[str, Value]]:
    """A point for each of two workers: the defaults, and the middle of the space where that is another."""
    first, second = usual(problem, seed)[0], centre(problem, seed)[0]
    return [first] if first == second else [first, second]


def cheap_first(problem: StandIn, seed: int, count: int = 10) -> list[dict[str, Value]]:
    """Random points, the ones that train fastest first."""
    rng = random.Random(seed)
    points = [walk(problem.space, lambda parameter: draw(parameter, rng)) for _ in range(count)]
    return sorted(points, key=lambda point: problem.curve(point).seconds)


def tpe(**arguments: Any) -> Component:
    return Component("tpe", arguments)


def halving(**arguments: Any) -> Component:
    return Component("successive-halving", {"min_resource": 1, **arguments})


def median(**arguments: Any) -> Component:
    return Component("median", arguments)


OPTUNA_TPE = Component("optuna.samplers:TPESampler")
WAYS: Mapping[str, Way | OneEpoch | KerasTuner] = {
    "random": Way(Component("random")),
    "Optuna's defaults": Way(OPTUNA_TPE, median()),
    "Optuna's TPE, nothing pruned": Way(OPTUNA_TPE),
    "Keras Tuner's Hyperband": KerasTuner("hyperband"),
    "one epoch each of 32, best 4 go on": OneEpoch(32, 4),
    "one epoch each of 16, best 2 go on": OneEpoch(16, 2),
    "tpe": Way(tpe()),
    "tpe, median": Way(tpe(), median()),
    "tpe, median from trial 2, epoch 2": Way(tpe(), median(n_startup_trials=2, n_warmup_steps=1)),
    "tpe, percentile 25 from trial 4": Way(tpe(), Component("percentile", {"percentile": 25.0, "n_startup_trials": 4})),
    "tpe, percentile 10 from trial 4": Way(tpe(), Component("percentile", {"percentile": 10.0, "n_startup_trials": 4})),
    "tpe, hyperband": Way(tpe(), Component("hyperband")),
    "tpe, halving by 2": Way(tpe(), halving(reduction_factor=2)),
    "tpe, halving by 3": Way(tpe(), halving(reduction_factor=3)),
    "tpe, halving by 4": Way(tpe(), halving(reduction_factor=4)),
    "tpe, halving by 3 from epoch 2": Way(tpe(), halving(reduction_factor=3, min_resource=2)),
    "random, halving by 3": Way(Component("random"), halving(reduction_factor=3)),
    "random, halving by 4": Way(Component("random"), halving(reduction_factor=4)),
    "qmc, halving by 3": Way(Component("qmc"), halving(reduction_factor=3)),
    "cmaes, halving by 3": Way(Component("cmaes"), halving(reduction_factor=3)),
    "tpe of 5 drawn, halving by 3": Way(tpe(n_startup_trials=5), halving(reduction_factor=3)),
    "tpe of 20 drawn, halving by 3": Way(tpe(n_startup_trials=20), halving(reduction_factor=3)),
    "tpe, halving by 3, cheap ones first": Way(tpe(), halving(reduction_factor=3), cheap_first),
    OURS: Way(tpe(), halving(reduction_factor=3), usual),
    "tpe, percentile 25 from trial 4, defaults first": Way(
        tpe(), Component("percentile", {"percentile": 25.0, "n_startup_trials": 4}), usual
    ),
    "tpe of 5 drawn, halving by 3, defaults first": Way(tpe(n_startup_trials=5), halving(reduction_factor=3), usual),
    "tpe, halving by 3, middle first": Way(tpe(), halving(reduction_factor=3), centre),
    "tpe, halving by 3 from epoch 2, defaults first": Way(tpe(), halving(reduction_factor=3, min_resource=2), usual),
    "tpe, halving by 3 from epoch 3, defaults first": Way(tpe(), halving(reduction_factor=3, min_resource=3), usual),
    "tpe, halving by 3 from epoch 4, defaults first": Way(tpe(), halving(reduction_factor=3, min_resource=4), usual),
    "tpe, halving by 2, defaults first": Way(tpe(), halving(reduction_factor=2), usual),
    "tpe, halving by 2 from epoch 3, defaults first": Way(tpe(), halving(reduction_factor=2, min_resource=3), usual),
    "tpe, median from trial 2, epoch 2, defaults first": Way(tpe(), median(n_startup_trials=2, n_warmup_steps=1), usual),
    "tpe, percentile 25 from trial 2, epoch 3, defaults first": Way(
        tpe(), Component("percentile", {"percentile": 25.0, "n_startup_trials": 2, "n_warmup_steps": 2}), usual
    ),
    "tpe, halving by 3, defaults and middle first": Way(tpe(), halving(reduction_factor=3), both),
    "tpe, defaults first": Way(tpe(), first=usual),
    "random, defaults first": Way(Component("random"), first=usual),
}


@dataclass(frozen=True)
class Played:
    """One play: seconds to the two good values (the play's length where one was not reached), and the best at a quarter, a
    half, the end. `made` tells apart plays of other stand-ins, ways or versions.
    """

    way: str
    problem: str
    seed: int
    made: str
    good: tuple[float, float]
    best: tuple[float, float, float]
    trials: int


def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore")


@cache
def problems() -> dict[str, StandIn]:
    """The stand-ins by name."""
    return {problem.name: problem for problem in all_of_them()}


@cache
def made(way: str, name: str) -> str:
    """A digest of what makes a play: the versions, the way, the stand-in."""
    problem, kind = problems()[name], WAYS[way]
    plain = {key: getattr(value, "__name__", str(value)) for key, value in vars(kind).items()}
    versions = [importlib.metadata.version(package) for package in ("optuna", "keras-tuner")]
    good = [f"{value:.3g}" for value in problem.good]  # a table's smoothing differs from machine to machine in its last digits
    return hashlib.sha256(json.dumps([versions, plain, good, str(problem.space), problem.usual]).encode()).hexdigest()[:8]


def one(way: str, name: str, seed: int) -> Played:
    """Play a way on a stand-in."""
    problem = problems()[name]
    length = float(WHOLE_TRIALS * problem.epochs)
    course = play(WAYS[way].engine(problem, seed), problem, length)
    first, second = (course.when(value) or length for value in problem.good)
    best = (course.at(length / 4), course.at(length / 2), course.at(length))
    return Played(way, name, seed, made(way, name), (first, second), best, course.trials)


def table(played: Iterable[Played], seeds: int) -> list[list[str]]:
    """A row a way that was played on all, the soonest first: mean times to the good values over those of Tailor's default, with
    the interval that holds nine in ten resamplings of the seeds, and the mean rank at three moments."""
    by: dict[tuple[str, str], dict[int, Played]] = {}
    for play_ in played:
        by.setdefault((play_.way, play_.problem), {})[play_.seed] = play_
    ways = [way for way in WAYS if all(by.get((way, name), {}).keys() >= set(range(seeds)) for name in problems())]
    if OURS not in ways:
        return []
    drawn = np.vstack([np.arange(seeds), np.random.default_rng(0).integers(0, seeds, (2000, seeds))])
    rows = []
    for way in ways:
        ratios = [_ratios([[by[one, name] for name in problems()] for one in (way, OURS)], i, drawn) for i in (0, 1)]
        ranks = [
            statistics.mean(_rank([by[other, name][seed].best[i] for other in ways], by[way, name][seed].best[i])
                            for name in problems() for seed in range(seeds))
            for i in (0, 1, 2)
        ]  # fmt: skip
        cells = [f"**{ratio[0]:.2f}** ({np.quantile(ratio, 0.05):.2f}–{np.quantile(ratio, 0.95):.2f})" for ratio in ratios]
        rows.append((ratios[0][0] * ratios[1][0], [way, *cells, *(f"{rank:.1f}" for rank in ranks)]))
    return [row for _, row in sorted(rows)]


def _ratios(pair: list[list[dict[int, Played]]], level: int, drawn: np.ndarray) -> np.ndarray:
    """One way's mean time over another's, the geometric mean over the stand-ins, for each row of seeds."""
    times = [np.array([[plays[seed].good[level] for seed in range(drawn.shape[1])] for plays in way]) for way in pair]
    mine, theirs = (time[:, drawn].mean(axis=2) for time in times)  # a row a stand-in, a column a resampling
    return np.exp(np.log(mine / theirs).mean(axis=0))


def _rank(values: list[float], mine: float) -> float:
    """A value's rank among them, 1 for the highest; ties share theirs."""
    return 1 + sum(value > mine for value in values) + (sum(value == mine for value in values) - 1) / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--only", default="", help="ways whose names match")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--log", type=Path, default=HERE / "measured" / "defaults.jsonl")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    _quiet()
    found = [Played(**json.loads(line)) for line in options.log.read_text().splitlines()] if options.log.exists() else []
    found = [o for o in found if o.way in WAYS and o.problem in problems() and o.made == made(o.way, o.problem)]
    have = {(o.way, o.problem, o.seed) for o in found}
    ways = [way for way in WAYS if re.search(options.only, way)]
    wanted = [w for w in itertools.product(ways, problems(), range(options.seeds)) if w not in have]
    options.log.parent.mkdir(exist_ok=True)
    with options.log.open("a") as log, ProcessPoolExecutor(options.jobs, initializer=_quiet) as pool:
        for played in pool.map(one, *zip(*wanted, strict=True), chunksize=5) if wanted else ():
            found.append(played)
            log.write(json.dumps(dataclasses.asdict(played)) + "\n")
    head = ("way", "time to good", "time to very good", "rank at 1/4", "at 1/2", "at the end")
    text = f"""
{machine("optuna", "keras-tuner")}
{options.seeds} seeds on each of {", ".join(problems())}; two workers that take no time, a play as long as {WHOLE_TRIALS} whole
trials of each. Good and very good are what the best of 8 and of 64 whole random trials have in the median. Times are means, over
those of "{OURS}", Tailor's default (geometric mean over the stand-ins; the 90 % interval by resampling seeds);
where a value was not reached, the play's length stands for it. Ways that were not played on all of them are left out.
Command: `python benchmarks/defaults.py --seeds {options.seeds}`.

{markdown(head, table(found, options.seeds))}
"""
    write_section(options.out, "Ways of searching, played on stand-ins", text)


if __name__ == "__main__":
    main()
