"""What ends a search before its trials do, on real searches: a target, patience, and epochs over two sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from conftest import Shell
from mlflow.entities import Run
from searches import runs

Write = Callable[..., Path]
MANY = ("trials = 4", "trials = 40")


def search(shell: Shell, setting: str) -> tuple[str, list[Run]]:
    """Search with one worker until it ends by itself. Answers the reason, which it must have told, and its trials."""
    done = shell("search", "small.toml", "--workers", "1", "--set", setting)
    assert done.returncode == 0, done.stderr
    (study,), trials = runs(shell.folder)
    reason = study.data.tags["tailor.ended"]
    assert f"Ended: {reason}." in done.stdout
    return reason, trials


def stalls(trials: Sequence[Run]) -> list[int]:
    """After each trial, how many in a row had brought nothing better."""
    best, stalled, found = 0.0, 0, []
    for run in trials:
        value = run.data.metrics["best_val_accuracy"] if run.data.tags["tailor.status"] == "complete" else 0.0
        best, stalled = (value, 0) if value > best else (best, stalled + 1)
        found.append(stalled)
    return found


def test_a_target_ends_a_search(tailor: Shell, write_study: Write) -> None:
    write_study(MANY)
    reason, trials = search(tailor, "search.target=0.2")
    assert (reason, len(trials)) == ("trial 0 reached the target, 0.2", 1)


def test_patience_ends_a_search(tailor: Shell, write_study: Write) -> None:
    write_study(MANY)
    reason, trials = search(tailor, "search.patience=3")
    assert reason == "no improvement in 3 trials"
    assert stalls(trials)[-1] == 3 and max(stalls(trials)[:-1]) == 2


def test_epochs_are_counted_over_two_sessions(tailor: Shell, write_study: Write) -> None:
    write_study(MANY, ('pruner = "median"', 'pruner = "none"'))
    reason, trials = search(tailor, "search.epochs=4")
    assert (reason, len(trials)) == ("all 4 epochs are spent", 2)  # of three epochs each: what is under way goes on to its end
    reason, trials = search(tailor, "search.epochs=7")
    assert (reason, len(trials)) == ("all 7 epochs are spent", 3)
    assert sum(int(run.data.tags["tailor.epochs"]) for run in trials) == 9
