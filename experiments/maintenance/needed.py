"""What registered versions need of the studies that they came from: runs, models, and the trials that they were made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion

from ..registry.history import list_moves
from ..registry.versions import EVIDENCE, list_trials, list_versions
from ..tracking.kinds import CANDIDATE, REFIT
from ..tracking.pages import read_pages
from ..tracking.recorded import STUDY_TAG

SPARED = ("study", "promotion", CANDIDATE.name, REFIT.name)  # kinds of runs that tell how a version was chosen


@dataclass(frozen=True)
class Needed:
    """The registered versions, and the runs and logged models that they name: evidence, lineage, files."""

    versions: Sequence[ModelVersion]
    runs: frozenset[str]
    models: frozenset[str]

    def of_study(self, study: str, run_ids: set[str]) -> list[ModelVersion]:
        """The versions that came from a study, by their tag or by their run."""
        return [one for one in self.versions if one.tags.get(STUDY_TAG) == study or one.run_id in run_ids]

    def find_kept(self, study: str, runs: Sequence[Run]) -> set[str]:
        """Which of a study's runs its versions need: those they name, those that tell how they were chosen, and every attempt
        at their trials.
        """
        versions = self.of_study(study, {run.info.run_id for run in runs})
        trials = {trial for one in versions for trial in list_trials(one)}
        return {
            run.info.run_id
            for run in runs
            if run.info.run_id in self.runs
            or (versions and (run.data.tags.get("tailor.kind") in SPARED or run.data.tags.get("tailor.trial") in trials))
        }


def find_needed(client: MlflowClient) -> Needed:
    """What the versions of every registered name need."""
    versions = list_versions(client)
    runs = {run for one in versions for run in (one.run_id, one.tags.get(EVIDENCE)) if run}
    names = {one.name for one in versions}
    for model in read_pages(client.search_registered_models):  # other tools' names too, which Tailor would not take
        runs |= {move.run_id for move in list_moves(model) if move.run_id and model.name in names}
    models = {one.model_id for one in versions if one.model_id}
    models |= {one.source.removeprefix("models:/") for one in versions if (one.source or "").startswith("models:/")}
    return Needed(versions, frozenset(runs), frozenset(models))
