"""How "auto" finds the faster precision: dense networks are not timed at all, and a hopeless one not to the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf

from tailor.models.factory import resolve
from tailor.models.training import precision
from tailor.models.training.options import TrainOptions
from tailor.models.training.program import Program

OPTIONS = TrainOptions(batch_size=4)


def built(factory: str, policy: str) -> keras.Model:
    """A small network under a policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return resolve(factory)({}, (8, 8, 1), 10)
    finally:
        keras.config.set_dtype_policy(before)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many steps each call of the loop was given."""
    steps: list[int] = []
    train = Program.train

    def counted(self: Program, images: Any, labels: Any, order: Any, span: range) -> None:
        steps.append(len(span))
        train(self, images, labels, order, span)

    monkeypatch.setattr(Program, "train", counted)
    return steps


@pytest.fixture
def capable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that lists a bfloat16 instruction, whether it has one or not."""
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)


@pytest.mark.parametrize(
    ("listed", "may"),
    [
        ("flags : fpu avx2 avx512f", False),
        ("flags : fpu avx512_bf16 amx_tile", True),
        ("Features : asimd bf16", True),
        ("", True),
    ],
)
def test_a_processor_without_bfloat16_is_known_by_its_flags(tmp_path: Path, listed: str, may: bool) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{listed}\n")
    assert precision.has_bfloat16(tmp_path / "cpuinfo") == may or tf.config.list_physical_devices("GPU")
    assert precision.has_bfloat16(tmp_path / "none")


def test_nothing_is_timed_where_bfloat16_cannot_be_faster(trained: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda: False)
    assert precision.choose_precision(lambda policy: built("cnn", policy), OPTIONS, 10) == "float32"
    assert trained == []


@pytest.mark.usefixtures("capable")
def test_a_dense_network_is_not_timed(trained: list[int]) -> None:
    assert precision.choose_precision(lambda policy: built("mlp", policy), OPTIONS, 10) == "float32"
    assert trained == []


@pytest.mark.usefixtures("capable")
def test_a_hopeless_precision_is_timed_once(trained: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "HOPELESS", 0.0)  # whatever the machine: nothing is as fast as that
    precision.choose_precision(lambda policy: built("cnn", policy), OPTIONS, 10)
    timed = [1, *[precision.STEPS] * 3]  # a step that traces, and three timings
    assert trained == [*timed, *timed[:2]]
