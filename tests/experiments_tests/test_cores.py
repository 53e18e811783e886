"""How many cores are counted, and which processors workers are pinned to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tailor.experiments.system.cpus import list_cpus, name_cpu, read_quota


def test_each_core_gets_a_worker_before_any_gets_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a core's two threads are neighbours, the first processors in a row are half of the cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2, 3, 5})
    for cpu, siblings in enumerate(("0-1", "0-1", "2-3", "2-3", "4-5", "4-5")):
        (tmp_path / f"cpu{cpu}" / "topology").mkdir(parents=True)
        (tmp_path / f"cpu{cpu}" / "topology" / "thread_siblings_list").write_text(f"{siblings}\n")
    assert list_cpus(tmp_path) == [0, 2, 5, 1, 3]
    assert list_cpus(tmp_path / "nothing") == [0, 1, 2, 3, 5]


@pytest.mark.parametrize(("text", "whole"), [("max 100000", None), ("250000 100000", 2), ("50000 100000", 1), (None, None)])
def test_a_containers_share_is_counted_in_whole_processors(tmp_path: Path, text: str | None, whole: int | None) -> None:
    if text is not None:
        (tmp_path / "cpu.max").write_text(text)
    assert read_quota(tmp_path / "cpu.max") == whole


@pytest.mark.parametrize("text", ["processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n", "processor\t: 0\n", None])
def test_a_processor_has_a_name(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    name = name_cpu(tmp_path / "cpuinfo")
    assert name == "Some CPU @ 2 GHz" if text and "model" in text else name
