"""The kernel's count of processes that it killed for want of memory, as its several versions give it."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tailor.experiments.system.memory import count_kills, measure_total


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({}, 0),
        ({"proc/vmstat": "pgfault 9\noom_kill 4\n"}, 4),
        ({"proc/vmstat": "oom_kill 4\n", "sys/fs/cgroup/memory/memory.oom_control": "under_oom 0\noom_kill 2\n"}, 2),
        (
            {
                "proc/vmstat": "oom_kill 4\n",
                "proc/self/cgroup": "0::/user.slice/me\n",
                "sys/fs/cgroup/user.slice/me/memory.events": "max 7\noom 5\noom_kill 3\noom_group_kill 1\n",
            },
            3,
        ),
        ({"proc/vmstat": "oom_kill 4\n", "proc/self/cgroup": "0::/\n"}, 4),
    ],
)
def test_the_nearest_count_is_read(tmp_path: Path, files: dict[str, str], count: int) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert count_kills(tmp_path) == count


def test_a_containers_limit_counts(tmp_path: Path) -> None:
    assert measure_total(tmp_path) == psutil.virtual_memory().total
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    assert measure_total(tmp_path) == psutil.virtual_memory().total
    (group / "memory.max").write_text("1000000\n")
    assert measure_total(tmp_path) == 1_000_000
