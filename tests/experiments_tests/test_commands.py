"""`init`, `show`, `status --watch`, `completion`, and `python -m tailor`, as a person uses them."""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import TAILOR, Shell
from image_folders import tree
from searches import client

from tailor.experiments.datasets.catalog import open_dataset
from tailor.experiments.errors import InputError
from tailor.experiments.planning.starter import guess_dataset
from tailor.experiments.planning.study_file import read_study
from tailor.experiments.reports.trial_details import count_epochs, draw_sparkline, find_place
from tailor.experiments.tracking.recorded import RecordedAttempt

HYPER = "def build(hp):\n    return None\n"
OWN = "def build(hparams, input_shape, num_classes):\n    return None\n"


def test_init_writes_a_valid_study_and_never_overwrites(tailor: Shell) -> None:
    done = tailor("init")
    assert done.returncode == 0 and "tailor check study.toml" in done.stdout
    path = tailor.folder / "study.toml"
    spec = read_study(str(path))
    assert (spec.name, spec.dataset, spec.model) == ("digits-mlp", "digits", "mlp")
    assert {"depth", "units", "learning_rate"} <= {one.name for one in spec.space.searched}
    umlaut = tailor("init", "blätter.toml")
    assert umlaut.returncode == 0, umlaut.stderr
    assert read_study(str(tailor.folder / "blätter.toml")).name == "blatter"
    for wrong, said in (
        ("--name=täst", "tailor: --name: expected 1 to 200 letters"),
        ("--data=folder:photos", "as --dataset"),
        ("--model=mlpp", "tailor: --model: expected one of mlp, "),
        ("--model=nets/mine.py", "tailor: --model: expected one of mlp, "),
    ):
        refused = tailor("init", "other.toml", wrong)
        assert refused.returncode == 2 and said in refused.stderr and not (tailor.folder / "other.toml").exists()
    path.write_text("mine")
    again = tailor("init")
    assert again.returncode == 2 and "is there already" in again.stderr and path.read_text() == "mine"


