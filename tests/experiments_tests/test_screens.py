"""What a person sees: the leaderboard, the live table and the other screens, at 60, 80 and 200 columns."""

from __future__ import annotations

import dataclasses
import io
import subprocess
import sys
from pathlib import Path

import pytest
import shells
from conftest import Shell
from rich.console import Console

from tailor.experiments.cli.leaderboard import print_leaderboard
from tailor.experiments.cli.screen import choose_hidden, print_table
from tailor.experiments.coordinator.display import describe_resumed, draw_table, summarize
from tailor.experiments.coordinator.progress import Leader, Progress, RunningTrial
from tailor.experiments.planning.resume_check import list_space_changes
from tailor.experiments.system.sorting import count_up
from tailor.experiments.tracking.descriptions import count_by_status
from tailor.experiments.tracking.leaderboard import Overview, rank
from tailor.experiments.tracking.recorded import RecordedAttempt
from tailor.search.errors import StudyError
from tailor.search.study.goal import Constraint, Goal, Objective
from tailor.search.study.load import build, build_recorded
from tailor.search.study.spec import StudySpec

WIDTHS = (60, 80, 200)
GOAL = Goal((Objective("val_accuracy", "maximize"),))
PARAMS = {
    "optimizer": "adam",
    "learning_rate": "0.0010182345",
    "batch_size": "64",
    "blocks": "3",
    "filters_1": "32",
    "filters_2": "96",
    "head": "average",
    "dropout": "0.45640001",
    "schedule": "one_cycle",
}


def attempt(trial: int, status: str, metrics: dict[str, float], reason: str = "", **params: str) -> RecordedAttempt:
    return RecordedAttempt(
        trial=trial,
        attempt=1,
        run_id=str(trial),
        run_name=f"trial-{trial:03}",
        run_status="FINISHED",
        status=status,
        reason=reason,
        epochs=int(metrics.get("best_epoch", 3)),
        epoch=int(metrics.get("best_epoch", 3)),
        params={**PARAMS, "learning_rate": str(0.0010182345 * (trial + 1)), "dropout": f"0.{trial}12345", **params},
        metrics=metrics,
        start=trial,
        end=trial + 1,
    )


def done(value: float, epoch: int = 5) -> dict[str, float]:
    return {
        "best_val_accuracy": value,
        "val_accuracy": value - 0.01,
        "best_epoch": epoch,
        "parameters": 220938.0,
        "train_seconds": 10.12,
        "best_val_loss": 0.278,
        "latency_ms": 2.0 if value > 0.9 else 1.0,
    }


ATTEMPTS = [
    attempt(0, "complete", done(0.8822)),
    attempt(
        1, "pruned", {"val_accuracy": 0.7328, "best_val_loss": 0.5}, "after epoch 1", blocks="2", filters_1="128", filters_2="16"
    ),
    attempt(2, "failed", {}, "KeyError: 'droput' (nets/res.py:25)"),
    attempt(3, "running", {"val_accuracy": 0.81}),
    attempt(4, "stopped", {"val_accuracy": 0.8051}, "the search was stopped"),
    attempt(5, "complete", done(0.9122, 7), head="flatten", schedule="cosine", batch_size="128"),
]


def show(width: int, goal: Goal = GOAL) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO())
    print_leaderboard("fashion", goal, Overview.of(rank(ATTEMPTS, goal)), console)
    return console.export_text().splitlines()


def test_failures_that_have_no_line_are_counted() -> None:
    failures = [attempt(number, "failed", {}, "KeyError: 'droput'") for number in range(6, 17)]
    shown = Overview.of(rank([*ATTEMPTS, *failures], GOAL))  # its ten rows hold some of the twelve failures
    console = Console(width=100, record=True, file=io.StringIO())
    print_leaderboard("fashion", GOAL, shown, console)
    said = console.export_text()
    explained = sum(line.startswith("trial ") and " failed: " in line for line in said.splitlines())
    assert explained == 3 and f"and {12 - explained} more failed" in said
    one = Overview(shown.top[:6], {"failed": 12}, shown.varied)
    print_leaderboard("fashion", GOAL, one, console)
    assert "and 11 more failed" in console.export_text()


def find_row(lines: list[str], trial: int) -> list[str]:
    rows = [line.split() for line in lines if line.split()[:1] == [str(trial)]]
    assert len(rows) == 1, lines  # one line a trial
    return rows[0]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_leaderboard_has_a_line_a_trial_and_fits(width: int) -> None:
    lines = show(width)
    assert max(map(len, lines)) <= width and "…" not in "".join(lines)
    assert find_row(lines, 5)[:4] == ["5", "0.9122", "7", "done"]
    assert find_row(lines, 1)[:4] == ["1", "0.7328", "1", "pruned"]
    assert find_row(lines, 2)[:4] == ["2", "–", "3", "failed"]
    assert find_row(lines, 3)[:4] == ["3", "0.8100", "3", "running"]
    assert find_row(lines, 4)[:4] == ["4", "0.8051", "3", "stopped"]
    assert find_row(lines, 0)[4] == "0.00102"  # the learning rate, short
    assert "in all: optimizer adam" in lines
    assert "trial 2 failed: KeyError: 'droput' (nets/res.py:25)" in lines
    whole = " ".join(" ".join(lines).split()).split("Best: ")[1]
    assert whole.startswith("trial 5, val_accuracy 0.9122 (epoch 7)")
    for shown in ("learning_rate 0.006109", "batch_size 128", "head flatten", "schedule cosine", "optimizer adam"):
        assert shown in whole


