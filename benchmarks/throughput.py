"""Samples per second while training: Tailor's loop in one-thread workers against model.fit and PyTorch, interleaved.

TAILOR_DATA=DIR python benchmarks/throughput.py [--repeats 3] [--only mlp-4-4-4/32,...] [--out benchmarks/RESULTS.md]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common import CORES, machine, markdown, spread, write_section

HERE = Path(__file__).resolve().parent
CASES = ("mlp-512-128/32", "mlp-512-256-128/32", "mlp-4-4-4/32", "cnn-32-64-64/32", "cnn-32-64-64/64", "cnn-32-64-64/128")
RIVALS = ("model.fit", "torch")
OWN = ("augmented", "peak")  # sides that are no rivals


@dataclass(frozen=True)
class Measured:
    """One run of one side: samples per second of all its processes (GFLOP/s for `peak`), the validation accuracy after its
    epochs, and the floating-point operations a sample."""

    rate: float
    accuracy: float
    flops: float


Results = dict[str, dict[str, list[Measured]]]


def run_side(side: str, case: str) -> Measured:
    """Run one side in fresh processes: Tailor in one a core, each pinned; the rivals in one with all cores."""
    processes = []
    for core in range(1 if side in RIVALS else CORES):
        command = [sys.executable, str(HERE / "sides.py"), side, case]
        if side not in RIVALS and hasattr(os, "sched_getaffinity"):
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
    accuracy, flops = (statistics.mean(a[key] for a in answers) for key in ("accuracy", "flops"))
    return Measured(sum(a["rate"] for a in answers), accuracy, flops)


def rates(results: Results, sides: Sequence[str]) -> str:
    """Medians with least and most, and Tailor's ratio to each rival, repeat by repeat."""
    rivals = [side for side in sides if side in RIVALS]
    head = ["network/batch", "tailor, 1000/s", *(f"{side}, 1000/s" for side in rivals)]
    head += [*(f"tailor ÷ {side}" for side in rivals), "accuracy"]
    rows = []
    for case, runs in results.items():
        cells = [spread([m.rate / 1000 for m in runs[side]]) for side in ("tailor", *rivals)]
        cells += [spread(ratios(runs["tailor"], runs[side])) for side in rivals]
        accuracy = ", ".join(f"{side} {statistics.median(m.accuracy for m in runs[side]):.3f}" for side in ("tailor", *rivals))
        rows.append([case, *cells, accuracy])
    return markdown(head, rows)


def limits(results: Results) -> str:
    """How much of the machine the convolutions use, and what augmentation costs."""
    rows = []
    for case, runs in results.items():
        if case.startswith("cnn"):
            flops = [m.rate * m.flops / 1e9 for m in runs["tailor"]]
            peak = [m.rate for m in runs["peak"]]
            share = [100 * done / most for done, most in zip(flops, peak, strict=True)]
            cost = [100 * (1 / ratio - 1) for ratio in ratios(runs["augmented"], runs["tailor"])]
            rows.append([case, spread(flops), spread(peak), spread(share) + " %", spread(cost) + " %"])
    return markdown(("network/batch", "GFLOP/s done", "bfloat16 peak", "share", "flip and shift cost"), rows) if rows else ""


def ratios(ours: Sequence[Measured], theirs: Sequence[Measured]) -> list[float]:
    """Rate over rate, repeat by repeat."""
    return [a.rate / b.rate for a, b in zip(ours, theirs, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default=",".join(CASES), help="cases, as mlp-4-4-4/32,cnn-32-64-64/64")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rivals = [side for side in RIVALS if side != "torch" or importlib.util.find_spec("torch")]
    cases = options.only.split(",")
    results: Results = {case: defaultdict(list) for case in cases}
    for repeat in range(options.repeats):
        for case in cases:
            for side in ("tailor", *rivals, *(OWN if case.startswith("cnn") else ())):
                measured = run_side(side, case)
                results[case][side].append(measured)
                print(f"{repeat + 1} {case} {side}: {measured.rate:,.0f}/s, accuracy {measured.accuracy:.3f}", file=sys.stderr)
    text = f"""
{machine("tensorflow", "keras", "numpy", *(["torch"] if "torch" in rivals else []))}
Fashion-MNIST, 50,000 images; median of {options.repeats} interleaved runs (least–most); ratios run by run.
Tailor's rate is that of a trial of 20 epochs in one one-thread worker a core; tracing is left out of all sides.
Command: `python benchmarks/throughput.py`.

{rates(results, rivals)}

{limits(results)}
"""
    write_section(options.out, "Training throughput", text)


if __name__ == "__main__":
    main()
