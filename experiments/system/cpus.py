"""Count the cores to train on, and list the processors that workers are pinned to."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil

TOPOLOGY = Path("/sys/devices/system/cpu")
CPUINFO = Path("/proc/cpuinfo")
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of processor time (or "max"), per period in microseconds


def count_cores() -> int:
    """The number of physical cores that this process may use: two threads of one core share its arithmetic."""
    distinct = len({_core(cpu, TOPOLOGY) for cpu in _allowed()})
    return max(1, min(distinct, psutil.cpu_count(logical=False) or distinct, read_quota(QUOTA) or distinct))


def list_cpus(topology: Path = TOPOLOGY) -> list[int]:
    """The processors that this process may use, one of each physical core before any core's second thread."""
    firsts: dict[str, int] = {}
    seconds = [cpu for cpu in _allowed() if firsts.setdefault(_core(cpu, topology), cpu) != cpu]
    return [*firsts.values(), *seconds]


def read_quota(file: Path) -> int | None:
    """The whole processors that a container may keep busy, at least 1; None if there is no limit."""
    said = file.read_text(encoding="utf-8").split() if file.exists() else ["max"]
    return None if said[0] == "max" else max(1, int(said[0]) // int(said[1]))


def name_cpu(file: Path = CPUINFO) -> str:
    """The processor's model as the system names it, or its architecture."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, models), "") or platform.processor() or platform.machine()


def _allowed() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def _core(cpu: int, topology: Path) -> str:
    """The processor's core, named by all its threads; the processor's own number if the system does not list them."""
    siblings = topology / f"cpu{cpu}" / "topology" / "thread_siblings_list"
    return siblings.read_text(encoding="utf-8").strip() if siblings.exists() else str(cpu)
