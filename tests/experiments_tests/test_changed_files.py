"""Files that a study's values name, beside its model: what is said if one changed before the study resumes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Shell
from searches import runs

from tailor.experiments.planning.resume_check import digest_files
from tailor.search.study.load import build

LOSS = "import keras\n\n\ndef loss(wanted, found):\n    return keras.losses.categorical_crossentropy(wanted, found)\n"


def test_the_files_among_the_values_are_known_by_their_digests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(LOSS)
    Path("a.weights.h5").write_bytes(b"a")
    Path("relu").write_bytes(b"a file that happens to have an activation's name")
    study = {"name": "s", "dataset": "digits", "model": "transfer"}
    training = {"loss": "own.py:loss", "activation": "relu", "other": "absent.h5"}
    spec = build({"study": study, "training": training, "space": {"weights": ["none", "a.weights.h5"]}})
    assert digest_files(spec) == {
        "own.py:loss": hashlib.sha256(LOSS.encode()).hexdigest(),
        "a.weights.h5": hashlib.sha256(b"a").hexdigest(),
    }


@pytest.mark.slow
def test_a_study_does_not_resume_with_another_loss(tailor: Shell, write_study: Callable[..., Path]) -> None:
    loss = ("units = 32", 'units = 32\nloss = "own.py:loss"')
    write_study(("trials = 4", "trials = 1"), ("max_epochs = 3", "max_epochs = 1"), loss)
    (tailor.folder / "own.py").write_text(LOSS)
    done = tailor("search", "small.toml", "--workers", "1")
    assert done.returncode == 0, done.stderr
    (tailor.folder / "own.py").write_text(LOSS + "\n# another one\n")
    for more in ((), ("--trials", "2")):  # nor is it taken for finished
        done = tailor("search", "small.toml", "--workers", "1", *more)
        assert done.returncode == 2 and "own.py:loss has changed since study 'small' began" in done.stderr
    assert len(runs(tailor.folder)[1]) == 1
    (tailor.folder / "own.py").write_text(LOSS)
    assert tailor("search", "small.toml", "--workers", "1", "--trials", "2").returncode == 0
