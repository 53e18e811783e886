"""The state file: whole or not at all, the last good one kept, damage found wherever it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tailor.search.engines.state_file import read, write
from tailor.search.errors import StudyError


def test_what_was_written_is_read_and_nothing_is_none(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "oracle.json"
    assert read(path) is None
    write(path, {"a": [1, 2.5, "ü"]})
    assert read(path) == {"a": [1, 2.5, "ü"]}
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("part", [i / 10 for i in range(10)])
def test_a_truncated_file_gives_the_last_good_state(tmp_path: Path, part: float) -> None:
    path = tmp_path / "oracle.json"
    write(path, {"trials": 1})
    write(path, {"trials": 2, "more": "x" * 100})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    assert read(path) == {"trials": 1}


def test_a_damaged_file_never_takes_the_last_good_ones_place(tmp_path: Path) -> None:
    path = tmp_path / "oracle.json"
    write(path, 1)
    write(path, 2)
    path.write_bytes(path.read_bytes()[:-1])
    assert read(path) == 1
    write(path, 3)
    path.write_bytes(path.read_bytes()[:-1])
    assert read(path) == 1


def test_both_damaged_is_refused_and_never_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "oracle.json"
    write(path, 1)
    write(path, 2)
    for place in tmp_path.iterdir():
        place.write_bytes(place.read_bytes()[:-1])
    with pytest.raises(StudyError, match="damaged"):
        read(path)


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "oracle.json"
    write(path, 1)
    write(path, 2)
    path.rename(path.with_suffix(".last.json"))  # as if killed there, with the draft not yet in place
    assert read(path) == 2