@pytest.mark.parametrize(("code", "api"), [(OWN, "tailor"), (HYPER, "keras-tuner")])
def test_init_finds_the_data_and_the_model_that_lie_there(
    tailor: Shell, code: str, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = np.repeat(np.arange(2), 60)
    np.savez(
        tailor.folder / "cells.npz",
        images=np.zeros((120, 8, 8), np.uint8) + np.arange(120, dtype=np.uint8)[:, None, None],
        labels=labels,
    )
    (tailor.folder / "nets").mkdir()
    (tailor.folder / "nets" / "mine.py").write_text(code)
    done = tailor("init", "cells.toml")
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(tailor.folder)
    spec = read_study("cells.toml")
    assert (spec.name, spec.dataset, spec.compiled) == ("cells", "npz:cells.npz", api == "keras-tuner")
    assert spec.model.endswith("nets/mine.py:build")


def test_init_passes_over_what_it_cannot_read(tailor: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that nobody may read (`lost+found`), and one whose name MLflow could not record; root may read all."""
    strange = os.fsdecode(b"caf\xe9")
    tree(tmp_path, *(f"{place}/{name}/1.png" for place in ("photos", strange) for name in "ab"))
    (tmp_path / "locked").mkdir()
    as_it_is = Path.iterdir

    def list_folder(self: Path) -> Iterator[Path]:
        if self.name == "locked":
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return as_it_is(self)

    monkeypatch.setattr(Path, "iterdir", list_folder)
    assert guess_dataset(tmp_path) == "folder:photos"
    with pytest.raises(InputError, match=r"locked: the folder cannot be read \(Permission denied\); make it readable"):
        open_dataset(f"folder:{tmp_path / 'locked'}", None)
    refused = tailor("init", "--dataset", f"folder:{strange}")
    assert refused.returncode == 2 and "--dataset: 'folder:caf\\\\xe9' is not UTF-8" in refused.stderr


@pytest.mark.parametrize(
    ("places", "dataset", "name"),
    [
        ("train/cat train/dog test/cat test/dog nets", "folder:.", "cells-cnn"),
        ("cat dog", "folder:.", "cells-cnn"),
        ("cat dog __MACOSX/cat __MACOSX/dog", "folder:.", "cells-cnn"),
        ("train/cat train/dog val/cat", "folder:.", "cells-cnn"),
        ("train/cat train/dog nets", "folder:train", "train-cnn"),  # of `folder:.` nets would be a class
        ("photos/Training/cat photos/Training/dog figures", "folder:photos", "photos-cnn"),
    ],
)
def test_init_finds_the_data_in_the_current_folder_itself(
    tmp_path: Path, places: str, dataset: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Shell(tmp_path / "cells")
    for place in places.split():
        tree(here.folder, *(f"{place}/{i}.{'txt' if place == 'nets' else 'webp'}" for i in range(9)))
    done = here("init")
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(here.folder)
    spec = read_study("study.toml")
    assert (spec.dataset, spec.name) == (dataset, name)


def test_init_says_that_images_outside_folders_are_not_used(tailor: Shell) -> None:
    tree(tailor.folder, "1.png", "2.png")
    done = tailor("init", "a.toml")
    assert done.returncode == 0 and done.stdout.startswith("The images in this folder are not used: "), done.stdout
    assert "model mlp on digits; read it, then:" in done.stdout
    (tailor.folder / "cat").mkdir()
    (tailor.folder / "1.png").rename(tailor.folder / "cat" / "1.png")
    done = tailor("init", "b.toml", "--dataset", "folder:.")
    assert done.returncode == 2 and "at least two; got 1 in the current folder." in done.stderr


def test_init_never_takes_one_of_several_splits_for_the_data(tailor: Shell) -> None:
    tree(tailor.folder, *(f"{part}/{c}/1.png" for part in ("test-set", "train-set") for c in "ab"))
    done = tailor("init")
    assert done.returncode == 2 and "rename the folders above them to train, val and test" in done.stderr
    assert not (tailor.folder / "study.toml").exists()


def test_init_creates_nothing_if_the_data_is_wrong(tailor: Shell) -> None:
    done = tailor("init", "--dataset", "npz:none.npz")
    assert done.returncode == 2 and "none.npz" in done.stderr and list(tailor.folder.iterdir()) == []


def test_show_is_the_trial_in_full(recorded: Shell) -> None:
    plain = json.loads(recorded("show", "small:best", "--json").stdout)
    best = json.loads(recorded("status", "small", "--json").stdout)["leaderboard"][0]
    assert (plain["trial"], plain["run_id"]) == (best["trial"], best["run_id"])
    assert plain["values"]["best_val_accuracy"] == best["value"] and len(plain["curve"]) == 3
    shown = recorded("show", f"small:{best['trial']}").stdout
    for text in (
        f"small:{best['trial']}  done",
        "learning_rate",
        "attempts",
        "confusion_matrix.png",
        best["run_id"],
        "batch_norm",
    ):
        assert text in shown
    assert draw_sparkline(plain["curve"]) in shown
    wrong = recorded("show", "small:99")
    assert wrong.returncode == 2 and "has no trial 99; it has: 0, 1, 2, 3" in wrong.stderr


def test_a_sparkline_spans_its_lowest_and_highest_value() -> None:
    assert draw_sparkline([0.0, 1.0, 0.5]) == "▁█▅"
    assert draw_sparkline([1.0]) == "" and len(draw_sparkline(list(range(500)))) == 60


def test_the_place_of_an_error_is_the_users_line() -> None:
    text = '  File "/home/a/nets/res.py", line 25, in build\n    x\n  File "/x/site-packages/keras/a.py", line 9, in call\n'
    python = f'  File "{random.__file__}", line 373, in choice\n  File "<frozen importlib._bootstrap>", line 1140, in _find\n'
    assert find_place(text) == find_place(text + python) == "/home/a/nets/res.py:25"
    assert find_place("") == find_place(python) == ""


def test_watching_without_a_terminal_prints_one_table(recorded: Shell) -> None:
    assert recorded("status", "small", "--watch").stdout == recorded("status", "small").stdout


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("tailor ren", "rename"),
        ("tailor status sm", "small"),
        ("tailor search fashion-c", "fashion-cnn"),
        ("tailor show small:b", "best"),  # bash keeps what stands before the colon
        ("tailor show 'small:b", "small:best"),  # but not within quotes
        ("tailor models di", "digits"),
        ("tailor predict digits@", "champion"),
        ("tailor search --fre", "--fresh"),
        ("tailor search small.toml --name 'big one' --fre", "--fresh"),
        ("tailor status blätter.toml --js", "--json"),
    ],
)
def test_bash_completes(recorded: Shell, line: str, found: str) -> None:
    script = (
        'eval "$(tailor completion bash)"; compopt() { :; }; COMP_POINT=${#COMP_LINE}; '
        '_tailor_completion tailor; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    asked = {"COMP_LINE": line, "PATH": f"{Path(TAILOR).parent}{os.pathsep}{os.environ['PATH']}"}
    bash = ["bash", "--norc", "--noprofile", "-c", script]
    done = subprocess.run(bash, cwd=recorded.folder, env={**os.environ, **asked}, capture_output=True, text=True, check=False)
    assert found in done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("search s", ["small.toml"]),  # a study's name begins no search
        ("status s", ["small", "small.toml"]),
        ("delete s", ["small"]),
        ("delete q", []),  # it is not in the store
        ("show small:", ["small:0", "small:1", "small:2", "small:3", "small:best"]),
    ],
)
def test_only_what_a_command_takes_is_completed(copy: Shell, line: str, found: list[str]) -> None:
    mlflow = client(copy.folder)
    experiment = mlflow.get_experiment_by_name("small")
    assert experiment is not None
    mlflow.create_run(experiment.experiment_id, tags={"tailor.kind": "candidate", "tailor.trial": "7"})
    words = line.split()
    asked = {"_TAILOR_COMPLETE": "zsh_complete", "COMP_WORDS": f"tailor {line}", "COMP_CWORD": str(len(words))}
    done = subprocess.run([TAILOR], cwd=copy.folder, env={**os.environ, **asked}, capture_output=True, text=True, check=False)
    said = [one for one in done.stdout.splitlines() if one.startswith(words[-1])]
    assert [one.replace("\\:", ":") for one in said] == found


def test_zsh_completes(recorded: Shell) -> None:
    asked = {"_TAILOR_COMPLETE": "zsh_complete", "COMP_WORDS": "tailor status sm", "COMP_CWORD": "2"}
    done = subprocess.run([TAILOR], cwd=recorded.folder, env={**os.environ, **asked}, capture_output=True, text=True, check=False)
    assert "small" in done.stdout.splitlines()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completions_of_each_shell(tailor: Shell, shell: str) -> None:
    assert f"_TAILOR_COMPLETE={shell}_complete" in tailor("completion", shell).stdout


def test_python_runs_tailor_as_a_module(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tailor", "--version"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and done.stdout.startswith("tailor, version")


@pytest.mark.parametrize(
    ("attempts", "shown"),
    [
        ([("lost", 0, 0), ("complete", 28, 40)], [12, 28]),  # its worker's checkpoint held 12 epochs
        ([("lost", 4, 4), ("complete", 36, 40)], [4, 36]),
        ([("lost", 10, 10), ("complete", 32, 40)], [10, 32]),  # it went on from epoch 8
        ([("stopped", 12, 12), ("lost", 5, 17), ("lost", 0, 0), ("complete", 8, 40)], [12, 5, 15, 8]),
        ([("complete", 7, 10)], [7]),  # of a trial that continues another one's weights
    ],
)
def test_the_epochs_of_a_trials_attempts_add_up(attempts: list[tuple[str, int, int]], shown: list[int]) -> None:
    made = [
        RecordedAttempt(0, i, "r", "trial-000", "FINISHED", status, "", own, {}, {}, 0, None, epoch)
        for i, (status, own, epoch) in enumerate(attempts)
    ]
    assert [one.epochs for one in count_epochs(made)] == shown
    if shown == [12, 28]:
        assert [one.epochs for one in count_epochs(made, continued=True)] == [0, 28]  # they may be another trial's
