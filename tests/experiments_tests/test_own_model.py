"""Models of one's own, from a file: searched, promoted and pulled with their code, held to the code that a study began with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import SMALL, Shell
from searches import client, runs, start, wait_for_epochs

from tailor.experiments.errors import InputError
from tailor.experiments.registry.load import load as tailor_load
from tailor.experiments.trials.run import serialize
from tailor.experiments.trials.saved_model import explain_refusal
from tailor.models.references import load_file

OWN = '''
import keras

@keras.saving.register_keras_serializable(package="mine")
class Scaled(keras.layers.Layer):
    """A layer of one's own."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, x):
        return x * self.scale

def build(hparams, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    x = Scaled()(keras.layers.Dense(hparams["width"], activation="relu")(x))
    return keras.Model(inputs, keras.layers.Dense(num_classes, activation="softmax")(x))

def broken(hparams, input_shape, num_classes):
    raise RuntimeError("my own mistake")
'''
OWN_STUDY = SMALL.replace('model = "mlp"', 'model = "nets/mine.py:build"').replace("trials = 4", "trials = 2")
OWN_STUDY = re.sub(r"\[training\].*", "", OWN_STUDY, flags=re.DOTALL) + "\n[training]\nwidth = 16\n"


def test_a_factory_of_ones_own_is_searched_promoted_and_pulled(tailor: Shell, tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "mine.py").write_text(OWN)
    (tmp_path / "small.toml").write_text(OWN_STUDY)
    for arguments in (
        ("search", "small.toml", "--workers", "1"),
        ("promote", "small", "--to", "own", "--seeds", "1"),
        ("pull", "own", "-o", "got"),
    ):
        done = tailor(*arguments)
        assert done.returncode == 0, done.stderr
        if arguments[0] == "promote":
            assert 'tailor.load("DIR")' in done.stdout and "pyfunc" not in done.stdout  # which does not know its layers
    assert 'tailor.load("DIR")' in (tmp_path / "got" / "card.md").read_text()
    assert {p.name for p in (tmp_path / "got").iterdir()} == {
        "SHA256SUMS",
        "card.md",
        "labels.json",
        "mine.py",
        "model.keras",
        "preprocessing.json",
    }
    (tmp_path / "nets" / "mine.py").unlink()  # the code travels with the model
    digit = Path(__file__).resolve().parents[2] / "docs" / "pictures" / "digit.png"
    done = tailor("predict", "own", str(digit))
    assert done.returncode == 0, done.stderr
    assert "%" in done.stdout
    (version,) = client(tmp_path).search_model_versions("name = 'own'")
    model = version.source.removeprefix("models:/")
    for code in (tmp_path / "mlruns/artifacts/small/models" / model / "artifacts/code/mine.py", tmp_path / "got" / "mine.py"):
        code.write_text(f"open({str(tmp_path / 'was-run')!r}, 'w')")
    done = tailor("predict", "own", str(digit))  # code that was changed is not run
    assert done.returncode == 2 and "mine.py: its SHA-256 is" in done.stderr
    with pytest.raises(InputError, match=r"mine\.py: its SHA-256 is"):
        tailor_load(tmp_path / "got")
    assert not (tmp_path / "was-run").exists()


def test_a_hyperparameter_that_the_model_needs_and_nobody_gave_is_named(tailor: Shell, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def build(hparams, input_shape, num_classes):\n    return hparams['breadth']\n")
    (tmp_path / "small.toml").write_text(OWN_STUDY.replace("nets/mine.py", "mine.py"))
    for command in (("check", "small.toml"), ("search", "small.toml", "--workers", "1")):
        done = tailor(*command)
        assert done.returncode == 2
        assert "if that is a hyperparameter, give breadth in the space or in [training]" in done.stderr.splitlines()[0]


def test_a_factory_that_waits_in_vain_is_no_silent_worker(tailor: Shell, tmp_path: Path) -> None:
    body = "    raise TimeoutError('the weights did not come')\n"
    (tmp_path / "mine.py").write_text(f"def build(hparams, input_shape, num_classes):\n{body}")
    (tmp_path / "small.toml").write_text(OWN_STUDY.replace("nets/mine.py", "mine.py"))
    done = tailor("search", "small.toml", "--workers", "1")
    assert done.returncode == 2 and "built: TimeoutError: the weights did not come (mine.py:2)" in done.stderr


def test_a_factory_that_raises_shows_its_traceback_and_creates_nothing(tailor: Shell, tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "mine.py").write_text(OWN)
    (tmp_path / "small.toml").write_text(OWN_STUDY.replace(":build", ":broken"))
    done = tailor("search", "small.toml", "--workers", "1")
    assert done.returncode == 2
    assert "failed while it was built: RuntimeError: my own mistake (nets/mine.py:" in done.stderr.splitlines()[0]
    assert "\nTraceback of your code:\n" in done.stderr and done.stderr.count("Traceback") == 1
    assert done.stderr.count(", line ") == 1 and 'raise RuntimeError("my own mistake")' in done.stderr  # no line of ours
    assert not (tmp_path / "mlruns").exists()


@pytest.mark.slow
def test_a_file_that_is_edited_while_its_study_runs_changes_no_trial(tailor: Shell, tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "mine.py").write_text(OWN)
    (tmp_path / "small.toml").write_text(OWN_STUDY.replace("trials = 2", "trials = 3"))
    running = start(tmp_path, "small.toml", "--workers", "1")
    wait_for_epochs(tmp_path, 1)
    (tmp_path / "nets" / "mine.py").write_text("half a line of the next idea")
    said, _ = running.communicate(timeout=200)
    assert running.returncode == 0, said
    trials = runs(tmp_path)[1]
    assert [run.data.tags["tailor.status"] for run in trials if run.data.tags["tailor.status"] == "failed"] == []
    assert len(trials) == 3
    kept = list((tmp_path / "mlruns/artifacts/small/models").glob("*/artifacts/code/mine.py"))
    assert kept and {path.read_text() for path in kept} == {OWN}
    (tmp_path / "nets" / "mine.py").write_text(OWN.replace('"relu"', '"gelu"'))
    for more in ((), ("--trials", "4")):  # nor is it taken for finished
        done = tailor("search", "small.toml", "--workers", "1", *more)
        assert done.returncode == 2 and "'nets/mine.py:build' has changed since study 'small' began" in done.stderr
    assert len(runs(tmp_path)[1]) == 3


LAYERS = """
import keras

class Mine(keras.layers.Layer):
    def call(self, x):
        return x

    def compute_output_shape(self, shape):
        return shape

class Forgets(keras.layers.Layer):
    def __init__(self, factor=1.0, **options):
        super().__init__(**options)
        self.factor = factor

    def get_config(self):
        return super().get_config()  # and not the factor

    def call(self, x):
        return x * self.factor

class Bare(keras.layers.Layer):
    def __init__(self):
        super().__init__()

    def call(self, x):
        return x

class Plain(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = keras.layers.Dense(3)

    def call(self, x):
        return self.inner(x)

def trick(x):
    return x
"""


def test_models_that_could_not_be_promoted_are_named_at_once(tmp_path: Path) -> None:
    import keras

    (tmp_path / "mine.py").write_text(LAYERS)
    module = load_file(tmp_path / "mine.py")

    def said(*parts: object, own_file: bool = True) -> str:
        inputs = keras.Input((4,))
        x = keras.layers.Dense(3)(inputs)
        for part in parts:
            x = part(x)
        model = keras.Model(inputs, x)
        return explain_refusal(model, serialize(model), module if own_file else None)

    inside = said(keras.layers.Reshape((1, 3)), keras.layers.TimeDistributed(module.Mine()))
    assert [said(), said(own_file=False), said(module.Mine()), inside, said(module.Forgets(1.0))] == [""] * 5
    assert "Mine comes from" in said(module.Mine(), own_file=False)
    (tmp_path / "blocks.py").write_text(LAYERS)
    other = type("Mine", (keras.layers.Layer,), {"__module__": "blocks", "call": lambda self, x: x})
    assert "Mine comes from blocks, which does not travel" in said(other())  # imported in a way that no reading finds
    trick = keras.layers.Lambda(module.trick, name="trick")
    assert all("trick is a Lambda layer" in said(trick, own_file=own_file) for own_file in (True, False))
    assert "saved and loaded again it predicts differently" in said(module.Forgets(2.0))
    for unmade in (module.Bare(), module.Plain(), keras.layers.Dense(3, activation=module.trick)):
        assert "saved and loaded again it fails" in said(unmade)
    assert "it fails (Bare.__init__() got an unexpected keyword argument" in said(module.Bare())  # not Keras's lines around it


OWN_STEPS = """
import keras

class Quiet(keras.Model):
    def train_step(self, batch):
        return {"loss": super().train_step(batch)["loss"]}

class Mute(keras.Model):
    def train_step(self, batch):
        return {"total": super().train_step(batch)["loss"]}

class Forgets(keras.Model):
    def __init__(self, width=8):
        super().__init__()
        self.inner = keras.layers.Dense(width)

    def call(self, x):
        return self.inner(x)

def network(kind, *middle):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    for part in middle:
        x = part(x)
    return kind(inputs, keras.layers.Dense(10, activation="softmax")(x))

def quiet(hparams, input_shape, num_classes):
    return network(Quiet)

def mute(hparams, input_shape, num_classes):
    return network(Mute)

def forgets(hparams, input_shape, num_classes):
    return network(keras.Model, Forgets(16))

def tricky(hparams, input_shape, num_classes):
    return network(keras.Model, keras.layers.Lambda(lambda x: 2 * x, name="trick"))
"""


@pytest.mark.parametrize(("factory", "says"), [("quiet", "non_finite: "), ("mute", "to return its loss as 'loss', got total")])
def test_a_step_that_tells_too_little_fails_its_trials_and_no_more(tailor: Shell, factory: str, says: str) -> None:
    (tailor.folder / "mine.py").write_text(OWN_STEPS)
    both = ", ".join(f'{{ metric = "{metric}", direction = "maximize" }}' for metric in ("val_accuracy", "train_accuracy"))
    study = OWN_STUDY.replace("nets/mine.py:build", f"mine.py:{factory}").replace('objective = "val_accuracy"\n', "")
    study = study.replace('direction = "maximize"', f"objectives = [{both}]").replace('pruner = "median"\n', "")
    (tailor.folder / "small.toml").write_text(study.replace("trials = 2", "trials = 1"))
    for _ in range(2):  # the second goes on from what the first left
        done = tailor("search", "small.toml", "--workers", "1")
        assert done.returncode == 1 and "a larger --trials resumes" in done.stderr  # all that it may run have failed
    trials = runs(tailor.folder)[1]
    assert [run.info.status for run in trials] == ["FAILED"]
    assert all(says in run.data.tags["tailor.status_reason"] for run in trials)


def test_check_says_of_a_model_what_a_search_would(tailor: Shell) -> None:
    (tailor.folder / "mine.py").write_text(OWN_STEPS)
    study = OWN_STUDY.replace("nets/mine.py:build", "mine.py:tricky")
    (tailor.folder / "small.toml").write_text(study)
    done = tailor("check", "small.toml")
    assert done.returncode == 0, done.stderr
    assert "can be searched, but not promoted: trick is a Lambda layer" in done.stdout
    for command in ("check", "search"):
        done = tailor(command, "small.toml", "--set", "study.model=mine.py:forgets")
        assert done.returncode == 2 and "Forgets takes width" in done.stderr, command
    assert not (tailor.folder / "mlruns").exists()


def test_a_hyperparameter_that_the_factory_never_reads_is_asked_about(tailor: Shell, tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir(exist_ok=True)
    (tmp_path / "nets" / "mine.py").write_text(OWN)
    (tmp_path / "small.toml").write_text(OWN_STUDY.replace("[space]", "[space]\nwidht = [1, 2]"))
    done = tailor("check", "small.toml")
    assert done.returncode == 0, done.stderr
    assert "\ndepth, units_2, widht: nets/mine.py:build read no hyperparameter of such a name" in done.stdout


@pytest.mark.slow
def test_after_a_search_nothing_proposes_to_promote_what_cannot_be(tailor: Shell) -> None:
    (tailor.folder / "mine.py").write_text(OWN_STEPS)
    study = OWN_STUDY.replace("nets/mine.py:build", "mine.py:tricky")
    (tailor.folder / "small.toml").write_text(study)
    done = tailor("search", "small.toml", "--workers", "1")
    assert done.returncode == 0 and "can be searched, but not promoted" in done.stdout
    again = tailor("search", "small.toml", "--workers", "1")
    assert "were done before" in again.stdout
    for said in (done.stdout, again.stdout, runs(tailor.folder)[0][0].data.tags["mlflow.note.content"]):
        assert said and "tailor promote" not in said


def test_missing_data_and_a_missing_model_are_named_at_once(tailor: Shell) -> None:
    (tailor.folder / "small.toml").write_text(OWN_STUDY.replace('"digits"', '"npz:none.npz"'))
    done = tailor("check", "small.toml")
    assert done.returncode == 2 and "none.npz" in done.stderr and "no file 'nets/mine.py'" in done.stderr
