"""`tailor lr-range`: what it prints, records and writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import SMALL, Shell
from searches import client

from tailor.search.study.load import load


def test_a_range_is_suggested_recorded_and_written(tailor: Shell) -> None:
    path = tailor.folder / "small.toml"
    path.write_text(SMALL.replace("log = true }", "log = true }  # to be found"))
    done = tailor("lr-range", "small.toml", "--write", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    advice = found["advice"]
    text = path.read_text()
    assert "# to be found" in text and 'units_2 = { choices = [16, 32], when = "depth >= 2" }' in text
    rate = next(one for one in load(path).space.searched if one.name == "learning_rate")
    assert (rate.low, rate.high, rate.log, rate.default) == (advice["low"], advice["high"], True, advice["rate"])
    assert rate.low < rate.default <= rate.high

    mlflow = client(tailor.folder)
    run = mlflow.get_run(found["run_id"])
    assert run.info.status == "FINISHED" and run.data.tags["tailor.kind"] == "lr-range"
    assert run.data.metrics["suggested_rate"] == advice["rate"] and run.data.params["units"] == "32"
    history = mlflow.get_metric_history(run.info.run_id, "train_loss")
    assert [point.value for point in sorted(history, key=lambda point: point.step)] == pytest.approx(found["curve"]["losses"])
    assert {item.path for item in mlflow.list_artifacts(run.info.run_id)} == {"lr_range.png", "lr_range.json"}

    searched = tailor("search", "small.toml", "--trials", "1", "--max-epochs", "1")  # its experiment is there already
    assert searched.returncode == 0, searched.stderr
    status = json.loads(tailor("status", "small", "--json").stdout)
    assert [row["trial"] for row in status["leaderboard"]] == [0]


@pytest.mark.parametrize(
    ("changes", "options", "said"),
    [
        ((), ("--low", "1", "--high", "0.1"), "--low, --high: expected 0 < low < high <= 100, got 1 and 0.1"),
        ((), ("--steps", "50", "--epochs", "50"), "--steps, --epochs: give one of them"),
        ((), ("--epochs", "3"), "--epochs: expected 20 to 10000 rates, got 3"),
        (
            (
                ("learning_rate = { low = 1e-3, high = 1e-2, log = true }\n", ""),
                ("units = 32", "units = 32\nlearning_rate = 1e-3"),
            ),
            ("--write",),
            "training.learning_rate is fixed in small.toml; remove that line",
        ),
        (
            (("{ low = 1e-3, high = 1e-2, log = true }", "[1e-3, 1e-2]"), ('"random"', '"grid"'), ('pruner = "median"', "")),
            ("--write",),
            "--write: grid needs a list of values, not a range; leave --write out",
        ),
    ],
)
def test_wrong_input_is_refused_before_anything_is_trained(
    tailor: Shell, changes: tuple[tuple[str, str], ...], options: tuple[str, ...], said: str
) -> None:
    text = SMALL
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    Path(tailor.folder / "small.toml").write_text(text)
    done = tailor("lr-range", "small.toml", *options)
    assert done.returncode == 2 and said in done.stderr
    assert not (tailor.folder / "mlruns").exists()


@pytest.mark.parametrize("place", ["space = { depth = [1, 2] }\n[study]", "[space.depth]\nlow = 1\nhigh = 2\n[study]"])
def test_a_space_that_is_no_plain_table_is_not_written_over(tailor: Shell, place: str) -> None:
    study, _, rest = SMALL.partition("[space]")
    training = rest[rest.index("[training]") :]
    other = "" if place.startswith("space") else "[space.learning_rate]\nlow = 1e-3\nhigh = 1e-2\n"
    text = study.replace("[study]", place) + other + training
    (tailor.folder / "small.toml").write_text(text)
    done = tailor("lr-range", "small.toml", "--write")
    assert done.returncode == 2 and "put it into one table [space]" in done.stderr, done.stderr
    assert (tailor.folder / "small.toml").read_text() == text


def test_a_study_that_was_searched_begins_anew_with_its_new_range(copy: Shell) -> None:
    done = copy("lr-range", "small.toml", "--steps", "20", "--write")
    assert done.returncode == 0 and "small was searched with another range: " in done.stdout
    assert done.stdout.endswith("Next:  tailor search small.toml --fresh\n")


def test_a_range_that_cannot_be_written_is_shown_all_the_same(copy: Shell) -> None:
    (copy.folder / "small.toml.draft").mkdir()  # in the way, as a folder that may not be written to would be
    done = copy("lr-range", "small.toml", "--name", "rates", "--steps", "20", "--write")
    assert done.returncode == 1 and "--write: small.toml cannot be written (Is a directory)" in done.stderr
    assert "For learning_rate, in [space] of the study file" in done.stdout and "Written to" not in done.stdout
    assert (copy.folder / "small.toml").read_text() == SMALL


def test_a_range_that_makes_the_file_invalid_is_not_written(tailor: Shell) -> None:
    text = SMALL.replace("low = 1e-3", "low = 1e-7") + "[[enqueue]]\nlearning_rate = 1e-7\n"
    (tailor.folder / "small.toml").write_text(text)
    done = tailor("lr-range", "small.toml", "--steps", "20", "--write")
    said = (
        "--write: small.toml stays as it was. With the range it would not be valid: enqueue[0].learning_rate: expected a number"
    )
    assert done.returncode == 1 and said in done.stderr and "Range to search: " in done.stdout
    assert (tailor.folder / "small.toml").read_text() == text and not (tailor.folder / "small.toml.draft").exists()


def test_a_shipped_study_is_not_written_to(tailor: Shell) -> None:
    done = tailor("lr-range", "quickstart", "--write")
    assert done.returncode == 2 and "quickstart is shipped with Tailor; copy it first: cp " in done.stderr
