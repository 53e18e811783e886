"""Memory: how much there is, and how often the system killed a process because memory ran out."""

from __future__ import annotations

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
