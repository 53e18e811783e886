"""What the benchmarks share: the machine's line, medians with their spread, and RESULTS.md, written section by section."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import os
import platform
import re
import statistics
from collections.abc import Sequence
from pathlib import Path

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
HEAD = "# Results\n\nOne section a benchmark, as it wrote it; `benchmarks/README.md` says what each measures.\n"


def this_machine() -> str:
    """A digest that tells this machine, since its last start, from others."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return hashlib.sha256(f"{platform.node()} {boot.read_text() if boot.exists() else ''}".encode()).hexdigest()[:8]


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
