"""Whole searches with a custom sampler or pruner that fails in use: one line names it, and the study resumes with another."""

from __future__ import annotations

import pytest
from conftest import SMALL, Shell
from searches import runs

STEERING = """
import optuna


class AtAsk(optuna.samplers.RandomSampler):
    def infer_relative_search_space(self, study, trial):
        if trial.number == 1:
            raise LookupError("no such trial")
        return super().infer_relative_search_space(study, trial)


class AtTell(optuna.samplers.RandomSampler):
    def after_trial(self, study, trial, state, values):
        raise LookupError("no such trial")


class AtReport(optuna.pruners.BasePruner):
    def prune(self, study, trial):
        if trial.number == 1:
            raise LookupError("no such trial")
        return False
"""


@pytest.mark.parametrize(
    ("key", "name", "place", "statuses"),
    [
        ("sampler", "AtAsk", "mine.py:AtAsk fails in line 8", ["KILLED"]),
        ("sampler", "AtTell", "mine.py:AtTell fails in line 14", ["FINISHED"]),
        ("pruner", "AtReport", "mine.py:AtReport fails in line 20", ["KILLED", "KILLED"]),
    ],
)
def test_a_class_that_fails_in_use_ends_the_search_in_one_line(
    tailor: Shell, key: str, name: str, place: str, statuses: list[str]
) -> None:
    (tailor.folder / "small.toml").write_text(SMALL)
    (tailor.folder / "mine.py").write_text(STEERING)
    epochs = [] if name == "AtTell" else ["--set", "search.max_epochs=9000"]
    workers = "1" if name == "AtTell" else "2"
    done = tailor("search", "small.toml", "--workers", workers, *epochs, "--set", f"search.{key}=mine.py:{name}")
    assert done.returncode == 1
    said = f"search.{key}: {place} (LookupError: no such trial); repair it, or resume with another {key}."
    assert said in done.stderr and "Traceback" not in done.stderr
    (parent,), trials = runs(tailor.folder)
    assert (parent.info.status, [run.info.status for run in trials]) == ("FAILED", statuses)
    again = tailor("search", "small.toml", "--workers", "2")
    assert again.returncode == 0, again.stderr
    ended = {run.data.tags["tailor.trial"] for run in runs(tailor.folder)[1] if run.info.status == "FINISHED"}
    assert ended == {"0", "1", "2", "3"}
