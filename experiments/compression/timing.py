"""Times calls of one image, and reads the process's peak memory. As `python -m … FILE` it times a .tflite file by LiteRT.

It imports nothing of Tailor, so that the memory of that process is what LiteRT takes.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

WARM_UP, CALLS = 30, 300


def time_calls(call: Callable[[], Any]) -> tuple[float, float, float]:
    """(p50, p99) of a call in ms after a warm-up, and the peak memory of this process in MB."""
    for _ in range(WARM_UP):
        call()
    times = []
    for _ in range(CALLS):
        begun = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - begun))
    p50, p99 = np.percentile(times, [50, 99])
    return float(p50), float(p99), read_peak()


def read_peak(status: Path = Path("/proc/self/status")) -> float:
    """The peak memory of this process in MB. On Linux not by getrusage: there a new program begins with its parent's peak."""
    if status.is_file():
        found = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:"))
        return int(found.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def _time_litert(path: str) -> tuple[float, float, float]:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(path, num_threads=1).get_signature_runner()
    ((name, port),) = runner.get_input_details().items()
    image = {name: np.zeros((1, *port["shape_signature"][1:]), port["dtype"])}
    return time_calls(lambda: runner(**image))


if __name__ == "__main__":
    print(json.dumps(_time_litert(sys.argv[1])))
