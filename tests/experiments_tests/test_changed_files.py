"""Files that a study's values name, beside its model: what is said if one changed before the study resumes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Shell
from searches import OWN, runs

from tailor.experiments.errors import InputError
from tailor.experiments.planning.resume_check import FILES_TAG, digest_files, gather_values, keep_losses, list_changed_files
from tailor.experiments.trials.checkpoints import Checkpoints
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
    assert digest_files(gather_values(spec)) == {
        "own.py:loss": hashlib.sha256(LOSS.encode()).hexdigest(),
        "a.weights.h5": hashlib.sha256(b"a").hexdigest(),
    }


def test_losses_that_are_fixed_in_the_space_or_come_of_a_function_count_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(LOSS)
    Path("mine.py").write_text(
        "def suggest(trial):\n    return {'loss': 'own.py:loss', 'units': trial.suggest_int('units', 1, 9)}\n"
    )
    study = {"name": "s", "dataset": "digits", "model": "mlp"}
    for tables in ({"study": study, "space": {"loss": "own.py:loss"}}, {"study": {**study, "space": "mine.py:suggest"}}):
        assert [*digest_files(gather_values(build(tables)))] == ["own.py:loss"]


def test_of_the_files_only_those_that_train_and_were_recorded_can_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("a.py", "b.py", "c.py"):
        Path(name).write_text(LOSS)
    values = ["a.py:loss", "b.py:loss", "~/c.py:fn", 3]
    tags = {FILES_TAG: json.dumps(digest_files(values))}
    Path("b.py").write_text("changed")
    assert list_changed_files(["a.py:loss", 3], tags) == []
    assert list_changed_files(values, tags) == ["b.py:loss"] and list_changed_files(values, {}) == []
    Path("a.py").unlink()
    assert list_changed_files(values, tags) == ["a.py:loss", "b.py:loss"]


def test_copies_are_made_of_losses_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(LOSS)
    tags = {FILES_TAG: json.dumps({**digest_files(["own.py:loss"]), "~/helper.py:fn": "0"})}
    kept = keep_losses(Checkpoints(tmp_path / "kept", "s"), ["crossentropy", "own.py:loss"], tags)
    assert [*kept] == ["own.py:loss"] and Path(kept["own.py:loss"]).read_text() == LOSS
    Path("own.py").write_text("changed")
    with pytest.raises(InputError, match=r"own\.py changed while the command started"):
        keep_losses(Checkpoints(tmp_path / "kept", "s"), ["own.py:loss"], tags)


def test_a_resume_from_another_folder_is_told_where_paths_count_from(tailor: Shell) -> None:
    sub = Shell(tailor.folder / "sub")
    sub.folder.mkdir()
    np.savez(sub.folder / "d.npz", x=np.zeros((30, 4, 4), np.uint8), y=np.arange(30) % 2)
    study = OWN.replace("nets.py:build", "mlp").replace("trials = 2", "trials = 1").replace('"digits"', '"npz:d.npz"')
    (sub.folder / "own.toml").write_text(study)
    store = str(tailor.folder / "mlruns")
    done = sub("search", "own.toml", "--workers", "1", TAILOR_STORE=store)
    assert done.returncode == 0, done.stderr
    done = tailor("search", "sub/own.toml", TAILOR_STORE=store)
    said = (
        "npz:d.npz → npz:sub/d.npz. Undo the change to resume it, start another study with --name, or begin this one anew with "
    )
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert "--fresh. The data is the same: a path to it counts from the folder in which the search began.\n" in done.stderr
    np.savez(sub.folder / "d.npz", x=np.ones((30, 4, 4), np.uint8), y=np.arange(30) % 2)
    done = tailor("search", "sub/own.toml", TAILOR_STORE=store)
    assert done.returncode == 2 and done.stderr.endswith("--fresh.\n"), done.stderr


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
