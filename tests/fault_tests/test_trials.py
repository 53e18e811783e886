"""Faults 16 to 18: trials that go wrong by themselves, each way that a user's factory can."""

from __future__ import annotations

from pathlib import Path

from conftest import Shell
from faults import broken, finish, search, study
from ledger import Ledger, whole_table
from searches import client, runs, wait_for_runs

FACTORY = '''
import keras

EPOCH = 3


class Poison(keras.layers.Layer):
    """Turns the network's output into NaN from its third evaluation on."""

    def build(self, shape):
        self.seen = self.add_weight(name="seen", shape=(), initializer="zeros", trainable=False)

    def call(self, inputs, training=False):
        if not training:
            return inputs
        self.seen.assign_add(1.0)
        return inputs / keras.ops.cast(self.seen < 6.0 * EPOCH, inputs.dtype)


def build(hparams, input_shape, num_classes):
    if hparams.get("fails") == "memory":
        import numpy

        numpy.ones(1 << 50)
    if hparams.get("fails") == "killed":
        import os

        os.kill(os.getpid(), 9)
    if hparams.get("fails") == "slow":
        import pathlib, time

        until = time.monotonic() + 120
        while not pathlib.Path("go").exists() and time.monotonic() < until:
            time.sleep(0.1)
    if hparams.get("fails") == "error":
        raise LookupError("no such layer")
    layers = [keras.layers.Input(input_shape), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    layers += [keras.layers.Dense(num_classes)]
    if hparams.get("fails") == "nan":
        layers.append(Poison())
    return keras.Sequential([*layers, keras.layers.Softmax()])
'''


def of_factory(folder: Path, space: str, trials: int, workers: int = 1) -> None:
    """small.toml over the factory above."""
    path = study(folder, trials=trials, epochs=5, workers=workers)
    (folder / "mine.py").write_text(FACTORY)
    text = path.read_text().replace('model = "mlp"', 'model = "mine.py:build"').replace("units = 16\n", "")
    path.write_text(text.replace("[training]", f"{space}\n[training]"))


def enqueue(folder: Path, *kinds: str) -> None:
    """Trials that go wrong so, one after the other."""
    path = folder / "small.toml"
    points = (f'[[enqueue]]\nfails = "{kind}"\nlearning_rate = {i}e-3\n' for i, kind in enumerate(kinds, 1))
    path.write_text(path.read_text() + "".join(points))


def fails(shell: Shell, kind: str) -> list:
    """A search of six trials, of which those that draw `kind` fail; answers their runs."""
    of_factory(shell.folder, f'fails = {{ choices = ["no", "{kind}"] }}', trials=6)
    running = search(shell.folder)
    said = finish(running)
    assert running.returncode == 0, said
    failed = [run for run in runs(shell.folder)[1] if run.info.status == "FAILED"]
    assert failed and all(run.data.params["fails"] == kind for run in failed)
    return failed


def test_16_a_loss_that_is_not_finite_fails_that_trial_alone(tailor: Shell, ledger: Ledger) -> None:
    for run in fails(tailor, "nan"):
        wrong = broken(tailor.folder, trials=6)
        reason = run.data.tags["tailor.status_reason"]
        wrong += [] if reason.startswith("non_finite") else [f"reason {reason}"]
        ledger.check("16 a loss of NaN at an epoch", wrong)
    assert tailor("promote", "small", "--to", "fine", "--quick").returncode == 0
    version = client(tailor.folder).get_model_version_by_alias("fine", "champion")
    assert int(version.tags["tailor.trial"]) not in {
        int(run.data.tags["tailor.trial"]) for run in runs(tailor.folder)[1] if run.info.status == "FAILED"
    }


@whole_table
def test_17_a_worker_out_of_memory_fails_that_trial_alone(tailor: Shell, ledger: Ledger) -> None:
    for run in fails(tailor, "memory"):
        wrong = broken(tailor.folder, trials=6)
        reason = run.data.tags["tailor.status_reason"]
        wrong += [] if reason.startswith("out_of_memory") else [f"reason {reason}"]
        ledger.check("17 a worker out of memory", wrong)


def test_17_a_worker_that_the_system_kills_fails_that_trial_alone(tailor: Shell, ledger: Ledger) -> None:
    """A kernel that wants memory gives no word; its count of such kills tells them from others."""
    of_factory(tailor.folder, 'fails = { choices = ["no", "killed"] }', trials=3)
    enqueue(tailor.folder, "killed", "no", "no")
    running = search(tailor.folder, driver=("oom",))
    said = finish(running)
    wrong = [] if running.returncode == 0 else [said]
    first = [run for run in runs(tailor.folder)[1] if run.data.tags["tailor.trial"] == "0"]
    wrong += [] if [run.info.status for run in first] == ["KILLED", "KILLED", "FAILED"] else [f"attempts: {first}"]
    reasons = [run.data.tags["tailor.status_reason"] for run in first]
    wrong += [] if all(reason.startswith("out_of_memory") for reason in reasons) else reasons
    ledger.check("17 a worker killed for want of memory", wrong + broken(tailor.folder, trials=3))


def test_18_a_study_whose_trials_all_fail_stops_and_says_why(tailor: Shell, ledger: Ledger) -> None:
    # The smallest model, which is built first, is well: the fault shows only when trials run.
    of_factory(tailor.folder, 'fails = { choices = ["no", "error"] }', trials=9)
    enqueue(tailor.folder, "error", "error", "error")
    running = search(tailor.folder)
    said = finish(running)
    wrong = [] if running.returncode == 1 else [f"exit {running.returncode}"]
    wrong += [] if said.count("Traceback of your code:") == 1 and "LookupError: no such layer" in said else [said]
    wrong += [] if not client(tailor.folder).search_registered_models() else ["a model was registered"]
    wrong += [] if len(runs(tailor.folder)[1]) == 3 else ["it did not stop after three"]
    ledger.check("18 every trial fails", wrong)
    (tailor.folder / "mine.py").write_text(FACTORY.replace('raise LookupError("no such layer")', "pass"))
    running = search(tailor.folder)
    said = finish(running)
    wrong = [] if running.returncode == 0 else [said]
    ledger.check("18 every trial failed, and the mistake is mended", wrong + broken(tailor.folder, trials=9))


def test_18_trials_that_fail_do_not_end_a_search_while_another_trial_is_well(tailor: Shell, ledger: Ledger) -> None:
    of_factory(tailor.folder, 'fails = { choices = ["no", "error", "slow"] }', trials=5, workers=2)
    enqueue(tailor.folder, "slow", "error", "error", "error")
    running = search(tailor.folder)
    wait_for_runs(tailor.folder, 3, "FAILED")
    (tailor.folder / "go").touch()  # for the well one, which has waited for that
    said = finish(running)
    wrong = [] if running.returncode == 0 else [said]
    ledger.check("18 trials fail while one is well", wrong + broken(tailor.folder, trials=5))
