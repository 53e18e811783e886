"""Whole searches in which trials fail: each alone, whatever its error says, with the reason on its run."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Shell
from searches import artifacts, runs

FACTORY = r"""
import keras


class Mute(Exception):
    def __str__(self):
        return self.gone


class Bare(BaseException):
    pass


ERRORS = {
    "half": lambda: FileNotFoundError("no image in b\udcfccher"),  # as os.listdir names a folder that is not UTF-8
    "nul": lambda: ValueError("got a\0b"),
    "mute": Mute,
    "bare": lambda: Bare("out of the ordinary"),
    "interrupt": KeyboardInterrupt,
}


class Bad(keras.layers.Layer):
    def call(self, inputs, training=False):
        if training:
            raise Bare("in mid-training")
        return inputs


def build(hparams, input_shape, num_classes):
    if hparams["fails"] in ERRORS:
        raise ERRORS[hparams["fails"]]()
    layers = [keras.layers.Input(input_shape), keras.layers.Flatten()] + [Bad()] * (hparams["fails"] == "training")
    return keras.Sequential([*layers, keras.layers.Dense(num_classes)])
"""
REASONS = {
    "half": r"error: FileNotFoundError: no image in b\udcfccher (mine.py:",
    "nul": r"error: ValueError: got a\x00b (mine.py:",
    "mute": "error: Mute: (its message cannot be read) (mine.py:",
    "bare": "error: Bare: out of the ordinary (mine.py:",
    "interrupt": "error: KeyboardInterrupt (mine.py:",
    "training": "error: Bare: in mid-training (mine.py:",
}
STUDY = """
[study]
name = "small"
dataset = "digits"
model = "mine.py:build"

[search]
sampler = "grid"
trials = 7
max_epochs = 1

[space]
fails = { choices = ["no", "half", "nul", "mute", "bare", "interrupt", "training"] }
"""


@pytest.fixture
def study(tailor: Shell) -> Path:
    (tailor.folder / "mine.py").write_text(FACTORY, encoding="utf-8")
    points = "".join(f'\n[[enqueue]]\nfails = "{kind}"\n' for kind in ("no", *REASONS))
    (tailor.folder / "small.toml").write_text(STUDY + points)
    return tailor.folder / "small.toml"


def test_a_trial_fails_alone_whatever_its_error_is_and_says(tailor: Shell, study: Path) -> None:
    done = tailor("search", "small.toml", "--workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    (parent,), trials = runs(tailor.folder)
    assert parent.info.status == "FINISHED"
    assert [run.info.status for run in trials] == ["FINISHED", *["FAILED"] * len(REASONS)]
    for run in trials[1:]:
        assert run.data.tags["tailor.status_reason"].startswith(REASONS[run.data.params["fails"]])
        text = (artifacts(run) / "traceback.txt").read_text(encoding="utf-8")
        assert "mine.py" in text and "\0" not in text
