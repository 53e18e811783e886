"""What Tailor writes to MLflow, as frozen records: plain data, so that each can wait on the disk while MLflow is away.

An entry names its attempt by (trial, attempt), not by a run's id: a run may not exist yet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NEWEST = "tailor.newest"  # of an attempt's run: whether it is its trial's newest, yes or no
Attempt = tuple[int, int]  # trial, attempt
# MLflow's status for each way that an attempt ends.
RUN_STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED", "stopped": "KILLED", "lost": "KILLED"}
Timed = tuple[str, float, int, int]  # a metric: name, value, milliseconds since 1970, step


@dataclass(frozen=True)
class BeginAttempt:
    """Create an attempt's run."""

    attempt: Attempt
    name: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    time: int
    data: Mapping[str, str] = field(default_factory=dict)  # of `describe_data`


@dataclass(frozen=True)
class LogMetrics:
    """Add metrics to an attempt's run."""

    attempt: Attempt
    metrics: tuple[Timed, ...]
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EndRun:
    """Log files, then close the run of an attempt, or of the study (None). `status` is MLflow's."""

    attempt: Attempt | None
    tags: Mapping[str, str]
    status: str
    time: int
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class LogModel:
    """Log a trial's model; it replaces the model of an earlier attempt.

    `files` holds model.keras, labels.json, the factory's file, which `source` names, and what is to lie beside them. `shape` is
    the images' (height, width, channels).
    """

    attempt: Attempt
    tags: Mapping[str, str]
    shape: tuple[int, int, int]
    classes: int
    step: int
    source: str | None
    files: Mapping[str, bytes]

    @property
    def trial(self) -> int:
        return self.attempt[0]


@dataclass(frozen=True)
class DropModel:
    """Delete the model of a trial, unless a registered version points to it."""

    attempt: None
    trial: int


Entry = BeginAttempt | LogMetrics | EndRun | LogModel | DropModel
KINDS: Mapping[str, type[Entry]] = {  # by their names on the disk
    "start": BeginAttempt,
    "metrics": LogMetrics,
    "end": EndRun,
    "model": LogModel,
    "drop": DropModel,
}


def end_tags(status: str, reason: str) -> dict[str, str]:
    """The tags of an attempt that ended; `status` is a key of RUN_STATUS."""
    return {"tailor.status": status, **({"tailor.status_reason": reason[:4000]} if reason else {})}


def to_plain(entry: Entry) -> dict[str, Any]:
    """An entry as JSON-ready data, without its files."""
    kind = next(name for name, kind in KINDS.items() if type(entry) is kind)
    fields = {f.name: getattr(entry, f.name) for f in dataclasses.fields(entry) if f.name not in ("attempt", "files")}
    return {"kind": kind, "attempt": entry.attempt, "fields": fields}


def from_plain(plain: Mapping[str, Any], files: Mapping[str, bytes]) -> Entry:
    """The entry that `to_plain` wrote, with its files."""
    kind, fields = KINDS[plain["kind"]], dict(plain["fields"])
    for name in {"metrics", "shape"} & fields.keys():
        fields[name] = tuple(tuple(one) if isinstance(one, list) else one for one in fields[name])
    if any(f.name == "files" for f in dataclasses.fields(kind)):
        fields["files"] = files
    attempt = None if plain["attempt"] is None else (plain["attempt"][0], plain["attempt"][1])
    return kind(attempt=attempt, **fields)  # type: ignore[arg-type]
