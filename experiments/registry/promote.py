"""Promote a study's best model into the MLflow registry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from ...search.study.goal import Objective
from ...search.study.load import check_name
from ...search.study.spec import StudySpec
from ..datasets.splits import Splits
from ..errors import InputError
from ..tracking.leaderboard import Row
from ..tracking.reader import RecordedStudy
from ..trials.evaluator import Evaluator
from ..trials.metrics import Evaluation
from .files import fetch_saved_model, find_best_model, read_checksums
from .model_card import write_card
from .selection import Candidate, Verdict, judge
from .versions import CHALLENGER, CHAMPION, DIGEST, RESCALED, RESCALING, UNSCALED, find_alias, find_champion, read_promoted_tag

OPENINGS = "tailor.test_openings"
SETTLED, PENDING = "tailor.alias", "pending"  # the alias that the promotion gave a version; it may have moved since


@dataclass(frozen=True)
class Promotion:
    """What a promotion did. `test` is None if the model was registered before: the test set stayed closed.

    `alias` is empty if it has moved to another version.
    """

    name: str
    version: str
    alias: str
    verdict: Verdict
    row: Row
    test: Evaluation | None


def promote(study: RecordedStudy, spec: StudySpec, splits: Splits, name: str) -> Promotion:
    """Register the study's best model under `name`, with a card, as champion or challenger. Raises InputError, RunError.

    Opens the test split, once for each model, and counts the opening on the registered model.
    """
    check_name("--to", name)
    client, goal = study.client, study.goal
    row, model_id = find_best_model(study)
    if study.tags["tailor.dataset_sha256"] != splits.digest:
        raise InputError(f"study {spec.name!r} was trained on other data: the digest of {spec.dataset!r} is now {splits.digest}.")
    known = _version_of(client, name, model_id)
    if known is not None:
        if known.tags.get(SETTLED) == PENDING:
            _settle(client, name, known)  # the promotion that registered it died before it gave the alias
            known = client.get_model_version(name, known.version)
        alias = _role(known)
        verdict = Verdict(alias == CHAMPION, "this model is registered already", row.value or 0.0, None)
        return Promotion(name, str(known.version), alias, verdict, row, None)
    champion = find_champion(client, name)
    candidate = Candidate(row.value or 0.0, goal.first, splits.digest)
    if champion is not None and (other := read_promoted_tag(champion, DIGEST)) != splits.digest:
        raise InputError(
            f"--to: the champion of {name!r}, version {champion.version}, is of another data set ({other}), and study "
            f"{spec.name!r} is of {splits.digest}: Tailor cannot compare them. Promote it to another name."
        )
    verdict = judge(candidate, None if champion is None else _candidate(champion))
    with Evaluator() as evaluator:
        saved = fetch_saved_model(client, model_id)
        test = evaluator.score(saved, splits.test, len(splits.class_names))
        rescaling = RESCALED if evaluator.has_scaling(saved) else UNSCALED
    _count_opening(client, name)
    tags = (
        _tags(study, row, candidate, test, verdict)
        | {RESCALING: rescaling}
        | read_checksums(client.get_logged_model(model_id).tags)
        | {SETTLED: PENDING}
    )
    card = write_card(name, spec, row, tags, splits)
    with _process_uri(client.tracking_uri):
        version = client.create_model_version(
            name, f"models:/{model_id}", run_id=row.run_id, tags=tags, description=card, model_id=model_id
        )
    return Promotion(name, str(version.version), _settle(client, name, version), verdict, row, test)


def _settle(client: MlflowClient, name: str, version: ModelVersion) -> str:
    """Make a registered version champion or challenger, and record that; returns which."""
    champion, mine = find_champion(client, name), client.get_model_version(name, version.version)
    alias = _role(mine)  # an earlier promotion died between the writes below
    if not alias:
        alias = CHAMPION if champion is None or judge(_candidate(mine), _candidate(champion)).better else CHALLENGER
        before = find_alias(client, name, alias)
        client.set_registered_model_alias(name, alias, version.version)
        if before is not None:  # the tag moves with the alias
            client.delete_model_version_tag(name, before.version, SETTLED)
    client.set_model_version_tag(name, version.version, SETTLED, alias)
    return alias


def _role(version: ModelVersion) -> str:
    """The alias of the version among the two that promotions give; empty if it has neither. Users may give others."""
    return next((alias for alias in (CHAMPION, CHALLENGER) if alias in version.aliases), "")


@contextmanager
def _process_uri(uri: str) -> Iterator[None]:
    """Set the process's tracking URI, by which MLflow's registry finds a logged model, and restore it afterwards."""
    before, variable = mlflow.get_tracking_uri(), os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
        os.environ.pop("MLFLOW_TRACKING_URI", None)  # MLflow exports its setting, which would look like the user's
        if variable is not None:
            os.environ["MLFLOW_TRACKING_URI"] = variable


def _version_of(client: MlflowClient, name: str, model_id: str) -> ModelVersion | None:
    for version in client.search_model_versions(f"name = '{name}'", max_results=1000):
        if version.source == f"models:/{model_id}" or version.model_id == model_id:
            return client.get_model_version(name, version.version)
    return None


def _candidate(version: ModelVersion) -> Candidate:
    metric, direction, value, digest = (
        read_promoted_tag(version, f"tailor.{name}") for name in ("objective", "direction", "value", "dataset_sha256")
    )
    return Candidate(float(value), Objective(metric, direction), digest)  # type: ignore[arg-type]


def _count_opening(client: MlflowClient, name: str) -> None:
    """Count on the registered model that the test set was opened. Creates it if it is new: a model that fails leaves none."""
    try:
        client.create_registered_model(name, description="Promoted by Tailor.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    before = int(client.get_registered_model(name).tags.get(OPENINGS, "0"))
    client.set_registered_model_tag(name, OPENINGS, str(before + 1))


def _tags(study: RecordedStudy, row: Row, candidate: Candidate, test: Evaluation, verdict: Verdict) -> dict[str, str]:
    return {
        "tailor.study": study.tags["tailor.study"],
        "tailor.trial": str(row.trial),
        "tailor.objective": candidate.objective.metric,
        "tailor.direction": candidate.objective.direction,
        "tailor.value": repr(candidate.value),
        "tailor.dataset": study.tags["tailor.dataset"],
        "tailor.dataset_sha256": candidate.dataset_sha256,
        "tailor.test_accuracy": repr(test.accuracy),
        "tailor.test_loss": repr(test.loss),
        "tailor.verdict": verdict.reason,
        "tailor.input_shape": study.tags["tailor.input_shape"],
    }
