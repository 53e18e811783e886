"""How often the system killed a process for want of memory: the kernel's own count, by which such a death is told from others."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

OUT_OF_MEMORY = "out_of_memory: the system killed its worker; lower the batch size, the model's width or the number of workers"


def kills(root: Path = Path("/")) -> int:
    """The count of this process's control group, or else of the machine; 0 where neither is to be had. `root` is for tests."""
    places = [root / "sys/fs/cgroup/memory/memory.oom_control", root / "proc/vmstat"]
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            if line.startswith("0::"):  # version 2 of control groups
                places.insert(0, root / "sys/fs/cgroup" / line.removeprefix("0::/") / "memory.events")
    for place in places:
        with suppress(OSError):
            if found := re.search(r"^oom_kill (\d+)$", place.read_text(), re.MULTILINE):
                return int(found[1])
    return 0
