"""Studies as earlier versions recorded them: they are read as the same study, key by key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tailor.search.errors import StudyError
from tailor.search.study.load import build, build_recorded

RECORDED = json.loads((Path(__file__).parent / "data" / "recorded_studies.json").read_text())


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_study_is_the_same_study_today(name: str) -> None:
    recorded: dict[str, Any] = RECORDED[name]
    spec = build_recorded(recorded["tables"])
    search = {"total_epochs" if key == "epochs" else key: value for key, value in recorded["tables"]["search"].items()}
    assert spec.tables() == {**recorded["tables"], "search": search}  # the key was called epochs once
    assert spec.identity() == recorded["identity"]
    assert spec.sha256() == recorded["sha256"] or search != recorded["tables"]["search"]


def test_a_name_as_long_as_earlier_versions_took_it_is_read() -> None:
    tables = next(iter(RECORDED.values()))["tables"]
    long = {**tables, "study": {**tables["study"], "name": "n" * 250}}
    assert build_recorded(long).name == "n" * 250
    with pytest.raises(StudyError, match=r"study.name: expected 1 to 200 letters"):
        build(long)
