"""The command line: what a newcomer meets, and that a wrong input is one line, exit 2, with nothing created."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from conftest import OwnProcess, Shell

from tailor.experiments.cli.commands import tailor as tailor_group

Write = Callable[..., Path]

SHIPPED = [
    "mlp-512-128",
    "mlp-4-4",
    "mlp-4-4-4",
    "cnn-32-64-64",
    "mlp-512-256-128",
    "fashion-mlp",
    "fashion-cnn",
    "fashion-resnet",
    "fashion-separable",
    "fashion-transfer",
]


def refused(shell: Shell, *arguments: str, lines: int = 1) -> str:
    """Run a command that must be refused; returns what it said."""
    done = shell(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert len(done.stderr.strip().splitlines()) == lines, done.stderr
    assert "Traceback" not in done.stderr
    assert not (shell.folder / "mlruns").exists()
    return done.stderr


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("trials = 4", "trails = 4"), "Did you mean 'trials'?"),
        (
            ("units = 32", "unts = 32"),
            "training (no option, nor a hyperparameter of model 'mlp'): no such name 'unts'. Did you mean 'units'",
        ),
        (("units = 32", "epochs = 4"), "no such name 'epochs'. Give max_epochs, the most epochs of one trial, in [search]."),
        (("depth = {", "units_1 = {"), "'depth' is not declared above it"),
        (('model = "mlp"', 'model = "mpl"'), "study.model: expected one of mlp, cnn"),
        (('dataset = "digits"', 'dataset = "digit"'), "Did you mean 'digits'?"),
        (('dataset = "digits"', 'dataset = "npz:none.npz"'), "there is no file 'none.npz'"),
        (("low = 1e-3", "low = -1.0"), "a log scale needs low > 0"),
        (("units = 32", "units = 32\nbatch_size = 0"), "training.batch_size: expected a whole number from 1"),
        (("[space]", "[space]\nbatch_size = [0, 32]"), "small.toml:17: space.batch_size: expected a whole number from 1"),
        (("[training]", "[data]\nsplits = { val = 5000 }\n\n[training]"), "data.splits.val: 5000 of 1797 images"),
        (('sampler = "random"', 'sampler = "grid"'), "space.learning_rate: a grid needs a finite list"),
        (('"val_accuracy"', '"accuracy"'), "Known: val_accuracy"),
    ],
)
def test_a_wrong_study_file(tailor: Shell, write_study: Write, change: tuple[str, str], says: str) -> None:
    write_study(change)
    assert says in refused(tailor, "search", "small.toml")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("search", "quikstart"), "Did you mean 'quickstart'?"),
        (("search", "no/such.toml"), "there is no file 'no/such.toml'"),
        (("search", "quickstart", "--trials", "0"), "search.trials: expected a whole number from 1"),
        (("search", "quickstart", "--trials", "many"), "got 'many'"),
        (("search", "quickstart", "--workers", "-1"), "workers.count: expected a whole number from 1"),
        (("search", "quickstart", "--name", "../../etc"), "study.name: expected"),
        (("search", "quickstart", "--set", "space.dropout"), "--set: expected SECTION.KEY=VALUE"),
        (("search", "quickstart", "--timeout", "soon"), "search.timeout: expected a duration"),
        (("search", "fashion-mlp", "--data", "/nowhere"), "holds train-images"),
        (("serch", "quickstart"), "Did you mean 'search'?"),
        (("status", "quickstart"), "there is no study in"),
        (("promote", "quickstart", "--to", "a/b"), "--to: expected"),
        (("pull", "digits", "-o", "x"), "there is no study in"),
    ],
)
def test_a_wrong_command(tailor: Shell, arguments: tuple[str, ...], says: str) -> None:
    assert says in refused(tailor, *arguments)


def test_a_store_that_cannot_be_made_is_refused(tailor: Shell) -> None:
    (tailor.folder / "file").write_text("")
    assert "expected a folder, got the file" in refused(tailor, "search", "quickstart", "--store", "file")


def test_status_and_studies_as_json(recorded: Shell) -> None:
    status = json.loads(recorded("status", "small", "--json").stdout)
    assert status["counts"]["complete"] >= 1 and len(status["leaderboard"]) == 4
    values = [row["value"] for row in status["leaderboard"] if row["value"] is not None]
    assert values == sorted(values, reverse=True)
    assert "viewStateShareKey=tailor" in status["url"]
    studies = json.loads(recorded("studies", "--json").stdout)
    assert "small" in [study["study"] for study in studies["recorded"]]
    assert {"quickstart", *SHIPPED} <= {study["study"] for study in studies["shipped"]}


TALKING = """
import keras

print("a model that talks", flush=True)

