"""`tailor models`, `rollback` and `history`, and `tailor.registered` from Python, on a copied store."""

from __future__ import annotations

import json

import pytest
from conftest import Shell
from searches import client

import tailor
from tailor.experiments.errors import InputError
from tailor.experiments.registry.history import Why, move_alias
from tailor.experiments.registry.versions import CHAMPION


def test_models_rollback_and_history_say_the_same_of_a_name(copy: Shell) -> None:
    mlflow = client(copy.folder)  # other tests registered names there too
    tags = mlflow.get_model_version("digits", "1").tags
    for name, trials in (("mine", ("7", "77")), ("other", ("",))):
        mlflow.create_registered_model(name)
        for trial in trials:
            mlflow.create_model_version(name, copy.folder.as_uri(), tags={**tags, "tailor.trial": trial} if trial else {})
    for version in ("1", "2"):
        move_alias(mlflow, "mine", CHAMPION, version, Why("promoted", "it is better"))

    listed = {one["name"]: one for one in json.loads(copy("models", "--json").stdout)}
    mine, other = listed["mine"], listed["other"]
    assert (mine["version"], mine["versions"], mine["aliases"], mine["trial"]) == ("2", 2, ["champion"], 77)
    assert mine["test_accuracy"] == float(tags["tailor.test_accuracy"]) and other["test_accuracy"] is None
    table = copy("models", "mine").stdout
    assert "small:77" in table and f"{mine['test_accuracy']:.4f}" in table and "tailor history mine" in table
    assert "small:77" in copy("models").stdout
    assert [v.version for v in tailor.registered("mine", copy.folder / "mlruns")] == ["2", "1"]
    assert tailor.registered(store=copy.folder / "none") == []
    with pytest.raises(InputError, match="store: there is no study in"):
        tailor.registered("mine", store=copy.folder / "none")
    assert not (copy.folder / "none").exists()

    done = copy("rollback", "mine")
    assert done.returncode == 0 and "mine version 1 is champion again; version 2 was taken back" in done.stdout, done.stderr
    assert "set_registered_model_alias" in done.stdout and "tailor history mine" in done.stdout
    again = copy("rollback", "mine")
    assert (again.returncode, len(again.stderr.splitlines())) == (2, 1) and "nothing to go back to" in again.stderr
    history = json.loads(copy("history", "mine", "--json").stdout)
    assert [one["verdict"] for one in history["moves"]][-1] == "rollback" and history["moved_by_hand"] == []
    shown = copy("history", "mine", COLUMNS="80").stdout
    (row,) = [line for line in shown.splitlines() if line.startswith("   3 ")]
    assert [*row.split()[4:]][:4] == ["champion", "2", "1", "rollback"] and "taken back" in " ".join(shown.split()), shown
    assert "No move of other" in copy("history", "other").stdout
    for command in ("models", "history", "rollback"):
        unknown = copy(command, "nothing")
        assert unknown.returncode == 2 and ", mine, " in unknown.stderr and "other" in unknown.stderr
    assert "nothing" not in [model.name for model in mlflow.search_registered_models()]
