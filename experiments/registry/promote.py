"""The MLflow registry: promote a study's best model, find versions by alias or number, and pull them into a folder."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from ...search.study.goal import Objective
from ...search.study.load import check_name
from ...search.study.spec import StudySpec
from ..datasets.splits import Splits
from ..errors import InputError, RunError
from ..tracking.leaderboard import Row, read_leaderboard
from ..tracking.reader import RecordedStudy
from ..trials.evaluator import Evaluator
from ..trials.metrics import Evaluation
from ..trials.saved_model import SavedModel
from .load import SUMS
from .model_card import write_card
from .selection import Candidate, Verdict, judge

CHAMPION, CHALLENGER = "champion", "challenger"
OPENINGS = "tailor.test_openings"
SETTLED, PENDING = "tailor.alias", "pending"  # the alias that the promotion gave a version; it may have moved since
RESCALING, RESCALED, UNSCALED = "tailor.rescaling", "inside the model", "none: the model takes 0 to 255 as they are"
NO_ALIAS = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # MLflow's codes for an unknown name or alias
DIGEST = "tailor.dataset_sha256"
SHA256, CODE_SHA256 = "tailor.sha256", "tailor.code_sha256"


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
        | _checksums(client.get_logged_model(model_id).tags)
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
        before = _find_alias(client, name, alias)
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


def find_version(client: MlflowClient, reference: str) -> ModelVersion:
    """The version that NAME (its champion), NAME@alias or NAME/version names. Raises InputError, which lists those there are."""
    match = re.fullmatch(r"(?P<name>[^@/]+)(?:@(?P<alias>[^@/]+)|/(?P<version>[^@/]+))?", reference)
    if match is None:
        raise InputError(f"NAME: expected NAME, NAME@ALIAS or NAME/VERSION, got {reference!r}.")
    name = check_name("NAME", match["name"])
    try:
        model = client.get_registered_model(name)
    except MlflowException as error:
        names = [m.name for m in client.search_registered_models(max_results=50)]
        raise InputError(f"NAME: there is no registered model {name!r}; there are: {', '.join(names) or 'none yet'}.") from error
    versions = client.search_model_versions(f"name = '{name}'", max_results=1000)
    alias = match["alias"] or (None if match["version"] else CHAMPION)
    wanted = match["version"] if alias is None else model.aliases.get(alias)
    for version in versions:
        if str(version.version) == str(wanted):
            return version
    said = f"alias {alias!r}" if alias else f"version {match['version']!r}"
    numbers = ", ".join(sorted((str(v.version) for v in versions), key=int)) or "none"
    aliases = ", ".join(f"{a} (version {v})" for a, v in sorted(model.aliases.items())) or "none"
    raise InputError(f"NAME: {name!r} has no {said}; versions: {numbers}; aliases: {aliases}.")


def find_champion(client: MlflowClient, name: str) -> ModelVersion | None:
    """The champion's version, or None if there is none. If the registry does not respond, MLflow's error is raised."""
    return _find_alias(client, name, CHAMPION)


def _find_alias(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code not in NO_ALIAS:
            raise
        return None


def fetch_saved_model(client: MlflowClient, model_id: str, tags: Mapping[str, str] | None = None) -> SavedModel:
    """Download a logged model's files, with the checksums in its tags or in `tags`. Raises InputError if there are none."""
    logged = client.get_logged_model(model_id)
    sums = _checksums(logged.tags if tags is None else tags)
    if SHA256 not in sums:
        raise InputError(f"model {model_id} has no tag {SHA256}: Tailor did not log it, and loads no file that it cannot check.")
    folder = Path(download_artifacts(artifact_uri=logged.artifact_location, tracking_uri=client.tracking_uri))
    code = sorted((folder / "code").glob("*.py"))
    if len(code) > 1 or (code and CODE_SHA256 not in sums):
        raise InputError(
            f"model {model_id}: no tag {CODE_SHA256} vouches for the code beside it, so Tailor does not run it; search again."
        )
    return SavedModel(folder / "data" / "model.keras", sums[SHA256], code[0] if code else None, sums.get(CODE_SHA256))


def find_registered_model(client: MlflowClient, version: ModelVersion) -> SavedModel:
    """The files of a version, with the checksums that the registry holds."""
    return fetch_saved_model(client, version.source.removeprefix("models:/"), version.tags)


def pull(client: MlflowClient, version: ModelVersion, folder: Path) -> list[Path]:
    """Write model.keras, labels.json, preprocessing.json, card.md, the model's own code and SHA256SUMS into `folder`.

    Raises InputError, and leaves nothing there, if it cannot write.
    """
    images = json.dumps(describe_preprocessing(version), indent=2)
    model = find_registered_model(client, version)
    model.verify()
    files = {
        "model.keras": model.path.read_bytes(),
        "labels.json": (model.path.parent.parent / "labels.json").read_bytes(),
        "preprocessing.json": images.encode(),
        "card.md": (version.description or "").encode(),
    }
    if model.source is not None:
        files[model.source.name] = model.source.read_bytes()
    sums = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items())]
    files[SUMS] = "".join(sums).encode()
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InputError(f"-o: {folder} is not empty; name a new folder.")
        for name, data in files.items():
            written.append(folder / name)
            written[-1].write_bytes(data)
    except OSError as error:
        for path in written:
            with suppress(OSError):
                path.unlink()
        raise InputError(f"-o: {folder} cannot be written ({error.strerror}); name another folder, or make room.") from error
    return sorted(written)


def describe_preprocessing(version: ModelVersion) -> dict[str, Any]:
    """The form of the raw images; they need no other step. Older versions have no tag for their rescaling."""
    rescaling = version.tags.get(RESCALING, RESCALED)
    return {"dtype": "uint8", "range": [0, 255], "shape": ["n", *read_input_shape(version)], "rescaling": rescaling}


def read_input_shape(version: ModelVersion) -> tuple[int, int, int]:
    """(height, width, channels) of the images that a version takes."""
    return tuple(json.loads(read_promoted_tag(version, "tailor.input_shape")))


def read_promoted_tag(version: ModelVersion, name: str) -> str:
    """A tag that each promotion writes. Raises InputError for a version that another tool registered."""
    if name not in version.tags:
        raise InputError(
            f"{version.name} version {version.version} was not promoted by Tailor (it has no tag {name}); "
            "promote a study to another name, or load the model by MLflow."
        )
    return version.tags[name]


def read_labels(model: SavedModel) -> list[str]:
    """The class names, in the order of the model's outputs."""
    return json.loads((model.path.parent.parent / "labels.json").read_text(encoding="utf-8"))


def find_best_model(study: RecordedStudy) -> tuple[Row, str]:
    """The best trial that keeps the constraints and has a logged model, and the model's id. Raises RunError."""
    logged = study.client.search_logged_models([study.experiment_id], max_results=1000)
    models = {int(m.tags["tailor.trial"]): m.model_id for m in logged if "tailor.trial" in m.tags}
    for row in read_leaderboard(study):
        if row.front is not None and row.trial in models:
            return row, models[row.trial]
    raise RunError(f"study {study.name!r} has no complete trial with a model yet; see `tailor status {study.name}`.")


def _version_of(client: MlflowClient, name: str, model_id: str) -> ModelVersion | None:
    for version in client.search_model_versions(f"name = '{name}'", max_results=1000):
        if version.source == f"models:/{model_id}" or version.model_id == model_id:
            return client.get_model_version(name, version.version)
    return None


def _checksums(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: tags[name] for name in (SHA256, CODE_SHA256) if name in tags}


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
