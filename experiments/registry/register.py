"""Writes to the MLflow registry: a version with its tags and card, and the count of how often the test set was opened."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from .versions import DESCRIPTION, PENDING, SETTLED, list_versions

OPENINGS = "tailor.test_openings"
DESCRIBED = "tailor.description_sha256"  # of the description that Tailor wrote
MOST_CHARACTERS = 5000  # of a version's description, on PostgreSQL; the whole card is a file of the evidence's run


@dataclass(frozen=True)
class Registration:
    """A version to register: the logged model of a run, with tags and a card in Markdown."""

    name: str
    model_id: str
    run_id: str
    tags: Mapping[str, str]
    card: str


def register(client: MlflowClient, one: Registration) -> ModelVersion:
    """Register a version whose alias is pending."""
    with process_uri(client.tracking_uri):
        return client.create_model_version(
            one.name,
            f"models:/{one.model_id}",
            run_id=one.run_id,
            tags={**one.tags, SETTLED: PENDING},
            description=one.card[:MOST_CHARACTERS],
            model_id=one.model_id,
        )


def find_registered(client: MlflowClient, name: str, model_id: str) -> ModelVersion | None:
    """The newest version of that name that holds the logged model, or None."""
    for version in list_versions(client, name):
        if version.source == f"models:/{model_id}" or version.model_id == model_id:
            return client.get_model_version(name, version.version)
    return None


def open_test(client: MlflowClient, name: str, digest: str) -> int:
    """Count, on the registered name, that a data set's test part is opened; returns the count. Creates the name if it is new.

    `digest` is the data set's.
    """
    try:
        client.create_registered_model(name, description=DESCRIPTION)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    tags, key = client.get_registered_model(name).tags, f"{OPENINGS}.{digest[:12]}"
    in_all = int(tags.get(OPENINGS, "0"))
    told_apart = any(tag.startswith(f"{OPENINGS}.") for tag in tags)  # earlier versions of Tailor kept one count for all data
    count = int(tags.get(key, 0 if told_apart else in_all)) + 1
    for tag, number in ((key, count), (OPENINGS, in_all + 1)):
        client.set_registered_model_tag(name, tag, str(number))
    return count


def describe(client: MlflowClient, name: str, text: str) -> None:
    """Say on a registered name's page what it is for, unless somebody wrote a description there."""
    model = client.get_registered_model(name)
    digest = hashlib.sha256((model.description or "").encode()).hexdigest()
    if model.description in (None, "", DESCRIPTION) or model.tags.get(DESCRIBED) == digest:
        client.update_registered_model(name, text)
        client.set_registered_model_tag(name, DESCRIBED, hashlib.sha256(text.encode()).hexdigest())


@contextmanager
def process_uri(uri: str) -> Iterator[None]:
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
