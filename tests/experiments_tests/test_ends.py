"""The smallest and the largest model of a space, found by building models, and how long their training may take."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Shell

from tailor.experiments.planning import estimate as estimating
from tailor.experiments.planning.ends import MOST_MODELS, search_ends
from tailor.experiments.planning.estimate import Size, _count_epochs
from tailor.experiments.planning.resolve import find_ends, open_data
from tailor.search.study.load import build

KINDS = """
import keras


def build(hparams, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    if hparams["kind"] == "big":
        x = keras.layers.Dense(4000)(x)
    return keras.Model(inputs, keras.layers.Dense(num_classes, activation="softmax")(x))
"""


@pytest.mark.parametrize(
    ("search", "epochs"),
    [
        ({}, 30),  # three rounds of two workers
        ({"total_epochs": 20}, 20),  # and what then runs ends whole
        ({"timeout": 6}, 13),
        ({"total_epochs": 20, "timeout": 60}, 20),
    ],
)
def test_a_worker_trains_no_more_epochs_than_the_budgets_allow(search: dict[str, int], epochs: float) -> None:
    tables = {"study": {"name": "s", "dataset": "digits", "model": "mlp"}, "search": {"trials": 5, "max_epochs": 10, **search}}
    assert _count_epochs(build(tables), 5, 2, Size({}, 1, 1.0, 1.0, epoch_seconds=2.0)) == epochs


def test_a_text_that_makes_others_active_is_tried_with_them() -> None:
    tables = {
        "study": {"name": "s", "dataset": "digits", "model": "mine.py:build", "objective": "val_loss", "direction": "minimize"},
        "space": {
            "block": ["plain", "squeezed", "other"],
            "width": {"low": 4, "high": 8, "when": "block == plain"},
            "share": {"low": 0.1, "high": 0.5, "when": "block == squeezed"},
        },
    }
    tried = list[dict[str, Any]]()
    spec = build(tables)
    search_ends(spec, find_ends(spec), lambda values: tried.append(dict(values)) or 7)  # type: ignore[func-returns-value]
    assert tried[:3] == [{"block": "plain", "width": 4}, {"block": "squeezed", "share": 0.1}, {"block": "other"}]


def test_of_a_large_space_not_every_model_is_built() -> None:
    study = {"name": "s", "dataset": "digits", "model": "mine.py:build", "objective": "val_loss", "direction": "minimize"}
    space = {f"n{i}": {"low": 1, "high": 2} for i in range(50)} | {"kind": [f"k{i}" for i in range(50)]}
    spec, tried = build({"study": study, "space": space}), list[Any]()
    ends = search_ends(spec, find_ends(spec), lambda values: tried.append(values) or 7)  # type: ignore[func-returns-value]
    assert len(tried) == MOST_MODELS and (ends.smallest, ends.largest) == find_ends(spec)


@pytest.mark.parametrize(
    ("space", "size", "smallest", "largest"),
    [
        ({"kind": ["a", "b", "c"]}, lambda h: {"a": 2, "b": 1, "c": 3}[h["kind"]], {"kind": "b"}, {"kind": "c"}),
        ({"kind": ["a", "b"]}, lambda h: 5, {"kind": "a"}, {"kind": "a"}),
        ({"pools": {"low": 1, "high": 3}}, lambda h: 100 // h["pools"], {"pools": 3}, {"pools": 1}),
        ({"units": {"low": 1, "high": 3}}, lambda h: 100 * h["units"], {"units": 1}, {"units": 3}),
        (  # which text is the larger one changes with the width
            {"width": {"low": 1, "high": 9}, "kind": ["flat", "square"]},
            lambda h: h["width"] + 10 if h["kind"] == "flat" else h["width"] ** 2,
            {"width": 1, "kind": "square"},
            {"width": 9, "kind": "square"},
        ),
        (  # a text among numbers
            {"units": [*range(8, 160, 8), "auto"]},
            lambda h: 100 if h["units"] == "auto" else h["units"],
            {"units": 8},
            {"units": 152},
        ),
        (
            {"kind": ["good", "bad"]},
            lambda h: "no" if h["kind"] == "bad" else 7,
            {"kind": "good"},
            {"kind": "good"},
        ),
    ],
)
def test_the_smallest_and_the_largest_model_are_found_by_building(
    space: dict[str, Any], size: Callable[[Any], int | str], smallest: dict[str, Any], largest: dict[str, Any]
) -> None:
    study = {"name": "s", "dataset": "digits", "model": "mine.py:build", "objective": "val_loss", "direction": "minimize"}
    spec = build({"study": study, "space": space})
    ends = search_ends(spec, find_ends(spec), size)
    assert (ends.smallest, ends.largest) == (smallest, largest)
    assert list(ends.failing) == ["space.kind: with 'bad' the smallest model cannot be built: no"] * ("bad" in str(space))


def test_on_one_core_the_models_are_measured_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {
        "study": {"name": "s", "dataset": "digits", "model": "mlp"},
        "space": {"units": {"low": 4, "high": 8}, "depth": {"low": 1, "high": 2}},
    }
    spec = build(tables)
    splits = open_data(spec, None)
    found = []
    for cores in (1, 2):
        monkeypatch.setattr(estimating, "count_cores", lambda cores=cores: cores)
        found.append(estimating.estimate(spec, splits))
    for one in found:
        assert (one.smallest.parameters, one.largest.parameters) == (
            64 * 4 + 4 + 4 * 10 + 10,
            64 * 8 + 8 + 8 * 8 + 8 + 8 * 10 + 10,
        )
        assert one.smallest.batch_ms > 0 and one.largest.batch_ms > 0


@pytest.mark.parametrize(
    ("guess", "training", "times"),
    [("float32", {}, 1), ("bfloat16", {}, 2), ("float32", {"precision": "bfloat16"}, 1)],
    ids=["right", "wrong", "fixed"],
)
def test_the_largest_model_is_measured_again_if_its_precision_was_guessed_wrongly(
    monkeypatch: pytest.MonkeyPatch, guess: str, training: dict[str, Any], times: int
) -> None:
    measured = []
    call = estimating._Meter._call

    def note(self: Any, function: Any, values: Any) -> Any:
        if function is estimating._measure and values["units"] == 8:
            measured.append(self._make_job(values).values["precision"])
        return call(self, function, values)

    monkeypatch.setattr(estimating, "count_cores", lambda: 2)
    monkeypatch.setattr(estimating, "GUESS", guess)
    monkeypatch.setattr(estimating._Meter, "_call", note)
    study = {"name": "s", "dataset": "digits", "model": "mlp"}
    spec = build({"study": study, "space": {"units": {"low": 4, "high": 8}}, "training": training})
    assert estimating.estimate(spec, open_data(spec, None)).largest.parameters == 64 * 8 + 8 + 8 * 8 + 8 + 8 * 10 + 10
    assert (len(measured), measured[-1]) == (times, training.get("precision", "float32"))


DEADLINE = 200  # seconds, below those of a test
STUCK = """
def build(hparams, input_shape, num_classes):
    if hparams["units"] == 4:
        open("begun").read()  # until the other one is being built
        raise RuntimeError("too small")
    open("begun", "w").close()
    open("never").read()
"""


def test_the_smallest_models_error_does_not_wait_for_the_largest_model(tailor: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which here is built only when the deadline lets it: it reads a pipe that nobody writes to before."""
    released = threading.Event()

    def release() -> None:
        released.set()
        (tailor.folder / "never").write_text("")

    monkeypatch.setattr(estimating, "count_cores", lambda: 2)
    for pipe in ("begun", "never"):
        os.mkfifo(tailor.folder / pipe)
    deadline = threading.Timer(DEADLINE, release)
    deadline.daemon = True
    deadline.start()
    (tailor.folder / "stuck.py").write_text(STUCK)
    (tailor.folder / "stuck.toml").write_text(
        '[study]\nname = "stuck"\ndataset = "digits"\nmodel = "stuck.py:build"\n[space]\nunits = { low = 4, high = 8 }\n'
    )
    done = tailor("check", "stuck.toml")
    deadline.cancel()
    assert not released.is_set()
    assert done.returncode == 2 and "built: RuntimeError: too small (stuck.py:5)" in done.stderr


def test_a_text_that_makes_the_model_larger_is_in_the_largest(tailor: Shell, write_study: Callable[..., Path]) -> None:
    write_study(('model = "mlp"', 'model = "mine.py:build"'), ("[space]", '[space]\nkind = ["small", "big"]'))
    (tailor.folder / "mine.py").write_text(KINDS)
    found = json.loads(tailor("check", "small.toml", "--json").stdout)
    assert found["smallest"]["parameters"] == 650 and found["smallest"]["values"]["kind"] == "small"
    assert found["largest"]["parameters"] == 300_010 and found["largest"]["values"]["kind"] == "big"
