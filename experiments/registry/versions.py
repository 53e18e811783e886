"""Registered versions: find them by alias or number, and read the tags that a promotion wrote."""

from __future__ import annotations

import json

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.entities.model_registry.prompt_version import IS_PROMPT_TAG_KEY
from mlflow.exceptions import MlflowException

from ...search.errors import suggest
from ...search.study.key_values import LONGEST_RECORDED_NAME, check_name
from ..datasets.looks import Looks
from ..errors import InputError, check_text
from ..tracking.pages import read_pages
from .reference import CHAMPION, INPUT_SHAPE, LOOKS, Reference

CHALLENGER = "challenger"
SETTLED, PENDING = "tailor.alias", "pending"  # a version's tag: the alias that it has, or that it is yet to get
DESCRIPTION = "Promoted by Tailor."  # of a registered name, until its first version is there
DIGEST = "tailor.dataset_sha256"
RESCALING, RESCALED, UNSCALED = "tailor.rescaling", "inside the model", "none: the model takes 0 to 255 as they are"
TRIALS = "tailor.trials"  # a version's tag: the trials of an ensemble, as JSON
SEEN = "tailor.trained_on_holdout"  # a version's tag, if its model was, or what it was compressed from
EVIDENCE = "tailor.evidence"  # the run with what its promotion found
MISSING = "RESOURCE_DOES_NOT_EXIST"
NO_ALIAS = (MISSING, "INVALID_PARAMETER_VALUE")  # MLflow's codes for an unknown name or alias


def find_version(client: MlflowClient, reference: str) -> ModelVersion:
    """The version that NAME (its champion), NAME@alias or NAME/version names. Raises InputError, which lists those there are."""
    wanted = Reference.parse(check_text("reference", reference))
    name, alias = wanted.name, wanted.alias
    model = find_model(client, name)
    versions = list_versions(client, name)
    number = wanted.version if alias is None else model.aliases.get(alias)
    for version in versions:
        if str(version.version) == str(number):
            return version
    said = f"alias {alias!r}" if alias else f"version {wanted.version!r}"
    numbers = ", ".join(sorted((str(v.version) for v in versions), key=int)) or "none"
    aliases = ", ".join(f"{a} (version {v})" for a, v in sorted(model.aliases.items())) or "none"
    raise InputError(f"NAME: {name!r} has no {said}; versions: {numbers}; aliases: {aliases}.")


def find_model(client: MlflowClient, name: str) -> RegisteredModel:
    """The registered model of that name. Raises InputError, which lists the names there are."""
    try:
        return client.get_registered_model(check_name("NAME", name, LONGEST_RECORDED_NAME))
    except MlflowException as error:
        if error.error_code != MISSING:
            raise
        names = [model.name for model in read_pages(client.search_registered_models)]
        hint = suggest(name, names)
        raise InputError(
            f"NAME: there is no registered model {name!r}; there are: {', '.join(names) or 'none yet'}.{hint}"
        ) from error


def refuse_prompt(client: MlflowClient, name: str) -> None:
    """Raise InputError if the name is that of a prompt in MLflow's registry, where no model can have it too."""
    if client.search_registered_models(f"name = '{name}' AND tags.`{IS_PROMPT_TAG_KEY}` = 'true'", max_results=1):
        raise InputError(f"--to: {name!r} is the name of a prompt in MLflow's registry; choose another name.")


def list_versions(client: MlflowClient, name: str | None = None) -> list[ModelVersion]:
    """Every version of a registered name, or of all names; the newest first. Deleted ones are not among them."""
    found = read_pages(client.search_model_versions, None if name is None else f"name = '{name}'")
    return sorted(found, key=lambda version: int(version.version), reverse=True)


def find_champion(client: MlflowClient, name: str) -> ModelVersion | None:
    """The champion's version, or None if there is none. If the registry does not respond, MLflow's error is raised."""
    return find_alias(client, name, CHAMPION)


def find_alias(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    """The version that has the alias, or None. If the registry does not respond, MLflow's error is raised."""
    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code not in NO_ALIAS:
            raise
        return None


def find_role(version: ModelVersion) -> str:
    """The alias of the version among the two that promotions give; empty if it has neither. You may give it others."""
    return next((alias for alias in (CHAMPION, CHALLENGER) if alias in version.aliases), "")


def read_input_shape(version: ModelVersion) -> tuple[int, int, int]:
    """(height, width, channels) of the images that a version takes."""
    return tuple(json.loads(read_promoted_tag(version, INPUT_SHAPE)))


def read_looks(version: ModelVersion) -> Looks | None:
    """What a version's training images look like; None for an older version, which has no tag for it."""
    return Looks.parse(version.tags[LOOKS]) if LOOKS in version.tags else None


def list_trials(version: ModelVersion) -> set[str]:
    """The numbers of the trials that a version was made of: an ensemble's, or its own; none for another tool's."""
    own = version.tags.get("tailor.trial")
    return {*map(str, json.loads(version.tags.get(TRIALS, "[]"))), *([] if own is None else [own])}


def read_promoted_tag(version: ModelVersion, name: str) -> str:
    """A tag that each promotion writes. Raises InputError for a version that another tool registered."""
    if name not in version.tags:
        raise InputError(
            f"{version.name} version {version.version} was not promoted by Tailor (it has no tag {name}); "
            "promote a study to another name, or load the model by MLflow."
        )
    return version.tags[name]