def test_more_columns_on_a_wide_screen() -> None:
    heads = {width: " ".join(show(width)[1:3]) for width in WIDTHS}
    assert "schedule" in heads[200] and "seconds" in heads[200] and "parameters" in heads[200]
    assert "no room" not in " ".join(show(200))
    complete, pruned = find_row(show(200), 5), find_row(show(200), 1)
    assert (complete[-1], pruned[-1]) == ("0.2780", "–")  # a pruned trial's best is of another epoch
    assert len(heads[60].split()) < len(heads[80].split()) < len(heads[200].split())
    narrow = " ".join(show(60)).split("no room for: ")[1]
    assert "schedule" in narrow and "learning_rate" not in narrow.split("Best")[0]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_leaderboard_of_several_objectives_and_a_constraint(width: int) -> None:
    goal = Goal((*GOAL.objectives, Objective("latency_ms", "minimize")), (Constraint.parse("val_accuracy >= 0.9"),))
    lines = show(width, goal)
    assert max(map(len, lines)) <= width
    assert find_row(lines, 5)[:6] == ["5", "*", "0.9122", "2.0000", "7", "done"]
    assert find_row(lines, 0)[:5] == ["0", "0.8822", "1.0000", "5", "infeasible"]
    assert "Best by val_accuracy: trial 5, val_accuracy 0.9122, latency_ms 2.0000" in " ".join(" ".join(lines).split())


@pytest.mark.parametrize(("width", "hidden"), [(60, "no room for: registered"), (80, "")])
def test_a_narrow_table_leaves_columns_out_and_breaks_no_name(
    width: int, hidden: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    row = ["fashion", "1 of 12", "challenger", "0.8667", "fashion-mlp:10", "2026-11-30 02:01"]
    columns = ["name", "version", "aliases", "test accuracy", "study", "registered"]
    print_table("Models", columns, [row], spare=["test accuracy", "registered"])
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= width and shown.endswith(f"{hidden}\n")
    assert all(one in shown for one in row[:5]) and (row[5] in shown) == (not hidden)


@pytest.mark.parametrize(("width", "hidden"), [(34, []), (33, ["c"]), (22, ["c"]), (21, ["b", "c"]), (9, None)])
def test_no_more_columns_go_than_help(width: int, hidden: list[str] | None) -> None:
    assert choose_hidden({"a": 10, "b": 10, "c": 10}, ["b", "c"], width) == hidden


def test_trials_that_break_a_constraint_are_counted_apart_on_mlflows_page() -> None:
    counts = count_by_status(rank(ATTEMPTS, Goal(GOAL.objectives, (Constraint.parse("val_accuracy >= 0.9"),))))
    assert (counts["trials"], counts["trials_complete"], counts["trials_infeasible"]) == (len(ATTEMPTS), 1, 1)


def test_the_epoch_of_a_pruned_trial_is_the_trials_own() -> None:
    resumed = dataclasses.replace(ATTEMPTS[1], reason="after epoch 9", epochs=2)
    assert rank([resumed], GOAL)[0].epoch == 9
    stopped = dataclasses.replace(ATTEMPTS[1], status="stopped", reason="", epochs=1, epoch=943)
    assert rank([stopped], GOAL)[0].epoch == 943


def test_trials_that_did_not_complete_stand_behind_by_their_last_score() -> None:
    nothing = attempt(6, "pruned", {"val_accuracy": float("nan")})
    assert [row.trial for row in rank([nothing, *ATTEMPTS], GOAL)] == [5, 0, 3, 4, 1, 2, 6]
    by_loss = [attempt(trial, "pruned", {"val_loss": loss}) for trial, loss in enumerate((0.5, 0.3, 0.4))]
    assert [row.trial for row in rank(by_loss, Goal((Objective("val_loss", "minimize"),)))] == [1, 2, 0]


def test_names_are_sorted_as_people_count() -> None:
    assert sorted(["a-10", "a-2", "B-1", "a-02", "a"], key=count_up) == ["a", "a-02", "a-2", "a-10", "B-1"]


def test_a_study_that_was_recorded_with_epochs_opens() -> None:
    tables = {"study": {"name": "a", "dataset": "digits", "model": "mlp"}, "search": {"epochs": 7, "max_epochs": 3}}
    spec = build_recorded(tables)
    assert (spec.search.total_epochs, spec.search.max_epochs) == (7, 3)
    assert build_recorded(spec.tables()) == spec
    with pytest.raises(StudyError, match="total_epochs"):
        build(tables)


QUIET = """
import tailor

if __name__ == "__main__":
    study = {"name": "quiet", "dataset": "digits", "model": "mlp"}
    tables = {"study": study, "search": {"trials": 1, "max_epochs": 1}, "workers": {"count": 1}}
    result = tailor.run(tables, quiet=True, store="s")
    result.model()
    print(result)
"""


def test_a_quiet_search_and_its_model_print_nothing(tmp_path: Path) -> None:
    """Not Dask, absl, oneDNN or CUDA."""
    (tmp_path / "quiet.py").write_text(QUIET)
    done = subprocess.run([sys.executable, "quiet.py"], cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    first, second, *_ = done.stdout.splitlines()
    assert first == "quiet: 1 of 1 trials, 1 done"
    assert second.startswith("Best: trial 0, val_accuracy 0.")


def make_progress(**changes: object) -> Progress:
    made = Progress("fashion", "val_accuracy", 12, 2, complete=3, pruned=1, best=(5, 0.9122), seconds=[40.0, 20.0])
    made.running = {7: RunningTrial(7, 1, 12, 3, 0.8123, since=70.0, reported=95.0, lasted=10.0), 8: RunningTrial(8, 2, 12)}
    made.leaders = [Leader(5, 0.9122, PARAMS), Leader(0, 0.8822, PARAMS), Leader(2, 0.87, {"depth": 1})]
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize("width", WIDTHS)
def test_the_live_table_shows_the_best_and_what_runs(width: int) -> None:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(draw_table(make_progress(), now=100.0))
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    assert max(map(len, lines)) <= width
    rows = [line.split() for line in lines]
    assert ["7", "3/12", "+", "50%", "0.8123", "30s"] in rows and ["8", "(attempt", "2)", "0/12", "–", "1m", "40s"] in rows
    best = next(row for row in rows if row[:2] == ["5", "0.9122"])
    assert best[2:5] == ["optimizer", "adam,", "learning_rate"]
    assert ["2", "0.8700", "depth", "1"] in rows
    assert "best 0.9122 (trial 5); 3 done, 1 pruned, 0 failed of 12; about" in " ".join(lines)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "about 1m 30s left"),
        ({"deadline": 99.0}, "time is up: waiting for 2 trials"),
        ({"ending": "12 of 12 trials"}, "all trials have begun: waiting for 2 trials"),
        ({"stopping": True, "deadline": 99.0}, "stopping…"),
    ],
)
def test_what_is_still_to_wait_for(changes: dict[str, object], says: str) -> None:
    assert summarize(make_progress(**changes), now=100.0).endswith(f"; {says}")


