"""Chooses a promotion's candidates, and trains each again from scratch on fresh seeds."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...search.engines.protocol import Suggestion
from ..errors import InputError, RunError, write_command
from ..tracking.kinds import CANDIDATE, SEEDS
from ..tracking.leaderboard import Row, read_leaderboard
from ..tracking.reader import RecordedStudy
from ..trials.job import derive_seed
from .records import Work
from .trainings import Trained, read_trained, train_left


@dataclass(frozen=True)
class Candidate:
    """A trial to train again: its values (options and hyperparameters) and the most epochs, as it had them."""

    trial: int
    values: Mapping[str, Any]
    epochs: int

    def suggest(self, number: int, study_seed: int, last_epoch: int | None = None) -> Suggestion:
        """Its training under this number, on the number's seed."""
        seed = derive_seed(study_seed, number % SEEDS, CANDIDATE.name)
        return Suggestion(number, self.values, self.epochs, seed=seed, last_epoch=last_epoch)


def choose(study: RecordedStudy, count: int, trial: int | None = None) -> list[Candidate]:
    """The `count` best complete trials that keep the constraints, or the one named. Raises InputError, RunError."""
    board = read_leaderboard(study)
    if trial is not None:
        return [_read_candidate(study, find_trial(board, trial, study.name))]
    best = [row for row in board if row.front is not None][:count]
    if not best:
        shown = write_command("status", study.name)
        raise RunError(f"study {study.name!r} has no complete trial{study.goal.within} yet; see {shown}.")
    return [_read_candidate(study, row) for row in best]


def find_trial(board: Sequence[Row], trial: int, study: str) -> Row:
    """A complete trial of the leaderboard. Raises InputError, which lists those there are."""
    for row in board:
        if row.trial == trial and row.status == "complete":
            return row
    complete = ", ".join(str(row.trial) for row in board if row.status == "complete") or "none"
    raise InputError(f"STUDY:TRIAL: study {study!r} has no complete trial {trial}; complete are, best first: {complete}.")


def train(work: Work, candidates: Sequence[Candidate]) -> dict[int, list[Trained]]:
    """Train each candidate on the promotion's seeds, or take what earlier promotions trained; by trial, in the seeds' order.

    A candidate of which a seed fails is left out. Raises RunError if that leaves none, Interrupted if a signal stopped it.
    """
    seeds = work.spec.promotion.seeds
    by_trial = {one.trial: [one.trial * SEEDS + seed for seed in range(seeds)] for one in candidates}
    wanted = {number: one.suggest(number, work.spec.search.seed) for one in candidates for number in by_trial[one.trial]}
    left = wanted.keys() - read_trained(work.study).keys()
    if left:
        done = f", {len(wanted) - len(left)} done before" if len(left) < len(wanted) else ""
        trials = f"the best {len(candidates)} trials" if len(candidates) > 1 else f"trial {candidates[0].trial}"
        each = " each" * (len(candidates) > 1)
        fresh = f"{seeds} fresh seeds{each}" if seeds > 1 else f"a fresh seed{each}"
        line = f"training {trials} again, on {fresh} ({len(wanted)} training{'s' * (len(wanted) > 1)}{done})"
        train_left(work, wanted, CANDIDATE, work.splits, line)
    trained = read_trained(work.study)
    found = {trial: [trained[n] for n in numbers] for trial, numbers in by_trial.items() if trained.keys() >= set(numbers)}
    for trial in by_trial.keys() - found.keys():
        work.screen.line(f"trial {trial} is no candidate: one of its seeds failed")
    if not found:
        raise RunError(f"no candidate of study {work.study.name!r} could be trained again; its runs in MLflow say why.")
    return found


def _read_candidate(study: RecordedStudy, row: Row) -> Candidate:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(study.client.download_artifacts(row.run_id, "trial.json", folder))
        plain = json.loads(path.read_text(encoding="utf-8"))
    return Candidate(row.trial, plain["values"], plain["epochs"])