def build(hparams, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, keras.layers.Dense(num_classes, activation="softmax")(x))
"""


def test_a_search_as_json_prints_what_status_does_and_nothing_else(
    tailor: Shell, tailor_process: OwnProcess, write_study: Write
) -> None:
    (tailor.folder / "talking.py").write_text(TALKING)
    write_study(('model = "mlp"', 'model = "talking.py:build"'), ("trials = 4", "trials = 2"))
    done = tailor_process("search", "small.toml", "--workers", "1", "--json")  # whose workers' output is this search's own
    assert done.returncode == 0, done.stderr
    assert "a model that talks" in done.stderr and "trial 1: " in done.stderr
    got = json.loads(done.stdout)
    assert (got["study"], got["ended"], len(got["leaderboard"])) == ("small", "2 of 2 trials", 2)
    assert got == json.loads(tailor("status", "small", "--json").stdout)


def test_an_unknown_study_says_which_there_are(recorded: Shell) -> None:
    done = recorded("status", "smal")
    assert done.returncode == 2 and re.search(r"there are: .*\bsmall\b", done.stderr)  # and what other tests have made


def test_check_estimates_and_creates_nothing(tailor: Shell) -> None:
    done = tailor("check", "quickstart", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["splits"] == {"train": 1167, "val": 180, "holdout": 180, "test": 270}
    assert found["smallest"]["parameters"] == 64 * 32 + 32 + 4 * 32 + 32 * 10 + 10
    assert found["largest"]["parameters"] > found["smallest"]["parameters"]
    assert 0 < found["search_seconds"][0] <= found["search_seconds"][1]
    assert not (tailor.folder / "mlruns").exists()


def test_check_says_where_the_pruner_looks(tailor: Shell, write_study: Write) -> None:
    write_study(('pruner = "median"', ""), ("max_epochs = 3", "max_epochs = 20"))
    done = tailor("check", "small.toml")
    assert "\npruner: successive halving, first look after epoch 2 of 20\n" in done.stdout, done.stderr
    done = tailor("check", "small.toml", "--json")
    assert json.loads(done.stdout)["study"]["search"]["pruner"] == {"name": "successive-halving", "min_resource": 2}


def test_what_to_run_next_is_what_was_typed(tailor: Shell, write_study: Write) -> None:
    write_study()
    done = tailor("check", "small.toml", "--name", "my study", "--set", "search.trials=2")
    assert "Run it:  tailor search small.toml --name 'my study' --set search.trials=2" in done.stdout, done.stderr
    done = tailor(
        "search", "small.toml", "--name=mine", "--trials", "1", "--max-epochs=1", "--store", "my store", "--workers", "1"
    )
    assert done.returncode == 0, done.stderr
    assert "tailor promote mine --to NAME --store 'my store'" in done.stdout
    assert "tailor ui mine --store 'my store'" in done.stdout
    assert "tailor search small.toml --name=mine --max-epochs=1 --store 'my store' --workers 1 --trials N" in done.stdout
    assert "Compare them in MLflow:  tailor ui mine --store 'my store'" in tailor("status", "mine", "--store", "my store").stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "study",
    SHIPPED,
)
def test_shipped_studies_pass_check(tailor: Shell, data_dir: Path, study: str) -> None:
    done = tailor("check", study)
    assert done.returncode == 0, done.stderr
    assert "The study is valid" in done.stdout


def test_doctor_finds_the_rooms_where_they_are(tailor: Shell) -> None:
    done = tailor("doctor", "--json")
    assert done.returncode == 0, done.stdout
    findings = json.loads(done.stdout)
    root = Path(__file__).resolve().parents[2]
    assert findings["tailor"] == {"found": str(root / "tailor"), "repair": None}
    for room in ("search", "models", "experiments"):
        assert findings[f"tailor.{room}"] == {"found": str(root / room), "repair": None}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("status",), "Missing argument 'STUDY'."),
        (("show", "a", "b"), "argument (b)."),
        (("search", "x", "--trial", "3"), "Did you mean '--trials'?"),
    ],
)
def test_a_wrong_call_names_the_help_of_its_command(tailor: Shell, arguments: tuple[str, ...], says: str) -> None:
    assert refused(tailor, *arguments).endswith(f"{says} `tailor {arguments[0]} --help` shows what it takes.\n")


def test_every_path_that_a_command_takes_may_begin_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No shell expands `~` in --output=~/models."""
    monkeypatch.setenv("HOME", str(tmp_path))
    context, found = click.Context(tailor_group), set[str]()
    for name in tailor_group.list_commands(context):
        command = tailor_group.get_command(context, name)
        for one in command.params if command is not None else ():
            if isinstance(one.type, click.Path):
                assert one.type.convert("~/x", one, context) == tmp_path / "x", (name, one.name)
                found.add(f"{name} {one.name}")
    assert found >= {"export output", "pull output", "report out", "init file", "predict images", "search data"}


def test_a_report_goes_home_where_a_person_says_so(recorded: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert recorded("report", "small", "--out=~/small.html").returncode == 0
    assert (tmp_path / "small.html").is_file() and not (recorded.folder / "~").exists()


def test_tailor_alone_shows_its_help(tailor: Shell) -> None:
    done = tailor()
    assert done.stderr.startswith("Usage: tailor") and "\n  search " in done.stderr
