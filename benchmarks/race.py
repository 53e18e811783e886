"""The race: how soon a search on Fashion-MNIST has a model of 90 % and of 92 % validation accuracy.

TAILOR_DATA=DIR python benchmarks/race.py [--seeds 5] [--only PATTERN] [--log FILE] [--out benchmarks/RESULTS.md]

Tailor with its defaults against its rivals as their users run them, and against other ways of searching in Tailor's own
training loop, so that only the searcher differs. It takes hours: each run is noted in the log file when it ends, and those
noted there are not run again; on another machine a new seed is begun, of Tailor's and of the sides that lack seeds. A run lasts
LEAST seconds and until 92 % are reached, but no longer than MOST seconds; where Tailor reached 92 % in that seed, no longer than
ENOUGH seconds, or some times (RIVALS_TIMES, WAYS_TIMES) as long as Tailor took, if that is more.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cnn_space import EPOCHS, study_file
from common import machine, markdown, this_machine, write_section
from rounds import following, pairs

from tailor.experiments.planning.initial_points import add_defaults
from tailor.experiments.planning.recorded_defaults import list_defaults
from tailor.models.factory import resolve
from tailor.search.study.load import build

HERE = Path(__file__).resolve().parent
GOALS = (0.90, 0.92)
LEAST, MOST = 120.0, 600.0
ENOUGH = 300.0
RIVALS_TIMES, WAYS_TIMES = 4.2, 3.0  # as long as Tailor took: what it takes to tell whether it is 4 times sooner, and 1.5 times
APART = 1000  # Keras Tuner draws each point by its seed plus one: seeds in a row would share their points
MOMENTS = (60.0, 120.0)
RIVALS = ("keras-tuner's hyperband", "optuna's keras example")
OURS = "tailor"
# The other ways, in Tailor's own loop: what stands in [search].
WAYS: Mapping[str, Mapping[str, Any]] = {
    OURS: {},
    "random": {"sampler": "random", "pruner": "none"},
    "optuna's defaults": {"sampler": "optuna.samplers:TPESampler", "pruner": "median"},
    "keras tuner's hyperband": {"engine": "keras-tuner", "sampler": "hyperband"},
    # Halving by so much looks once: a trial goes on where its first epoch is among the best twelfth of those so far.
    "one epoch each, the best twelfth go on": {
        "sampler": "random",
        "pruner": {"name": "successive-halving", "min_resource": 1, "reduction_factor": EPOCHS},
    },
}


@dataclass(frozen=True)
class Run:
    """One search: (seconds since its start, best validation accuracy so far) whenever that rose, and its length in seconds.

    `made` tells apart runs of other spaces, ways, defaults or versions.
    """

    side: str
    seed: int
    made: str
    course: list[tuple[float, float]]
    seconds: float
    machine: str = ""

    @property
    def round(self) -> int:
        return self.seed

    def when(self, goal: float) -> float:
        """The seconds until the goal was reached; the run's own where it was not."""
        return next((seconds for seconds, value in self.course if value >= goal), self.seconds)

    def missed(self, goal: float) -> bool:
        """Whether the goal was not reached."""
        return not any(value >= goal for _, value in self.course)

    def at(self, seconds: float) -> float:
        """The best by then."""
        return max((value for when, value in self.course if when <= seconds), default=0.0)


def run(side: str, seed: int, most: float) -> Run:
    """Run one search in an empty folder, for at most so many seconds."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        environment = {**os.environ, "PYTHONPATH": str(HERE), "TF_CPP_MIN_LOG_LEVEL": "3"}
        look: Callable[[], list[tuple[float, float]]]
        if side in RIVALS:
            command = [sys.executable, str(HERE / "race_rivals.py"), side, str(APART * seed)]
        else:
            (Path(folder) / "race.toml").write_text(_study(side, seed=APART * seed))
            command = [str(Path(sys.executable).parent / "tailor"), "search", "race.toml"]
        said = Path(folder) / "said.txt"
        begun, clock = time.time(), time.monotonic()
        with (
            said.open("w") as out,
            subprocess.Popen(
                command, cwd=folder, env=environment, stdout=subprocess.PIPE if side in RIVALS else out, stderr=out, text=True
            ) as process,
        ):
            look = _told(process, clock) if side in RIVALS else lambda: _recorded(Path(folder) / "mlruns" / "mlflow.db", begun)
            while (passed := time.monotonic() - clock) < most and process.poll() is None:
                if passed >= LEAST and _best(look())[-1:] and _best(look())[-1][1] >= GOALS[-1]:
                    break
                time.sleep(0.5)
            if process.poll() is not None:
                raise SystemExit(f"{side} ended by itself:\n{said.read_text()[-3000:]}")
            course = _best(look())
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
        return Run(side, seed, made(side), course, passed, this_machine())


def longest(runs: list[Run], side: str, seed: int) -> float:
    """How many seconds a side's run of the seed may take on this machine."""
    ours = [r for r in runs if (r.side, r.seed, r.machine) == (OURS, seed, this_machine()) and not r.missed(GOALS[-1])]
    times = RIVALS_TIMES if side in RIVALS else WAYS_TIMES
    return max(ENOUGH, *(times * r.when(GOALS[-1]) for r in ours)) if ours else MOST


