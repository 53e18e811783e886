"""How many cores this process may use."""

from __future__ import annotations

import os


def cores() -> int:
    """The cores of this process's affinity, or of the machine where the system has no affinity."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
