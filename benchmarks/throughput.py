"""Samples per second while training: Tailor's loop in one-thread workers against model.fit and PyTorch, interleaved.

TAILOR_DATA=DIR python benchmarks/throughput.py [--repeats 3] [--only mlp-4-4-4/32,...] [--out benchmarks/RESULTS.md]
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
CASES = ("mlp-512-128/32", "mlp-512-256-128/32", "mlp-4-4-4/32", "cnn-32-64-64/32", "cnn-32-64-64/64", "cnn-32-64-64/128")


@dataclass(frozen=True)
class Measured:
    """One run of one side: samples per second of all its processes, and the validation accuracy after its epochs."""

    rate: float
    accuracy: float


def run_side(side: str, case: str) -> Measured:
    """Run one side in fresh processes: Tailor in one a core, each pinned; the rivals in one with all cores."""
    processes = []
    for core in range(CORES if side == "tailor" else 1):
        command = [sys.executable, str(HERE / "sides.py"), side, case]
        if side == "tailor" and hasattr(os, "sched_getaffinity"):
            command = ["taskset", "-c", str(core), *command]
        processes.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
        )
    for process in processes:
        assert process.stdout is not None
        if "ready" not in process.stdout.readline():
            raise SystemExit(f"{side} on {case} did not start:\n{process.communicate()[1]}")
    for process in processes:  # all together, when all have traced
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [json.loads(process.communicate()[0].splitlines()[-1]) for process in processes]
    return Measured(sum(a["rate"] for a in answers), statistics.mean(a["accuracy"] for a in answers))


def table(results: dict[str, dict[str, list[Measured]]], sides: Sequence[str]) -> str:
    """The results as a Markdown table: medians with least and most, and Tailor's ratio to each rival, repeat by repeat."""
    head = ["network/batch", *(f"{side}, 1000/s" for side in sides), *(f"tailor ÷ {side}" for side in sides[1:]), "accuracy"]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for case, runs in results.items():
        cells = [spread([m.rate / 1000 for m in runs[side]]) for side in sides]
        cells += [spread([a.rate / b.rate for a, b in zip(runs["tailor"], runs[side], strict=True)]) for side in sides[1:]]
        accuracy = ", ".join(f"{side} {statistics.median(m.accuracy for m in runs[side]):.3f}" for side in sides)
        lines.append("| " + " | ".join([case, *cells, accuracy]) + " |")
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    """Median, least and most."""
    return f"**{statistics.median(values):.1f}** ({min(values):.1f}–{max(values):.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    sides = ["tailor", "model.fit", *(["torch"] if importlib.util.find_spec("torch") else [])]
    cases = options.only.split(",")
    results: dict[str, dict[str, list[Measured]]] = {case: {side: [] for side in sides} for case in cases}
    for repeat in range(options.repeats):
        for case in cases:
            for side in sides:
                measured = run_side(side, case)
                results[case][side].append(measured)
                print(f"{repeat + 1} {case} {side}: {measured.rate:,.0f}/s, accuracy {measured.accuracy:.3f}", file=sys.stderr)
    versions = ", ".join(f"{n} {importlib.metadata.version(n)}" for n in ("tensorflow", "keras", "numpy"))
    text = "\n".join(
        [
            "# Results",
            "",
            "## Training throughput",
            "",
            f"{datetime.date.today()}, {CORES} cores, {platform.machine()}, Python {platform.python_version()}, {versions}. "
            f"Fashion-MNIST, 50,000 images; median of {options.repeats} interleaved runs (least–most); ratios run by run. "
            "Tailor's rate is that of a trial of 20 epochs, tracing left out. Command: `python benchmarks/throughput.py`.",
            "",
            table(results, sides),
            "",
        ]
    )
    print(text)
    if options.out:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