def made(side: str) -> str:
    """A digest of what makes a side's runs: versions, the space, its own way and all defaults of Tailor's, or its code."""
    versions = [importlib.metadata.version(name) for name in ("tensorflow", "keras", "optuna", "keras-tuner")]
    if side in RIVALS:
        way = (HERE / "race_rivals.py").read_text()
    else:
        spec = build(tomllib.loads(_study(side)))
        first = add_defaults(spec, resolve(spec.model).first).enqueue
        way = json.dumps([spec.tables(), list_defaults(spec), *first])
    return hashlib.sha256(json.dumps([versions, study_file("race", {}), way]).encode()).hexdigest()[:8]


def _study(side: str, **more: Any) -> str:
    """A side's study file. Where a search begins is part of Tailor's own way alone."""
    return study_file("race", {**WAYS[side], **({} if side == OURS else {"defaults_first": False}), **more})


def _told(process: subprocess.Popen[str], begun: float) -> Callable[[], list[tuple[float, float]]]:
    """What a rival prints, with the seconds at which it came."""
    heard: list[tuple[float, float]] = []

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.match(r"epoch (0\.\d+)", line):
                heard.append((time.monotonic() - begun, float(found[1])))

    threading.Thread(target=listen, daemon=True).start()
    return lambda: list(heard)


def _recorded(database: Path, begun: float) -> list[tuple[float, float]]:
    """What stands in MLflow of each epoch of every trial, with its seconds."""
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
        rows = opened.execute("SELECT timestamp, value FROM metrics WHERE key = 'val_accuracy' ORDER BY timestamp").fetchall()
        return [(timestamp / 1000 - begun, value) for timestamp, value in rows]
    return []


def _best(values: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The values that rose above all before them."""
    best: list[tuple[float, float]] = []
    for seconds, value in sorted(values):
        if not best or value > best[-1][1]:
            best.append((round(seconds, 1), round(value, 4)))
    return best


def interval(values: list[float]) -> tuple[float, float]:
    """The median's 90 % interval, by resampling."""
    drawn = np.median(np.random.default_rng(0).choice(values, (10_000, len(values))), axis=1)
    return float(np.quantile(drawn, 0.05)), float(np.quantile(drawn, 0.95))


def table(runs: list[Run], sides: list[str]) -> str:
    """Medians over the seeds with their intervals, and how much sooner Tailor was in the same seed on the same machine."""
    rows = []
    for side in sides:
        paired = pairs(runs, OURS, side)
        cells = [f"{side} ({len(paired)})"]
        for goal in GOALS:
            times = [theirs.when(goal) for _, theirs in paired]
            ratios = [theirs.when(goal) / ours.when(goal) for ours, theirs in paired]
            missed = sum(theirs.missed(goal) for _, theirs in paired)
            more = sum(theirs.missed(goal) and not ours.missed(goal) for ours, theirs in paired)
            at_least = "≥ " if 2 * more > len(paired) else ""
            cells += [
                f"{_median(times, 0)} s{f', {missed} missed' if missed else ''}",
                "" if side == OURS else f"{at_least}{_median(ratios, 1)}×",
            ]
        cells += [f"{statistics.median([theirs.at(moment) for _, theirs in paired]):.4f}" for moment in MOMENTS]
        rows.append(cells)
    head = ["side (seeds)"]
    for goal in GOALS:
        head += [f"to {100 * goal:.0f} %", "Tailor is sooner by"]
    return markdown([*head, *(f"best at {moment:.0f} s" for moment in MOMENTS)], rows)


def _median(values: list[float], digits: int) -> str:
    low, high = interval(values)
    return f"**{statistics.median(values):.{digits}f}** ({low:.{digits}f}–{high:.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", default="", help="sides whose names match")
    parser.add_argument("--log", type=Path, default=HERE / "measured" / "race.jsonl")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    runs = [Run(**json.loads(line)) for line in options.log.read_text().splitlines()] if options.log.exists() else []
    runs = [r for r in runs if r.made == made(r.side)]
    sides = [OURS, *(side for side in [*WAYS, *RIVALS] if side != OURS and re.search(options.only, side))]
    while step := following(runs, sides, options.seeds, this_machine()):
        runs.append(run(*step, longest(runs, *step)))
        options.log.parent.mkdir(exist_ok=True)
        with options.log.open("a") as log:
            log.write(json.dumps(asdict(runs[-1])) + "\n")
        print(*step, [round(runs[-1].when(goal)) for goal in GOALS], runs[-1].course[-1:], file=sys.stderr)
    machines = {r.machine for r in runs if r.side == OURS}
    text = f"""
{machine("tensorflow", "keras", "optuna", "keras-tuner", "mlflow")}
Convolutional networks on Fashion-MNIST (`cnn_space.py`), seconds from the command to the first epoch of any trial with that
validation accuracy: medians over seeds (the median's 90 % interval by resampling), on {len(machines)} machine(s); ratios to
Tailor's run of the same seed on the same machine; a missed goal counts as long as its run was (≥ where that makes the median).
The first rows train in Tailor's own loop, and only the searcher differs; the last two are the rivals as their users run them.
Command: `python benchmarks/race.py --seeds {options.seeds}`.

{table(runs, [side for side in [*WAYS, *RIVALS] if pairs(runs, OURS, side)])}
"""
    write_section(options.out, "The race to a good model", text)


if __name__ == "__main__":
    main()