def test_a_search_that_resumes_says_what_is_done() -> None:
    said = "resuming: 4 of 12 trials ended (3 done, 1 pruned){}, best 0.9122 (trial 5)"
    for begun, on in ((0, ""), (1, ", 1 goes on"), (2, ", 2 go on")):
        assert describe_resumed(make_progress(), begun) == said.format(on)
    broke = make_progress(infeasible=1)  # of the three that are complete
    assert "4 of 12 trials ended (2 done, 1 infeasible, 1 pruned)" in describe_resumed(broke, 0)
    assert "; 2 done, 1 infeasible, 1 pruned, 0 failed of 12" in summarize(broke, now=100.0)


def test_a_changed_space_is_said_in_words() -> None:
    def read(**space: object) -> StudySpec:
        return build({"study": {"name": "a", "dataset": "digits", "model": "mlp"}, "space": space})

    before = read(depth={"low": 1, "high": 4}, dropout={"low": 0.0, "high": 0.5}, units=[16, 32])
    after = read(depth=2, dropout={"low": 0.0, "high": 0.5})
    assert list_space_changes(before, after) == ["depth: 1–4 → fixed at 2", "units: 16, 32 → not searched"]
    assert list_space_changes(before, before) == []


def test_a_trial_is_not_compared_with_itself(recorded: Shell) -> None:
    done = recorded("compare", "small:0", "small:0")
    assert done.returncode == 2 and "small:0 and small:0 are one trial" in done.stderr, done.stdout


QUICK = (
    "status small", "studies", "show small:0", "compare small:0 small:1", "report small -o page.html", "models", "history digits",
    "fsck small", "pull digits -o got", "rename small small", "delete nothing", "gc", "ui nothing", "doctor", "check quickstart",
)  # fmt: skip


@pytest.mark.parametrize("command", QUICK)
def test_a_command_shows_a_sign_of_life(copy: Shell, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr(shells, "NEVER", 0.0)  # seconds without one: a second for people
    said = copy(*command.split()).stderr.splitlines()
    assert any(line.endswith(" …") for line in said), said
