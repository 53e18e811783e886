"""A study resumes only unchanged: its file, the defaults that it relies on, its data, its model's code and the files it names."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from ...models.references import is_file
from ...search.engines.protocol import Engine
from ...search.space.describe import describe_whole, list_values
from ...search.study.spec import StudySpec
from ..datasets.splits import Splits
from ..errors import InputError
from ..system.words import list_names
from ..tracking.pending import refuse_pending
from ..tracking.reader import RecordedStudy, find_named
from ..tracking.recorded import DEFAULTS
from ..trials.checkpoints import Checkpoints
from . import recorded_defaults
from .resolve import list_differences

CODE_TAG = "tailor.model_sha256"
FILES_TAG = "tailor.files_sha256"


def find_same(client: MlflowClient, spec: StudySpec, splits: Splits) -> RecordedStudy | None:
    """The study of that name in the store, if there is one. Raises InputError with the differences if it is another study."""
    found = find_named(client, spec.name)
    if found is None:
        return None
    refuse_pending(found.client, found, "take another --name, or begin anew with --fresh")
    before, today = found.read_spec(), recorded_defaults.list_defaults(spec)
    noted = json.loads(found.tags.get(DEFAULTS, "null")) or today  # studies of earlier versions lack the tag
    old, new = recorded_defaults.resolve_training(before, noted, today), recorded_defaults.resolve_training(spec, today, noted)
    # What came into the space, or left it, is said there; then a default holds on one side only.
    moved = (before.source.names() ^ spec.source.names()) - {*before.training, *spec.training}
    old, new = ({name: value for name, value in values.items() if name not in moved} for values in (old, new))
    changed = list_space_changes(before, spec)
    kept, wanted = before.identity() | {"training": old}, spec.identity() | {"training": new}
    both = kept["search"].keys() & wanted["search"].keys()  # another engine or sampler has other keys; itself is the change
    changed += list_differences(
        *({**one, "space": {}, "search": {key: one["search"][key] for key in both}} for one in (kept, wanted))
    )
    changed = [
        f"the file of study.space {spec.by_run!r} has changed" if one.startswith("found.space_sha256: ") else one
        for one in changed
    ]
    digest = found.tags.get("tailor.dataset_sha256")
    if digest != splits.digest:
        changed.append(f"data digest: {digest} → {splits.digest}")
    if changed:
        by_default = {name for name in {*old, *new} - {*before.training, *spec.training} if old.get(name) != new.get(name)}
        same_data = digest == splits.digest and any(one.startswith("study.dataset: ") for one in changed)
        raise InputError(
            f"study {spec.name!r} is in the store already and differs: {'; '.join(changed)}. "
            "Undo the change to resume it, start another study with --name, or begin this one anew with --fresh."
            f"{' The data is the same: a path to it counts from the folder in which the search began.' if same_data else ''}"
            f"{' Defaults of Tailor changed: to resume it, write the old values into [training].' if by_default else ''}"
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


def gather_values(spec: StudySpec) -> list[Any]:
    """The values of the study that may name a file: all of [training], and what [space] or a function may give a trial."""
    declared = (value for parameter in spec.space.parameters for value in list_values(parameter))
    given = (value for one in spec.source.samples() for value in one.values())
    return [*spec.training.values(), *declared, *given]


def digest_files(values: Iterable[Any]) -> dict[str, str]:
    """The SHA-256 of each file that one of the values names, by value: weights to begin with, a loss."""
    found = {}
    for value in values:
        path = _find_file(value) if isinstance(value, str) else None
        if path is not None and path.suffix and os.path.isfile(path):
            with path.open("rb") as file:
                found[str(value)] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _find_file(value: str) -> Path:
    return Path(os.path.expanduser(value.rpartition(":")[0] if is_file(value) else value))


def list_changed_files(values: Iterable[Any], tags: Mapping[str, str]) -> list[str]:
    """Those of the values that name a file which is not the one of the study's FILES_TAG, or is gone; sorted."""
    before = read_files_tag(tags)  # empty of a study that an earlier version began
    named = {value for value in map(str, values) if value in before}
    today = digest_files(named)
    return sorted(value for value in named if today.get(value) != before[value])


def refuse_changed_files(values: Iterable[Any], study: RecordedStudy, otherwise: str) -> None:
    """Raise InputError if a file has changed that one of the values names, before they train once more."""
    if changed := list_changed_files(values, study.tags):
        has, found = ("has", "is") if len(changed) == 1 else ("have", "are")
        raise InputError(
            f"{list_names(changed)} {has} changed since study {study.name!r} began, or {found} not found from here, and would "
            f"train otherwise now; undo the change, go to the folder of the search, or {otherwise}."
        )


def read_files_tag(tags: Mapping[str, str]) -> dict[str, str]:
    """The digests that `digest_files` found, from a study's tags."""
    return json.loads(tags.get(FILES_TAG, "{}"))


def keep_losses(checkpoints: Checkpoints, losses: Iterable[str], tags: Mapping[str, str]) -> dict[str, str]:
    """Copies of the custom losses' files, by reference: trials use those, so you may edit the files during the search.

    Raises InputError if a file is not the one that FILES_TAG among the tags tells of.
    """
    kept, known = {}, read_files_tag(tags)
    for name in losses:
        path = _find_file(name)
        if is_file(name) and os.path.isfile(path):
            code = path.read_bytes()
            digest = hashlib.sha256(code).hexdigest()
            if known.get(name, digest) != digest:
                raise InputError(f"{path} changed while the command started; run the same command again.")
            kept[name] = str(checkpoints.keep_code(f"{digest[:12]}.py", code))
    return kept


def list_digests(spec: StudySpec, code: str) -> dict[str, str]:
    """Tags with the SHA-256s of a study's files; `code` is that of a custom model's file, or empty."""
    files = digest_files(gather_values(spec))
    return {tag: text for tag, text in ((CODE_TAG, code), (FILES_TAG, json.dumps(files) if files else "")) if text}


def has_code_changed(spec: StudySpec, study: RecordedStudy, digests: Mapping[str, str], engine: Engine) -> bool:
    """Whether a file of `list_digests` has changed since the study began.

    Raises InputError if any trial did not fail; if all failed, the user may repair the file.
    """
    is_other = study.tags.get(CODE_TAG, digests.get(CODE_TAG)) != digests.get(CODE_TAG)
    before = read_files_tag(study.tags)
    files = sorted(name for name, digest in read_files_tag(digests).items() if before.get(name, digest) != digest)
    if not (is_other or files):
        return False
    if any(record.outcome.status != "failed" for record in engine.records()):
        what = f"study.model: the file of {spec.model!r} has"
        if not is_other:
            what = f"{list_names(files)} {'has' if len(files) == 1 else 'have'}"
        more = f" with the best points of this one: --name NEW --enqueue-from {shlex.quote(spec.name)}"
        raise InputError(
            f"{what} changed since study {spec.name!r} began. Undo the change to resume, "
            f"or start another study{more if spec.source.declared else ': --name NEW'}."
        )
    return True
