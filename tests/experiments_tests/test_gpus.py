"""A worker's share of a GPU: the arithmetic, and how the memory is read. No machine here has one to claim."""

from __future__ import annotations

from pathlib import Path

import pytest

from tailor.experiments.system.gpus import memory_mib, share_mib


@pytest.mark.parametrize(("workers", "gpus", "share"), [(1, 1, 9000), (2, 1, 4500), (4, 2, 4500), (3, 2, 4500), (1, 4, 9000)])
def test_workers_are_dealt_out_and_share_the_memory(workers: int, gpus: int, share: int) -> None:
    assert share_mib(10_000, workers, gpus) == share


@pytest.mark.parametrize(("says", "memory"), [("echo 24564", 24564), ("echo '[N/A]'", None), ("exit 9", None)])
def test_the_memory_is_read_from_nvidia_smi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, memory: int | None
) -> None:
    script = tmp_path / "nvidia-smi"
    script.write_text(f"#!/bin/sh\n{says}\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert memory_mib(0) == memory
