"""Whole searches, from the shell to the exit: twelve trials with all logging, by Tailor and by its rivals, interleaved.

TAILOR_DATA=DIR python benchmarks/searches.py [--epochs 3] [--repeats 3] [--log FILE] [--out benchmarks/RESULTS.md]

Hours with 15 epochs: each run is noted in the log file when it ends, and those noted there are not run again. A repeat that was
begun on another machine is begun anew.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

from common import comparable, machine, markdown, spread, this_machine, write_section
from points import study_file
from rivals import SIDES as RIVALS

HERE = Path(__file__).resolve().parent
FLOORS = {3: ("4× (6×)", "3.3× (5×)", "6× (9×)"), 15: ("5× (7×)", "4× (6×)", "5× (8×)")}


@dataclass(frozen=True)
class Run:
    """One whole search: seconds from its start to its exit, and the best validation accuracy that it found."""

    side: str
    epochs: int
    repeat: int
    seconds: float
    best: float
    machine: str = ""


def run(side: str, epochs: int, repeat: int) -> Run:
    """Run one search in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        if side == "tailor":
            (Path(folder) / "bench.toml").write_text(study_file(epochs))
            command = [str(Path(sys.executable).parent / "tailor"), "search", "bench.toml"]
        else:
            command = [sys.executable, str(HERE / "rivals.py"), side, str(epochs)]
        environment = {**os.environ, "PYTHONPATH": str(HERE)}
        begun = time.monotonic()
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - begun
        if done.returncode:
            raise SystemExit(f"{side} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return Run(side, epochs, repeat, seconds, _best(done.stdout, side), this_machine())


def _best(said: str, side: str) -> float:
    """The best accuracy: what a rival prints last, or the first row of Tailor's leaderboard."""
    pattern = r"with val_accuracy (0\.\d+)" if side == "tailor" else r"^best (0\.\d+)"
    return max(float(value) for value in re.findall(pattern, said, re.MULTILINE))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--log", type=Path, default=HERE / "measured" / "searches.jsonl")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    sides = ("tailor", *RIVALS)
    runs = [Run(**json.loads(line)) for line in options.log.read_text().splitlines()] if options.log.exists() else []
    runs = comparable(runs, sides, lambda r: (r.epochs, r.repeat), this_machine())
    for repeat in range(options.repeats):
        for side in sides:
            if not any((r.side, r.epochs, r.repeat) == (side, options.epochs, repeat) for r in runs):
                runs.append(run(side, options.epochs, repeat))
                options.log.parent.mkdir(exist_ok=True)
                with options.log.open("a") as log:
                    log.write(json.dumps(asdict(runs[-1])) + "\n")
                print(runs[-1], file=sys.stderr)
    measured: dict[str, list[Run]] = defaultdict(list)
    for one in sorted(runs, key=lambda r: r.repeat):
        if one.epochs == options.epochs and one.repeat < options.repeats:
            measured[one.side].append(one)
    rows = []
    for side, floor in zip(sides, ("", *FLOORS.get(options.epochs, ("",) * len(RIVALS))), strict=True):
        ratio = [theirs.seconds / ours.seconds for ours, theirs in zip(measured["tailor"], measured[side], strict=True)]
        best = spread([r.best for r in measured[side]], 4)
        rows.append([side, spread([r.seconds for r in measured[side]]) + " s", spread(ratio) + "×", floor, best])
    text = f"""
{machine("tensorflow", "keras", "optuna", "keras-tuner", "mlflow")}
The same twelve trials of the 512-256-128 family (`points.py`), Fashion-MNIST, all logging, whole processes;
median of {len(measured["tailor"])} interleaved runs (least–most), ratios run by run.
Command: `python benchmarks/searches.py --epochs {options.epochs}`.

{markdown(("side", "seconds", "Tailor is faster by", "floor (reach)", "best val_accuracy"), rows)}
"""
    write_section(options.out, f"Whole searches, twelve trials of {options.epochs} epochs", text)


if __name__ == "__main__":
    main()
