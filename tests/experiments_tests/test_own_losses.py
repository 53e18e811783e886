"""Custom losses in a search: each that the space names is checked first, and a trial trains with its own folder's."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Shell
from fits import digits, model
from searches import OWN, runs

from tailor.experiments.trials.preflight import list_losses
from tailor.models.training.fit import FitPlan, fit
from tailor.models.training.options import TrainOptions
from tailor.search.study.load import build

LOSSES = """
import keras

def wide(wanted, found):
    return keras.losses.categorical_crossentropy(wanted, found)

def scalar(wanted, found):
    return keras.ops.mean(wide(wanted, found))
"""

STUDY = """
[study]
name = "own"
dataset = "digits"
model = "mlp"
objective = "val_accuracy"
direction = "maximize"

[search]
trials = 2
max_epochs = 1

[space]
loss = ["crossentropy", "losses.py:wide", "WRONG"]
"""


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("losses.py:scalar", "space.loss: expected 'losses.py:scalar' to return a loss for each image, (n,), got the shape ()"),
        ("nofile.py:f", "space.loss: there is no file 'nofile.py'; the path is taken from the current folder.\n"),
    ],
)
def test_each_loss_of_the_space_is_checked_before_a_search(tailor: Shell, wrong: str, says: str) -> None:
    (tailor.folder / "losses.py").write_text(LOSSES, encoding="utf-8")
    (tailor.folder / "own.toml").write_text(STUDY.replace("WRONG", wrong), encoding="utf-8")
    for command in (("check", "own.toml"), ("search", "own.toml", "--workers", "1")):
        done = tailor(*command)
        assert done.returncode == 2 and says in done.stderr, (command, done.stderr)
    assert not (tailor.folder / "mlruns").exists()


def test_a_space_by_function_names_its_losses_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("space.py").write_text(
        "def draw(trial):\n    return {'loss': trial.suggest_categorical('kind', ['focal', 'losses.py:wide'])}\n",
        encoding="utf-8",
    )
    study = {"name": "own", "dataset": "digits", "model": "mlp", "space": "space.py:draw"}
    assert list_losses(build({"study": study})) == {"focal": "study.space.loss", "losses.py:wide": "study.space.loss"}


def test_two_folders_losses_of_one_name_train_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, found = digits(), []
    for folder, factor in (("a", 1), ("b", 3)):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        Path("losses.py").write_text(LOSSES + f"\ndef f(wanted, found):\n    return {factor} * wide(wanted, found)\n", "utf-8")
        history = fit(model(), data, TrainOptions(loss="losses.py:f", optimizer="sgd"), FitPlan(1, seed=1)).history
        found.append(history[0]["train_loss"])
    assert found[1] > 1.5 * found[0]


EDITING = """
import keras

def f(wanted, found):
    return FACTOR * keras.losses.categorical_crossentropy(wanted, found)
"""

NETS = """
import keras
from pathlib import Path

def build(hparams, input_shape, num_classes):
    if Path("mlruns/checkpoints/own").is_dir():  # the search has begun
        text = Path("losses.py").read_text(encoding="utf-8")
        Path("losses.py").write_text(text.replace("return 1 *", "return 1000 *"), encoding="utf-8")
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(num_classes, activation="softmax")]
    return keras.Sequential([keras.Input(input_shape), *layers])
"""

PINNED = f"""{OWN}
[training]
loss = "losses.py:f"
"""


def test_trials_use_the_loss_of_the_start_and_what_trains_later_names_a_changed_file(tailor: Shell) -> None:
    """The factory stands for a person who edits the file while the trials train."""
    for name, text in (("losses.py", EDITING.replace("FACTOR", "1")), ("nets.py", NETS), ("own.toml", PINNED)):
        (tailor.folder / name).write_text(text, encoding="utf-8")
    done = tailor("search", "own.toml", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert "return 1000 *" in (tailor.folder / "losses.py").read_text(encoding="utf-8")
    assert all(run.data.metrics["train_loss"] < 10 for run in runs(tailor.folder, "own")[1])
    promoted = tailor("promote", "own", "--to", "own")
    assert promoted.returncode == 2
    assert "losses.py:f has changed since study 'own' began" in promoted.stderr and "--quick" in promoted.stderr
    assert "training" not in promoted.stdout
    assert tailor("promote", "own", "--to", "own", "--quick").returncode == 0
    compressed = tailor("compress", "own", "--prune", "0.5", "--dry-run")
    assert compressed.returncode == 2 and "losses.py:f has changed since study 'own' began" in compressed.stderr
    again = tailor("reproduce", "own:0")
    assert again.returncode == 1 and "file (losses.py:f)" in again.stdout
    (tailor.folder / "losses.py").write_text(EDITING.replace("FACTOR", "1"), encoding="utf-8")
    same = tailor("reproduce", "own:0")
    assert same.returncode == 0, same.stdout
