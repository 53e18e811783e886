"""What is registered: the versions of every name as plain records."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from ..errors import check_text
from ..store import Store
from ..system.host import kept
from ..system.import_path import prefer_installed
from ..system.sorting import count_up
from ..tracking.pages import read_pages
from ..tracking.reader import open_recorded
from .versions import TRIALS, find_model, list_versions


@dataclass(frozen=True)
class Registered:
    """A registered version. What Tailor did not promote has no accuracy, study or trial; `trials` are those of an ensemble.

    `test_accuracy` is from 0 to 1; `when` is UTC, ISO 8601, to the second; `run_id` is the trial's run.
    """

    name: str
    version: str
    aliases: tuple[str, ...]
    test_accuracy: float | None
    study: str
    trial: int | None
    when: str
    run_id: str
    trials: tuple[int, ...] = ()

    @classmethod
    def read(cls, version: ModelVersion, aliases: dict[str, str]) -> Registered:
        tags, made = version.tags, datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
        accuracy, trial = tags.get("tailor.test_accuracy"), tags.get("tailor.trial")
        return cls(
            name=version.name,
            version=str(version.version),
            aliases=tuple(sorted(alias for alias, number in aliases.items() if str(number) == str(version.version))),
            test_accuracy=None if accuracy is None else float(accuracy),
            study=tags.get("tailor.study", ""),
            trial=None if trial is None else int(trial),
            when=made.isoformat(timespec="seconds"),
            run_id=version.run_id or "",
            trials=tuple(json.loads(tags.get(TRIALS, "[]"))),
        )


@prefer_installed()
def registered(name: str | None = None, store: str | Path | None = None) -> list[Registered]:
    """The versions of a registered name, the newest first; without a name, of every one. Raises InputError for an unknown name.

    `store` is as the command line's option; without it TAILOR_STORE holds.
    """
    if name is not None:
        check_text("name", name)
    place = Store.at(None if store is None else str(store))
    with kept():
        if name is None and not place.exists:
            return []
        return list_registered(open_recorded(place), name)


def list_registered(client: MlflowClient, name: str | None = None) -> list[Registered]:
    """The versions of a registered name, the newest first; without a name, of every one, by name. Raises InputError."""
    if name is not None:
        aliases = {name: find_model(client, name).aliases}
    else:
        aliases = {model.name: model.aliases for model in read_pages(client.search_registered_models)}
    versions = [version for version in list_versions(client, name) if version.name in aliases]  # prompts are not models
    return [Registered.read(v, aliases[v.name]) for v in sorted(versions, key=lambda version: count_up(version.name))]
