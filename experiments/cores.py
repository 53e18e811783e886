"""How many cores there are to train on."""

from __future__ import annotations

import os

import psutil


def cores() -> int:
    """The physical cores that this process may use: two threads of one core share its arithmetic."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return min(allowed, psutil.cpu_count(logical=False) or allowed)
