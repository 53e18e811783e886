"""The fault suites' ledger: how often each fault was injected and how often all that must hold held, printed at the end."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import pytest

FULL = os.environ.get("TAILOR_FAULTS", "full") == "full"
SEED = int(os.environ.get("TAILOR_FAULTS_SEED", "1"))

whole_table = pytest.mark.skipif(not FULL, reason="runs with the whole table: make test-faults")


@dataclass
class Ledger:
    """A line a fault."""

    counts: dict[str, list[int]] = field(default_factory=dict)

    def add(self, fault: str, held: bool = True) -> None:
        count = self.counts.setdefault(fault, [0, 0])
        count[0] += 1
        count[1] += held

    def check(self, fault: str, broken: list[str]) -> None:
        """Note one injection, and fail with what is broken."""
        self.add(fault, held=not broken)
        assert not broken, broken


_LEDGER = Ledger()


@pytest.fixture
def ledger() -> Ledger:
    """Where each injection is noted."""
    return _LEDGER


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "fault_tests" in str(item.path):
            item.add_marker(pytest.mark.faults)
            item.add_marker(pytest.mark.timeout(900))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):  # one of several processes: its counts are the first one's to print
        session.config.workeroutput["ledger"] = _LEDGER.counts


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    for fault, (injected, held) in getattr(node, "workeroutput", {}).get("ledger", {}).items():
        count = _LEDGER.counts.setdefault(fault, [0, 0])
        count[0] += injected
        count[1] += held


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _LEDGER.counts:
        part = "the whole table" if FULL else "the part that runs at every change"
        terminalreporter.section(f"faults, seed {SEED}, {part}")
        order = sorted(_LEDGER.counts.items(), key=lambda item: (int(item[0].split()[0]), item[0]))
        for fault, (injected, held) in order:
            terminalreporter.write_line(f"{fault}: injected {injected}, held {held}")
