"""What `tailor check` says of a study file: its space and budgets, every mistake with its line, and what is not there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Shell

import tailor as public
from tailor.experiments.cli.check import NEEDS, list_left
from tailor.experiments.errors import InputError
from tailor.experiments.planning.resolve import ask_about, validate
from tailor.experiments.planning.study_file import find_line, find_lines
from tailor.search.space.describe import ask_about_lists
from tailor.search.study.load import build
from tailor.search.study.parse_space import read_parameter

WRONG = """
[study]
name = "small"
dataset = "digits"
model = "mlp"

[search]
trails = 4
epochs = 3
max_epochs = 0

[space]
learning_rate = { min = 1e-3, high = 1e-2 }
depth = { low = 3, high = 1 }
units_2 = { choices = [16, 32], when = "depth >= 2" }
"batch_size" = [16, 16]

[training]
unts = 32
"""


OWN = """
import keras

class Layer(keras.layers.Layer):
    def call(self, inputs, training=None):
        return inputs

def build(hparams, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    hidden = keras.layers.Dense(hparams["width"])(Layer()(keras.layers.Flatten()(inputs)))
    return keras.Model(inputs, keras.layers.Dense(num_classes, activation="softmax")(hidden))

build.defaults = {"width": 32}
build.starts = {"width": 24}
"""


def test_all_mistakes_of_a_file_come_at_once_with_their_lines(tailor: Shell) -> None:
    (tailor.folder / "wrong.toml").write_text(WRONG)
    done = tailor("check", "wrong.toml")
    assert done.returncode == 2, done.stdout
    first, *lines = done.stderr.splitlines()
    assert first == "tailor: 7 mistakes in wrong.toml:"
    found = dict(line.removeprefix("wrong.toml:").split(": ", 1) for line in lines)
    assert list(map(int, found)) == [8, 9, 10, 13, 14, 16, 19], done.stderr  # in the file's order
    assert "Did you mean 'trials'?" in found["8"] and "Did you mean 'low'?" in found["13"]
    assert "max_epochs" in found["9"] and "total_epochs" in found["9"]
    assert "max_epochs: expected a whole number from 1" in found["10"] and "Did you mean 'units'?" in found["19"]
    assert tailor("search", "wrong.toml").stderr == done.stderr
    assert not (tailor.folder / "mlruns").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["1: [study]: it is missing"]),
        ("[search]\ntrails = 3\n[space]\nx = { low = 9, high = 3 }\n", ["1: [study]: it", "2: [search]: no", "4: space.x: low"]),
        ("[sudy]\nname = 'x'\n", ["1: [sudy]: there is no such section. Did you mean 'study'?"]),
        ("[search]\n", ["1: [study]: it is missing"]),
    ],
)
def test_a_file_without_the_first_section_says_so_and_the_rest(tmp_path: Path, text: str, said: list[str]) -> None:
    path = tmp_path / "bare.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match="bare") as caught:
        public.read_study(path)
    lines = [
        line.removeprefix(f"{path}:") for line in str(caught.value).splitlines() if not line.startswith(f"{len(said)} mistakes")
    ]
    assert len(lines) == len(said) and all(line.startswith(start) for line, start in zip(lines, said, strict=True)), lines


def test_mistakes_in_points_have_their_lines(tailor: Shell, write_study: Callable[..., Path]) -> None:
    path = write_study()
    begun = len(path.read_text().splitlines())
    with path.open("a") as file:
        file.write(
            "[[enqueue]]\nlearning_rate = 0.005\n[[enqueue]]\ndepth = 9\n[[enqueue]]\nlearning_rate = 0.005\nunts_2 = 16\n"
        )
    first, *lines = tailor("check", "small.toml").stderr.splitlines()
    assert first == "tailor: 2 mistakes in small.toml:"
    assert lines[0].startswith(f"small.toml:{begun + 4}: enqueue[1].depth: expected a whole number from 1 to 2, got 9")
    assert lines[1].startswith(f"small.toml:{begun + 7}: enqueue[2] (no searched parameter): no such name 'unts_2'")
    assert f":{begun + 4}: enqueue[1].depth" in tailor("check", "small.toml", "--trials", "5").stderr
    assert f":{begun + 1}: enqueue[0].depth" in tailor("check", "small.toml", "--set", "space.learning_rate=0.1").stderr
    places = find_lines("enqueue = [{ depth = 1 }, { depth = 9 }]\n[space]\ndepth = 1\n")
    assert [find_line(f"{field}: wrong", places, []) for field in ("enqueue[1].depth", "depth")] == [1, 3]


def test_check_shows_what_the_first_trial_has_if_points_are_enqueued(tailor: Shell, write_study: Callable[..., Path]) -> None:
    with write_study().open("a") as file:
        file.write("[[enqueue]]\ndepth = 1\n[[enqueue]]\ndepth = 2\n")
    shown = tailor("check", "small.toml").stdout
    assert "first trial" in shown and "enqueue: 2 points tried first; what a point leaves out, the sampler draws" in shown
    rows = {line.split()[0]: line.split() for line in shown.splitlines() if line}
    assert [rows["learning_rate"][3], rows["depth"][3], rows["units_2"][4]] == ["drawn", "1", "–"]


def test_a_space_that_is_wrong_is_not_said_to_be_empty(tailor: Shell) -> None:
    study = '[study]\nname = "s"\ndataset = "digits"\nmodel = "mlp"\n[search]\nengine = "keras-tuner"\n'
    (tailor.folder / "s.toml").write_text(f'{study}[space]\nunits = [32, "a"]\n')
    (line,) = tailor("check", "s.toml").stderr.splitlines()
    assert "units" in line and "cannot repeat" not in line


def test_a_key_in_another_section_than_its_own_is_said_once(tailor: Shell, write_study: Callable[..., Path]) -> None:
    write_study(('dataset = "digits"\n', ""), ("[space]", '[space]\ndataset = "digits"'), ("[search]", "[search]\nbatch = 32"))
    done = tailor("check", "small.toml")
    first, *lines = done.stderr.splitlines()
    assert first == "tailor: 2 mistakes in small.toml:" and ": [search]: no such name 'batch'; a hyperparameter" in lines[0]
    assert lines[1].endswith(": space.dataset: it is a key of [study]; move the line there.")


def test_an_option_that_is_wrong_is_no_line_of_the_file(tailor: Shell, write_study: Callable[..., Path]) -> None:
    write_study()
    done = tailor("check", "small.toml", "--set", "search.trials=0")
    assert done.stderr.startswith("tailor: search.trials: expected a whole number from 1"), done.stderr
    write_study(("trials = 4", "trials = 0"))
    assert tailor("check", "small.toml").stderr.startswith("tailor: small.toml:12: search.trials: expected")


def test_python_says_all_mistakes_of_a_file_too(write_study: Callable[..., Path]) -> None:
    path = write_study(
        ('objective = "val_accuracy"', 'objective = "val_acuracy"'), ("trials = 4", "trails = 4"), ("[space]", "[spaces]")
    )
    for ask in (public.read_study, public.run):
        with pytest.raises(ValueError, match=r"^3 mistakes in") as caught:
            ask(str(path))
        first, second, third = str(caught.value).splitlines()[1:]
        assert "no such name 'val_acuracy'" in first and "[search]: no such name 'trails'" in second
        assert third.startswith(f"{path}:") and "[spaces]: there is no such section. Did you mean 'space'?" in third


@pytest.mark.parametrize(
    ("section", "given", "says"),
    [
        ("training", {"dropout": "0.5"}, "training.dropout: expected a number, as its default 0, got '0.5'."),
        ("training", {"batch_norm": 1}, "training.batch_norm: expected true or false, as its default false, got 1."),
        ("space", {"units": [16, 256.5]}, "space.units: expected a whole number, as its default 128, got 256.5."),
        ("space", {"units_1": {"low": 16.0, "high": 64.0}}, "space.units_1: expected a whole number, got 16.0."),
        ("space", {"dropout": [0, 0.5], "activation": ["relu", "gelu"]}, ""),
    ],
)
def test_a_built_in_models_values_are_of_the_kind_of_their_defaults(section: str, given: dict[str, object], says: str) -> None:
    spec = build({"study": {"name": "s", "dataset": "digits", "model": "mlp"}, section: given})
    if not says:
        validate(spec)
        return
    with pytest.raises(InputError) as caught:
        validate(spec)
    assert str(caught.value) == says


@pytest.mark.parametrize(
    ("metric", "direction", "search", "asked"),
    [
        ("val_accuracy", "maximize", {"target": 0.9}, []),
        ("latency_ms", "minimize", {"target": 9}, []),
        ("val_accuracy", "minimize", {}, ["study: is val_accuracy to be minimized? Usually one wants to maximize it."]),
        ("val_loss", "maximize", {}, ["study: is val_loss to be maximized? Usually one wants to minimize it."]),
        (
            "val_accuracy",
            "maximize",
            {"target": 93},
            ["search.target: val_accuracy is at most 1, so no trial reaches 93; did you mean 0.93?"],
        ),
    ],
)
def test_a_goal_that_is_hardly_meant_is_asked_about(
    metric: str, direction: str, search: dict[str, object], asked: list[str]
) -> None:
    study = {"name": "s", "dataset": "digits", "model": "mlp", "objective": metric, "direction": direction}
    assert ask_about(build({"study": study, "search": search})) == asked


def test_a_list_of_two_floats_is_asked_about() -> None:
    rate, units = read_parameter("learning_rate", [1e-4, 1e-1]), read_parameter("units", [16, 32])
    (asked,) = ask_about_lists((rate, units))
    assert asked.endswith("write { low = 0.0001, high = 0.1, log = true }")
    spec = build({"study": {"name": "s", "dataset": "digits", "model": "mlp"}, "space": {"lr": [1e-4, 1e-1]}})
    assert len(ask_about(spec)) == 1
    assert ask_about(replace(spec, found=replace(spec.found, declared=("lr",)))) == []  # the model declares it, not the file


def test_a_key_that_a_custom_factory_gets_is_asked_about_if_an_option_is_almost_so() -> None:
    study = {"name": "s", "dataset": "digits", "model": "nets/mine.py:build"}
    (asked,) = ask_about(build({"study": study, "training": {"learning_rte": 0.1, "width": 3, "batch_size": 8}}))
    assert asked == "training.learning_rte: no option has this name, so the factory gets it; did you mean learning_rate?"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({}, set()),
        ({"optimizer": "sgd"}, {"momentum"}),
        ({"schedule": "plateau"}, {"plateau_factor", "plateau_patience"}),
        ({"frozen_epochs": 1}, {"frozen_share", "fine_tune_share", "fine_tune_factor"}),
    ],
)
def test_a_default_that_changes_nothing_is_not_shown(given: dict[str, object], shown: set[str]) -> None:
    spec = build({"study": {"name": "s", "dataset": "digits", "model": "mlp"}, "training": given})
    left = list_left(spec)
    assert left["batch_size"] == 32 and left["units"] and {*left} & {*NEEDS} == shown


def test_check_shows_the_space_and_takes_the_options_of_search(tailor: Shell, write_study: Callable[..., Path]) -> None:
    write_study()
    done = tailor("check", "small.toml", "--trials", "7", "--max-epochs", "5", "--timeout", "30m", COLUMNS="80")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["learning_rate", "0.001–0.01", "log", "0.001", "–"] in rows
    assert ["units_2", "16,", "32", "choice", "32", "depth", ">=", "2"] in rows  # as units: what the search begins with
    assert "budget: 7 trials of at most 5 epochs; timeout 30m 00s" in " ".join(done.stdout.split())
    assert "fixed: units 32, batch_norm true" in done.stdout
    *lines, command = done.stdout.splitlines()  # a command to copy is never broken
    assert max(map(len, lines)) <= 80 and command.endswith("--timeout 30m")


def test_a_study_that_is_not_there_is_answered_with_the_nearest(tailor: Shell, write_study: Callable[..., Path]) -> None:
    write_study()
    (tailor.folder / "photos").mkdir()
    for study, said in (
        ("smal.toml", "there is no file 'smal.toml'. Did you mean 'small.toml'? Give a study file or one of: small.toml, "),
        ("small", "no such name 'small'. Did you mean 'small.toml'?"),
        ("photos", "'photos' is a folder; `tailor init --dataset folder:photos` writes a study file"),
    ):
        done = tailor("check", study)
        assert done.returncode == 2 and said in done.stderr, done.stderr


def test_a_mistyped_text_of_a_list_is_found_though_no_end_has_it(tailor: Shell, write_study: Callable[..., Path]) -> None:
    write_study(("[space]", '[space]\nactivation = ["relu", "rleu", "tanh"]'))
    done = tailor("check", "small.toml")
    shown = " ".join(done.stdout.split())
    assert "space.activation: with 'rleu' the smallest model cannot be built: ValueError: " in shown
    assert "The study is valid, but for the values above that cannot be built: their trials fail. Run it: " in shown


def test_the_default_is_what_the_search_begins_with(tailor: Shell, write_study: Callable[..., Path]) -> None:
    write_study(('model = "mlp"', 'model = "mine.py:build"'), ("[space]", "[space]\nwidth = { low = 4, high = 64 }"))
    (tailor.folder / "mine.py").write_text(OWN)
    done = tailor("check", "small.toml", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["begins"]["width"] == 24
    rows = [line.split() for line in tailor("check", "small.toml").stdout.splitlines()]
    assert ["width", "4–64", "linear", "24", "–"] in rows


def test_a_layer_that_fails_only_in_training_is_found(tailor: Shell, write_study: Callable[..., Path]) -> None:
    write_study(('model = "mlp"', 'model = "mine.py:build"'), ("[space]", "[space]\nwidth = { low = 4, high = 64 }"))
    fails = '        if training:\n            raise ValueError("odd")\n        return inputs'
    failing = OWN.replace("        return inputs", fails)
    (tailor.folder / "mine.py").write_text(failing)
    done = tailor("check", "small.toml")
    assert done.returncode == 2 and "cannot be trained: ValueError: odd (mine.py:7)" in done.stderr, done.stderr
