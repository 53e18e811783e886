"""Models of one's own that a search refuses: whose layers outlive a trial, and whose code ends its process."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Shell
from searches import client
from test_own_model import OWN_STUDY

SHARED = """
import functools
import keras

def make_base():
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(8)], name="base")

BASE, FROZEN, AGAIN, TUNED = make_base(), make_base(), make_base(), make_base()
FROZEN.trainable = False
WEIGHTS = AGAIN.get_weights()

def head(base, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, keras.layers.Dense(num_classes, activation="softmax")(base(inputs)))

def outside(hparams, input_shape, num_classes):
    return head(BASE, input_shape, num_classes)

@functools.cache
def made(input_shape, num_classes):
    return head(make_base(), input_shape, num_classes)

def kept(hparams, input_shape, num_classes):
    return made(input_shape, num_classes)

def frozen(hparams, input_shape, num_classes):
    return head(FROZEN, input_shape, num_classes)

def set_again(hparams, input_shape, num_classes):
    AGAIN.set_weights(WEIGHTS)
    return head(AGAIN, input_shape, num_classes)

def chosen(hparams, input_shape, num_classes):
    FROZEN.set_weights(WEIGHTS if hparams["tune"] else [weight * 2 for weight in WEIGHTS])
    return head(FROZEN, input_shape, num_classes)

def tuned(hparams, input_shape, num_classes):
    TUNED.trainable = hparams["tune"]
    return head(TUNED, input_shape, num_classes)
"""
SHARED_STUDY = """
enqueue = [{ tune = false }, { tune = true }, { tune = true }]
[study]
name = "shared"
dataset = "digits"
model = "shared.py:frozen"
[search]
trials = 2
max_epochs = 1
pruner = "none"
[space]
tune = [false, true]
[workers]
count = 1
"""
SAID = "the layer 'base' is not made anew, and keeps what an earlier trial taught it"


def test_a_layer_that_would_carry_what_it_learned_from_trial_to_trial_is_refused(tailor: Shell) -> None:
    (tailor.folder / "shared.py").write_text(SHARED)
    (tailor.folder / "shared.toml").write_text(SHARED_STUDY)
    for factory in ("frozen", "set_again", "chosen"):
        done = tailor("search", "shared.toml", "--name", factory, "--set", f"study.model=shared.py:{factory}")
        assert done.returncode == 0 and "2 done" in done.stdout, done.stderr
    for factory, said in (("outside", SAID), ("kept", "it returned the same model twice; make the model anew in each call")):
        for command in ("search", "check"):
            done = tailor(command, "shared.toml", "--name", factory, "--set", f"study.model=shared.py:{factory}")
            assert done.returncode == 2 and said in done.stderr
    assert client(tailor.folder).get_experiment_by_name("outside") is None


def test_a_trial_that_begins_with_what_another_learned_fails(tailor: Shell) -> None:
    (tailor.folder / "shared.py").write_text(SHARED)
    (tailor.folder / "shared.toml").write_text(SHARED_STUDY.replace(":frozen", ":tuned").replace("trials = 2", "trials = 3"))
    done = tailor("search", "shared.toml")
    assert done.returncode == 0 and "2 done, 1 failed" in done.stdout and SAID in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ("    import sys; sys.exit(3)\n", 2, "model 'mine.py:build': its code called sys.exit(3); raise an error instead."),
        (
            "    import os; os._exit(3)\n",
            1,
            "cannot be built: its worker went away. If nobody killed it, its code crashes.",
        ),
        ("    pass\nbuild.defaults = ['width']\n", 2, "the function's defaults: expected a mapping of names to values"),
    ],
)
def test_a_factory_that_ends_its_process_is_named(tailor: Shell, tmp_path: Path, body: str, code: int, says: str) -> None:
    (tmp_path / "mine.py").write_text(f"def build(hparams, input_shape, num_classes):\n{body}")
    (tmp_path / "small.toml").write_text(OWN_STUDY.replace("nets/mine.py", "mine.py"))
    done = tailor("search", "small.toml", "--workers", "1")
    assert done.returncode == code and says in done.stderr
