"""Texts that are longer than any file's name: no file has them, which is no reason for a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Shell

from tailor.experiments.datasets.catalog import open_dataset
from tailor.experiments.errors import InputError
from tailor.experiments.planning.resolve import find_file
from tailor.experiments.planning.resume_check import digest_files, gather_values
from tailor.experiments.planning.starter import Starter
from tailor.experiments.registry.load import load
from tailor.experiments.serving.exported import is_folder
from tailor.models import references
from tailor.models.errors import ModelError
from tailor.search.errors import StudyError
from tailor.search.study.load import build, find_beside

LONG = "x" * 300
STUDY = {"name": "s", "dataset": "digits", "model": "mlp"}


def test_a_long_text_with_a_dot_among_the_choices_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loss.txt").write_text("")
    spec = build({"study": STUDY, "space": {"note": [f"{LONG}.txt", "loss.txt"]}, "training": {"loss": f"{LONG}.py:loss"}})
    assert [*digest_files(gather_values(spec))] == ["loss.txt"]


def test_a_long_text_is_no_file_beside_the_study_nor_an_export(tmp_path: Path) -> None:
    values = {"model": f"{LONG}.py:build", "dataset": f"folder:{LONG}"}
    assert find_beside(values, tmp_path) == values
    assert not is_folder(LONG)
    assert not Starter("s", "digits", f"{LONG}.py:build").by_keras_tuner


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: find_file(LONG), "STUDY .* no such name 'xxx"),
        (lambda: find_file(f"{LONG}.toml"), "STUDY: there is no file 'xxx"),
        (lambda: find_file(f"{LONG}/{LONG}.toml"), "STUDY: there is no file 'xxx"),
        (lambda: references.require_file(f"{LONG}.py:build"), "study.model: there is no file 'xxx"),
        (lambda: references.load_file(Path(f"{LONG}.py")), "study.model: there is no file 'xxx"),
        (lambda: open_dataset(f"folder:{LONG}", None), "there is no folder 'xxx"),
        (lambda: open_dataset(f"idx:{LONG}", None), "has no train-images-idx3-ubyte"),
        (lambda: open_dataset(f"npz:{LONG}", None), "cannot be read as .npz"),
        (lambda: load(LONG), "there is no such folder"),
    ],
)
def test_a_long_name_is_refused_as_any_other_that_is_not_there(ask: Callable[[], object], says: str) -> None:
    with pytest.raises((InputError, ModelError, StudyError), match=says):
        ask()


def test_a_starter_file_with_a_long_name_is_refused_in_one_line(tailor: Shell) -> None:
    done = tailor("init", f"{LONG}.toml", "--name", "s", "--dataset", "digits", "--model", "mlp")
    assert done.returncode == 2 and "cannot be written (File name too long); name another file" in done.stderr
