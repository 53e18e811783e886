"""Tailor from Python or a notebook: read or build a study, run it, look at its trials, take its best model."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.references import refuse_function
from ..search.study.capabilities import count_trials
from ..search.study.load import build, lay, read_laid
from ..search.study.plain import make_plain, read_settings
from ..search.study.settings import overlay
from ..search.study.spec import StudySpec
from .coordinator.display import choose_screen
from .coordinator.session import Places, run_search
from .errors import RunError, check_text
from .maintenance.rename import set_aside
from .planning.resolve import find_file, validate
from .planning.study_file import check_tables
from .store import Store
from .system.forkserver import loading
from .system.host import kept
from .system.import_path import prefer_installed
from .tracking.leaderboard import Row, count_by_word, count_rows, describe_best, find_best, read_leaderboard
from .tracking.reader import find_study, no_study, open_client
from .tracking.timeouts import shorten_timeouts

if TYPE_CHECKING:
    import keras
    import pandas

TRUTH = {"True": True, "False": False}


@dataclass(frozen=True, repr=False)
class Result:
    """A study in the store; each call reads its trials anew."""

    spec: StudySpec
    store: Store

    def __repr__(self) -> str:
        return f"<tailor.Result: study {self.spec.name!r} in {self.store.root}>"

    def __str__(self) -> str:
        """Three lines: how many trials ended how, the best one, and what it was trained with."""
        board, goal = self.leaderboard(), self.spec.goal
        counted = count_by_word(count_rows(board))
        first = f"{self.spec.name}: {len(board)} of {count_trials(self.spec, len(board))} trials, {counted}"
        return "\n".join([first, *describe_best(goal, find_best(board))])

    @prefer_installed()
    def leaderboard(self) -> list[Row]:
        """Every trial, best first."""
        with kept():
            found = find_study(open_client(self.store), self.spec.name)
            return [] if found is None else read_leaderboard(found)

    @property
    @prefer_installed()
    def trials(self) -> pandas.DataFrame:
        """One row a trial, best first: its number, status and value, typed `params.…`, and `metrics.…`."""
        import pandas

        board = self.leaderboard()
        plain = [
            {
                "trial": row.trial,
                "status": row.status,
                "value": row.value,
                **{f"params.{name}": value for name, value in row.params.items()},
                **{f"metrics.{name}": value for name, value in row.metrics.items()},
                "run_id": row.run_id,
            }
            for row in board
        ]
        frame = pandas.DataFrame(plain)
        for column in frame.columns:
            if column.startswith("params."):
                numbers = pandas.to_numeric(frame[column], errors="coerce")
                if numbers.notna().sum() == frame[column].notna().sum():
                    frame[column] = numbers
                elif frame[column].dropna().isin(TRUTH).all():
                    frame[column] = frame[column].map(TRUTH)
        return frame

    @property
    def best(self) -> Row:
        """The best complete trial that keeps the constraints. Raises RunError if there is none."""
        if (row := find_best(self.leaderboard())) is not None:
            return row
        raise RunError(f"study {self.spec.name!r} has no complete trial{self.spec.goal.within}.")

    @prefer_installed()
    def model(self) -> keras.Model:
        """The best trial's model: raw uint8 images (n, height, width, channels) in, probabilities (n, classes) out."""
        from .registry.files import fetch_saved_model, find_best_model
        from .trials.saved_model import load_model

        with kept():
            client = open_client(self.store)
            found = find_study(client, self.spec.name)
            if found is None:
                raise RunError(f"there is no study {self.spec.name!r} in {self.store.root}.")
            saved = fetch_saved_model(client, find_best_model(found))
        return load_model(saved)


@prefer_installed()
def open(study: str, *, store: str | Path | None = None) -> Result:
    """A study that was searched before, by its name. Raises InputError, which lists those there are."""
    check_text("study", study)
    with kept():
        place = Store.at(None if store is None else str(store))
        client = open_client(place) if place.exists else None
        found = None if client is None else find_study(client, study)
        if client is None or found is None:
            raise no_study("study", study, client)
        return Result(found.read_spec(), place)


@prefer_installed()
def run(  # noqa: PLR0913 (the options of the command)
    study: str | Path | StudySpec | Mapping[str, Any],
    *,
    settings: Mapping[str, Any] | None = None,
    store: str | Path | None = None,
    data: str | Path | None = None,
    enqueue_from: str | None = None,
    fresh: bool = False,
    quiet: bool = False,
) -> Result:
    """Run a study, or resume it: a shipped name, a file, its tables as a mapping, or a spec.

    `settings` maps SECTION.KEY to a value ({"search.trials": 8}). `store` and `data` are the command line's options; their
    defaults are TAILOR_STORE and TAILOR_DATA. `enqueue_from` names a study whose best points are tried first;
    `fresh` begins anew, and keeps an earlier study of that name as NAME-1, or the next free number.
    Raises StudyError, ModelError or InputError for wrong input, RunError if no trial completed or MLflow stayed away, StoreError
    if the engine's database cannot be used, and KeyboardInterrupt after Ctrl-C. The same call then resumes the study.

    Your process stays as it was. The search handles only Ctrl-C, only in the main thread, and only if Python's own handler is
    set (your handler stays). SIGTERM and SIGHUP do what they did before; if one of them ends the process, the same call resumes
    the study. Dask's default client stays yours. At its end the search restores the variables, log levels and warning filters
    that it set, and ends its processes.
    """
    spec = _spec(study, read_settings(settings))
    place = Store.at(None if store is None else str(store))
    folder = data or os.environ.get("TAILOR_DATA")
    with loading(), _quiet_libraries(), shorten_timeouts(), choose_screen(quiet) as screen:
        places = Places(place, Path(os.path.expanduser(folder)) if folder else None, enqueue_from=enqueue_from)
        if fresh:
            places = replace(places, make_room=lambda name: set_aside(name, place, screen.line))
        ended = run_search(spec, places, screen)
    if ended.signal:
        raise KeyboardInterrupt
    if ended.waiting:
        raise RunError(f"MLflow cannot be written to, and {ended.waiting}; the same call writes them when it can.")
    return Result(spec, place)


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    from ..search.engines import optuna  # noqa: F401 (its import sets its logger's level, which is to be kept)

    with kept():
        yield


def _spec(study: str | Path | StudySpec | Mapping[str, Any], settings: Mapping[str, Any]) -> StudySpec:
    if isinstance(study, StudySpec):
        return validate(overlay(study, settings))
    if isinstance(study, Mapping):
        return validate(build(_lay_settings(make_plain("study", study), settings)))
    path = find_file(str(study) if isinstance(study, Path) else check_text("study", study))
    return check_tables(_lay_settings(read_laid(path), settings), path, settings)


def _lay_settings(tables: dict[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The tables with the settings laid over them. Raises StudyError for a function in the place of its name."""
    for key, value in settings.items():
        lay(tables, key, value)
    for section, key in (("study", "model"), ("study", "space"), ("training", "loss")):
        if isinstance(table := tables.get(section), Mapping):
            refuse_function(f"{section}.{key}", table.get(key))
    return tables
