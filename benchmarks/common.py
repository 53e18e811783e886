"""What the benchmarks share: the machine's line, medians with their spread, and RESULTS.md, written section by section."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import os
import platform
import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
HEAD = "# Results\n\nOne section a benchmark, as it wrote it; `benchmarks/README.md` says what each measures.\n"


class Noted(Protocol):
    """A run that a log holds: of which side, and on which machine."""

    @property
    def side(self) -> str: ...
    @property
    def machine(self) -> str: ...


R = TypeVar("R", bound=Noted)


def this_machine() -> str:
    """A digest that tells this machine, since its last start, from others."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return hashlib.sha256(f"{platform.node()} {boot.read_text() if boot.exists() else ''}".encode()).hexdigest()[:8]


def comparable(runs: Iterable[R], sides: Iterable[str], round_of: Callable[[R], Hashable], here: str) -> list[R]:
    """The runs of the rounds that were run whole on one machine, and those of this one, with which a begun round goes on.

    A machine is faster than the next, and at another hour slower: sides compare only within a round on one of them.
    """
    rounds: dict[Hashable, dict[str, list[R]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        rounds[round_of(run)][run.machine].append(run)
    kept = []
    for machines in rounds.values():
        whole = [mine for mine in machines.values() if {run.side for run in mine} >= set(sides)]
        kept += (whole or [machines.get(here, [])])[0]
    return kept


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Median, least and most."""
    return f"**{statistics.median(values):,.{digits}f}** ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows))


def machine(*packages: str) -> str:
    """The date, the machine and the versions that were measured."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return f"{datetime.date.today()}, {CORES} cores, {_processor()}, Python {platform.python_version()}, {versions}."


def write_section(results: Path | None, title: str, text: str) -> None:
    """Print a section, and put it into the results file in the place of the one of that title."""
    section = f"## {title}\n\n{text.strip()}\n"
    print(section)
    if results is None:
        return
    before = results.read_text() if results.exists() else HEAD
    old = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
    after = old.sub(lambda _: section + "\n", before) if old.search(before) else f"{before.rstrip()}\n\n{section}"
    results.write_text(after.rstrip() + "\n")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else []
    return names[0] if names else platform.machine()
