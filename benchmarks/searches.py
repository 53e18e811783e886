"""Whole searches, from the shell to the exit: twelve trials with all logging, by Tailor and by its rivals, interleaved.

TAILOR_DATA=DIR python benchmarks/searches.py [--epochs 3] [--repeats 3] [--log FILE] [--out benchmarks/RESULTS.md]

Hours with 15 epochs: each run is noted in the log file when it ends, and those noted there are not run again. A rival's
run counts with Tailor's of the same round on the same machine, so that it can be gone on with anywhere.
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
from dataclasses import asdict, dataclass
from pathlib import Path

from common import machine, markdown, spread, this_machine, write_section
from points import study_file
from rivals import SIDES as RIVALS
from rounds import following, pairs

OURS = "tailor"
HERE = Path(__file__).resolve().parent
FLOORS = {3: ("4× (6×)", "3.3× (5×)", "6× (9×)"), 15: ("5× (7×)", "4× (6×)", "5× (8×)")}


@dataclass(frozen=True)
class Run:
    """One whole search: seconds from its start to its exit, and the best validation accuracy that it found.

    In a round, `repeat`, each side is run once on one machine.
    """

    side: str
    epochs: int
    repeat: int
    seconds: float
    best: float
    machine: str = ""

    @property
    def round(self) -> int:
        return self.repeat


def run(side: str, epochs: int, repeat: int) -> Run:
    """Run one search in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        if side == OURS:
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
    pattern = r"with val_accuracy (0\.\d+)" if side == OURS else r"^best (0\.\d+)"
    return max(float(value) for value in re.findall(pattern, said, re.MULTILINE))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--log", type=Path, default=HERE / "measured" / "searches.jsonl")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    runs = [Run(**json.loads(line)) for line in options.log.read_text().splitlines()] if options.log.exists() else []
    runs = [r for r in runs if r.epochs == options.epochs]
    while step := following(runs, (OURS, *RIVALS), options.repeats, this_machine()):
        side, repeat = step
        runs.append(run(side, options.epochs, repeat))
        options.log.parent.mkdir(exist_ok=True)
        with options.log.open("a") as log:
            log.write(json.dumps(asdict(runs[-1])) + "\n")
        print(runs[-1], file=sys.stderr)
    rows = []
    for side, floor in zip((OURS, *RIVALS), ("", *FLOORS.get(options.epochs, ("",) * len(RIVALS))), strict=True):
        paired = pairs(runs, OURS, side)
        ratio = [theirs.seconds / ours.seconds for ours, theirs in paired]
        seconds, best = spread([r.seconds for _, r in paired]), spread([r.best for _, r in paired], 4)
        rows.append([f"{side} ({len(paired)})", f"{seconds} s", f"{spread(ratio)}×", floor, best])
    text = f"""
{machine("tensorflow", "keras", "optuna", "keras-tuner", "mlflow")}
The same twelve trials of the 512-256-128 family (`points.py`), Fashion-MNIST, all logging, whole processes;
medians of interleaved runs (least–most), as many as stand beside a side, on {len({r.machine for r in runs})} machine(s);
ratios to Tailor's run of the same round.
Command: `python benchmarks/searches.py --epochs {options.epochs}`.

{markdown(("side", "seconds", "Tailor is faster by", "floor (reach)", "best val_accuracy"), rows)}
"""
    write_section(options.out, f"Whole searches, twelve trials of {options.epochs} epochs", text)


if __name__ == "__main__":
    main()
