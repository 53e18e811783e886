"""A study resumes only unchanged: its file, the defaults that it relies on, its data and its model's code."""

from __future__ import annotations

import json

from mlflow import MlflowClient

from ...search.engines.protocol import Engine
from ...search.space.describe import describe_whole
from ...search.study.spec import StudySpec
from ..datasets.splits import Splits
from ..errors import InputError
from ..tracking.pending import refuse_pending
from ..tracking.reader import RecordedStudy, find_study
from . import recorded_defaults
from .resolve import list_differences

CODE_TAG = "tailor.model_sha256"


def find_same(client: MlflowClient, spec: StudySpec, splits: Splits) -> RecordedStudy | None:
    """The study of that name in the store, if there is one. Raises InputError with the differences if it is another study."""
    found = find_study(client, spec.name)
    if found is None:
        return None
    refuse_pending(found)
    before, today = found.read_spec(), recorded_defaults.list_defaults(spec)
    noted = json.loads(found.tags.get(recorded_defaults.TAG, "null")) or today  # studies of earlier versions lack the tag
    old, new = recorded_defaults.resolve_training(before, noted, today), recorded_defaults.resolve_training(spec, today, noted)
    changed = list_space_changes(before, spec)
    kept, wanted = before.identity() | {"training": old}, spec.identity() | {"training": new}
    changed += list_differences({**kept, "space": {}}, {**wanted, "space": {}})
    digest = found.tags.get("tailor.dataset_sha256")
    if digest != splits.digest:
        changed.append(f"data digest: {digest} → {splits.digest}")
    if changed:
        by_default = {name for name in {*old, *new} - {*before.training, *spec.training} if old.get(name) != new.get(name)}
        raise InputError(
            f"study {spec.name!r} is in the store already and differs: {'; '.join(changed)}. "
            "Undo the change to resume it, start another study with --name, or begin this one anew with --fresh"
            f"{': defaults of Tailor changed, so write the old values into [training]' if by_default else ''}."
        )
    return found


def list_space_changes(before: StudySpec, after: StudySpec) -> list[str]:
    """What changed in the space, in words: depth: 1–4 → fixed at 2."""
    old, new = ({p.name: describe_whole(p) for p in spec.space.parameters} for spec in (before, after))
    names = [*old, *(name for name in new if name not in old)]
    missing = "not searched"
    changed = [f"{n}: {old.get(n, missing)} → {new.get(n, missing)}" for n in names if old.get(n) != new.get(n)]
    same = before.identity()["space"] == after.identity()["space"]
    return changed or ([] if same else [f"the order or the types of [space]: {', '.join(old)} → {', '.join(new)}"])


def has_code_changed(spec: StudySpec, study: RecordedStudy, digest: str, engine: Engine) -> bool:
    """Whether a custom model's file, given by its SHA-256, has changed since the study began.

    Raises InputError if any trial did not fail; if all failed, the user may repair the file.
    """
    if study.tags.get(CODE_TAG, digest) == digest:
        return False
    if any(record.outcome.status != "failed" for record in engine.records()):
        raise InputError(
            f"study.model: the file of {spec.model!r} has changed since study {spec.name!r} began. Undo the change to resume, "
            f"or start another study with the best points of this one: --name NEW --enqueue-from {spec.name}."
        )
    return True
