"""A budget of epochs ends a real search, counted over its sessions; what else ends one is in test_budget."""

from __future__ import annotations

from conftest import Shell
from searches import runs


def test_epochs_are_counted_over_two_sessions(copy: Shell) -> None:
    before = sum(int(run.data.tags["tailor.epochs"]) for run in runs(copy.folder)[1])
    budget = before + 4
    done = copy("search", "small.toml", "--workers", "1", "--trials", "40", "--set", f"search.total_epochs={budget}")
    assert done.returncode == 0, done.stderr
    (study,), trials = runs(copy.folder)
    assert study.data.tags["tailor.ended"] == f"all {budget} epochs are spent"
    assert f"Finished: all {budget} epochs are spent (" in done.stdout
    spent = [int(run.data.tags["tailor.epochs"]) for run in trials]
    assert sum(spent[:-1]) < budget <= sum(spent) < budget + 3  # three epochs a trial: what is under way ends
