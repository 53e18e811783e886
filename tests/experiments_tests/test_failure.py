"""Why a trial failed, in one line; and when an accuracy is that of a guess."""

from __future__ import annotations

import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest

import tailor
from tailor.experiments.datasets.splits import DataHandle
from tailor.experiments.errors import RunError
from tailor.experiments.trials.chance import find_guess, warn_near_chance
from tailor.experiments.trials.failure import explain_failure, trace
from tailor.experiments.trials.job import TrialJob
from tailor.experiments.trials.preflight import LOGITS, OWN_COMPILE, inspect_model
from tailor.models.errors import ModelError
from tailor.models.training.trainer import NonFiniteLoss

NETS = """
import keras

def width(hparams):
    return hparams["droput"]

def build(hparams, input_shape, num_classes):
    return width(hparams)

def inside(hparams, input_shape, num_classes):
    return keras.Sequential([keras.layers.Dense("wide")])

def logits(hparams, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, keras.layers.Dense(num_classes)(keras.layers.Flatten()(inputs)))

def compiled(hparams, input_shape, num_classes):
    model = logits(hparams, input_shape, num_classes)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model

def sigmoid(hparams, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, keras.layers.Dense(num_classes, activation="sigmoid")(keras.layers.Flatten()(inputs)))

class Boom(keras.layers.Layer):
    def call(self, inputs):
        raise ValueError("odd width")

def boom(hparams, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, Boom()(inputs))

def eager(hparams, input_shape, num_classes):
    return Boom()(keras.ops.zeros((1, 2)))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "res.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def job(model: str, folder: Path, **values: object) -> TrialJob:
    data = DataHandle("", (6, 6, 1), 3)
    values = {"precision": "float32", **values}
    return TrialJob("s", 0, 1, f"nets/res.py:{model}", values, data, 1, 0, "val_loss", False, False, str(folder))


def raised(model: str, folder: Path) -> Exception:
    with pytest.raises(Exception) as error:
        inspect_model(job(model, folder))
    return error.value


def test_an_error_of_a_factory_names_its_type_file_and_line(folder: Path) -> None:
    assert explain_failure(raised("build", folder)) == "error: KeyError: 'droput' (nets/res.py:5)"
    assert explain_failure(raised("inside", folder)).endswith("(nets/res.py:11)")  # the user's line, not Keras's
    assert explain_failure(ValueError("no line\nof mine")) == "error: ValueError: no line"


def test_the_screen_shows_the_users_lines_of_a_traceback_and_the_error(folder: Path) -> None:
    shown = trace(raised("build", folder)).splitlines()
    assert shown[0] == "Traceback of your code:" and shown[-1] == "KeyError: 'droput'"
    files = [Path(line.split('"')[1]).name for line in shown if ", line " in line]
    assert files == [Path(__file__).name, "res.py", "res.py"]  # none of ours
    assert trace(NonFiniteLoss("the loss is nan in epoch 1")) == ""  # its reason says it all
    theirs = ValueError("a library's own")
    assert trace(theirs).splitlines() == ["ValueError: a library's own"]


def test_the_error_of_a_layer_is_its_own_and_not_kerass_line_above_it(folder: Path) -> None:
    for factory in ("boom", "eager"):
        error = raised(factory, folder)
        assert explain_failure(error).startswith("error: ValueError: odd width (")
        assert explain_failure(error).endswith("nets/res.py:28)")
        assert "\x1b" not in trace(error)
    assert "\x1b" in str(error)


def test_what_a_model_is_taken_for_is_said_in_one_line(folder: Path) -> None:
    assert inspect_model(job("logits", folder)).note == LOGITS
    assert inspect_model(job("compiled", folder)).note == OWN_COMPILE
    with pytest.raises(ModelError, match="got sigmoid"):
        inspect_model(job("sigmoid", folder))
    with pytest.raises(ModelError, match=r"momentum: stands in \[training\] or \[space\]"):
        inspect_model(job("compiled", folder, momentum=0.5))


def test_no_room_for_a_temporary_file_is_not_laid_to_the_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(folder / "none")])
    with pytest.raises(RunError, match="name another folder by TMPDIR"):
        inspect_model(job("logits", folder))
    full = OSError(28, "No space left on device", "/tmp/x")
    assert explain_failure(full).startswith("disk: the model cannot be written to")


def test_a_function_in_the_place_of_its_name_is_refused_with_the_way_out() -> None:
    def build() -> keras.Model:
        raise NotImplementedError

    study = {"name": "x", "dataset": "digits", "model": build, "objective": "val_accuracy", "direction": "maximize"}
    with pytest.raises(ModelError, match=r"study.model: .* function build; .* such as 'nets/mine.py:build'"):
        tailor.run({"study": study, "space": {"width": [1, 2]}})


@pytest.mark.parametrize(
    ("labels", "accuracy", "near"),
    [
        ([0, 1] * 100, 0.5, True),
        ([0, 1] * 100, 0.56, True),  # within two standard errors
        ([0, 1] * 100, 0.6, False),
        ([0] * 90 + [1] * 10, 0.91, True),  # the largest class has 0.9
        ([0] * 9000 + [1] * 1000, 0.92, False),
        (list(range(10)) * 1000, 0.13, True),  # beyond chance, and next to nothing learnt
        (list(range(10)) * 1000, 0.29, False),
        ([0] * 100, 1.0, True),  # there is nothing to tell apart
    ],
)
def test_an_accuracy_near_that_of_a_guess_is_told(labels: list[int], accuracy: float, near: bool) -> None:
    names = [str(label) for label in range(max(labels) + 1)]
    warning = warn_near_chance("the best trial, 3,", accuracy, np.array(labels), names)
    assert warning.startswith("the best trial, 3, is near chance: accuracy") == near == bool(warning)


def test_a_guess_is_the_largest_class_or_one_of_all() -> None:
    assert find_guess(np.array([0, 0, 1]), 2) == pytest.approx(2 / 3)
    assert find_guess(np.array([], "int64"), 4) == find_guess(np.array([0, 1, 2, 3]), 4) == 0.25
