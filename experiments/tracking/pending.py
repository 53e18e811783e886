"""What was begun on a whole study and must be finished before it runs again: a deletion, a renaming; and what a deletion kept."""

from __future__ import annotations

from mlflow import MlflowClient
from mlflow.entities import Experiment

from ..errors import InputError, write_command
from ..system.words import say_need
from .recorded import StudyRecord

PENDING = "tailor.pending"  # of the experiment: the command that finishes what it began
KEPT = "tailor.kept_for"  # of the experiment of a deleted study: the registered versions that need what is left


def begin(client: MlflowClient, experiment_id: str, command: str) -> None:
    """Note the command, before its first step. Raises InputError if another one was begun."""
    experiment = client.get_experiment(experiment_id)
    before = experiment.tags.get(PENDING)
    if before and before != command:
        raise InputError(f"STUDY: {quote(before, experiment.name)} was interrupted; run it again first.")
    client.set_experiment_tag(experiment_id, PENDING, command)


def quote(command: str, study: str) -> str:
    """The noted command, which holds names as they are, as a message names it; `study` is one of its names."""
    _, verb, names = command.split(" ", 2)
    if verb != "rename":
        return write_command(verb, names)
    if names.startswith(f"{study} "):
        return write_command(verb, study, names.removeprefix(f"{study} "))
    return write_command(verb, names.removesuffix(f" {study}"), study)


def end(client: MlflowClient, experiment_id: str) -> None:
    """Note that its last step is done."""
    client.set_experiment_tag(experiment_id, PENDING, "")


def is_deleted(client: MlflowClient, study: str) -> bool:
    """Whether the study was deleted, except for what registered versions need."""
    experiment = client.get_experiment_by_name(study)
    return experiment is not None and KEPT in experiment.tags


def refuse(experiment: Experiment) -> None:
    """Raise InputError if a command on the whole study was interrupted."""
    if command := experiment.tags.get(PENDING):
        raise InputError(f"study {experiment.name!r}: {quote(command, experiment.name)} was interrupted; run it again first.")


def refuse_pending(client: MlflowClient, study: StudyRecord, way: str) -> None:
    """Raise InputError if a command on the whole study was interrupted; or if it was deleted, with a way out of that."""
    experiment = client.get_experiment(study.experiment_id)
    refuse(experiment)
    if versions := experiment.tags.get(KEPT):
        raise InputError(f"study {study.name!r} was deleted, except for what {say_need(versions.split(', '))}; {way}.")
