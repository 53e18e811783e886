"""Memory: how much there is, giving freed memory back, and how often the system killed a process because it ran out."""

from __future__ import annotations

import ctypes
import gc
import re
from contextlib import suppress
from pathlib import Path

import psutil

OUT_OF_MEMORY = "out_of_memory: the system killed its worker; lower the batch size, the model's width or the number of workers"


def measure_total(root: Path = Path("/")) -> int:
    """The bytes of memory that the machine has or the container may use. `root` is for tests."""
    limits = [psutil.virtual_memory().total]
    for place in ("memory.max", "memory/memory.limit_in_bytes"):  # version 2 of control groups, version 1
        with suppress(OSError, ValueError):  # "max"
            limits.append(int((root / "sys/fs/cgroup" / place).read_text(encoding="utf-8")))
    return min(limits)


def release() -> None:
    """Free what this process no longer uses, and give it back to the system: the C library keeps pieces of it for later.

    A trial's graphs are circles of objects, megabytes each, which Python would leave to gather by the dozen.
    """
    gc.collect()
    with suppress(AttributeError, OSError):  # not GNU's C library
        ctypes.CDLL(None).malloc_trim(0)


def count_kills(root: Path = Path("/")) -> int:
    """The number of kills in this process's control group, else on the machine; 0 if both are unknown. `root` is for tests."""
    places = [root / "sys/fs/cgroup/memory/memory.oom_control", root / "proc/vmstat"]
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            if line.startswith("0::"):  # version 2 of control groups
                places.insert(0, root / "sys/fs/cgroup" / line.removeprefix("0::/") / "memory.events")
    for place in places:
        with suppress(OSError):
            if found := re.search(r"^oom_kill (\d+)$", place.read_text(encoding="utf-8"), re.MULTILINE):
                return int(found[1])
    return 0
