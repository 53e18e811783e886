"""A compression's run in MLflow, of kind `compression`: the table, the picture, and the chosen model as a logged one."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.artifacts import load_text
from mlflow.entities import LoggedModelStatus, Metric, Param

from ..promotion.statistics import Interval
from ..registry.files import CODE_SHA256, INT8, INT8_SHA256, SHA256
from ..registry.versions import DIGEST
from ..tracking.entries import LogModel
from ..tracking.pages import read_pages
from ..tracking.tags import describe_origin, describe_study
from ..tracking.tracker import flatten
from ..tracking.writer import log_model
from .picture import draw
from .records import Asked, Cost, Row
from .source import Source
from .variants import Variant

KIND, LABEL = "compression", "tailor.compression"
TABLE, PICTURE = "compression.json", "compression.png"


@dataclass(frozen=True)
class Recorded:
    """What a compression found and logged: the rows, the chosen row, its run and its logged model, and its score on holdout.

    The run and the model are empty if nothing was logged: a dry run, or no variant is close enough.
    """

    rows: tuple[Row, ...]
    chosen: Row | None
    metric: str
    holdout: Interval
    run_id: str = ""
    model_id: str = ""


def find_logged(client: MlflowClient, source: Source, label: str) -> Recorded | None:
    """What the same compression logged before, whole; what a killed one left half-way is closed and counts as nothing."""
    for model in read_pages(client.search_logged_models, [source.study.experiment_id]):
        if model.tags.get(LABEL) == label and model.status == LoggedModelStatus.READY:
            plain = json.loads(load_text(f"{client.get_run(model.source_run_id).info.artifact_uri}/{TABLE}"))
            rows = tuple(Row(**{**row, "cost": Cost(**row["cost"])}) for row in plain["rows"])
            chosen = next(row for row in rows if row.name == plain["chosen"])
            return Recorded(rows, chosen, plain["metric"], Interval(**plain["holdout"]), model.source_run_id, model.model_id)
    wanted = f"tags.`{LABEL}` = '{label}' AND attributes.status = 'RUNNING'"
    for run in read_pages(client.search_runs, [source.study.experiment_id], wanted):
        client.set_terminated(run.info.run_id, "KILLED")
    return None


def log(client: MlflowClient, source: Source, asked: Asked, found: Recorded, variants: Sequence[Variant]) -> Recorded:
    """Log the run, and last of all its model, which is what vouches for the run."""
    assert found.chosen is not None
    variant = next(one for one in variants if one.row.name == found.chosen.name)
    label = asked.label(source.saved.sha256, source.splits.digest)
    run_id = _log_run(client, source, asked, found, variant)
    data = variant.made.keras
    files = {"model.keras": data, "labels.json": json.dumps(source.splits.class_names, ensure_ascii=False).encode()}
    tags = {
        "tailor.study": source.study.name,
        LABEL: label,
        "tailor.model_bytes": str(len(data)),
        SHA256: hashlib.sha256(data).hexdigest(),
        DIGEST: source.splits.digest,
    }
    code = source.saved.source if variant.described["model"] == source.described["model"] else None
    if code is not None:
        files[code.name] = code.read_bytes()
        tags[CODE_SHA256] = hashlib.sha256(files[code.name]).hexdigest()
    if found.chosen.int8:
        files[INT8] = variant.file.read_bytes()
        tags[INT8_SHA256] = hashlib.sha256(files[INT8]).hexdigest()
    height, width, channels = source.splits.train.images.shape[1:]
    entry = LogModel(
        (0, 0), tags, (height, width, channels), len(source.splits.class_names), 0, None if code is None else code.name, files
    )
    model_id = log_model(client, source.study.experiment_id, run_id, entry)
    client.set_terminated(run_id)
    return replace(found, run_id=run_id, model_id=model_id)


def _log_run(client: MlflowClient, source: Source, asked: Asked, found: Recorded, variant: Variant) -> str:
    """Create the run with all but its model."""
    assert found.chosen is not None
    chosen, version, now = found.chosen, source.version, int(time.time() * 1000)
    tags = {
        **describe_origin(Path.cwd()),
        **describe_study(source.spec, source.splits),
        "tailor.kind": KIND,
        LABEL: asked.label(source.saved.sha256, source.splits.digest),
        "tailor.seed": str(asked.seed),
        "tailor.trial": str(version.tags["tailor.trial"]),
        "tailor.status": "complete",
        **describe_lineage(source, chosen),
        "mlflow.parentRunId": source.study.run_id,
        "mlflow.note.content": f"{source.name} made smaller: {chosen.name} was chosen of {len(found.rows) - 1} variants.",
    }
    run = client.create_run(source.study.experiment_id, tags=tags, run_name=f"compress-{version.name}-{version.version}")
    run_id: str = run.info.run_id
    measured = {
        "parameters": chosen.parameters,
        "latency_ms": chosen.cost.p50_ms,
        "latency_p99_ms": chosen.cost.p99_ms,
        "peak_memory_mb": chosen.cost.peak_mb,
        "model_bytes": len(variant.made.keras),
        "file_bytes": chosen.bytes,
        "gzip_bytes": chosen.gzip_bytes,
        "sparsity": chosen.sparsity,
        "holdout_accuracy": chosen.holdout_accuracy,
        "best_epoch": chosen.best_epoch,
    }
    curves = [
        Metric(name, value, now, step)
        for step, epoch in enumerate(variant.made.history, start=1)
        for name, value in epoch.items()
    ]
    params = flatten({**variant.described["values"], **{f"compress.{key}": value for key, value in asdict(asked).items()}})
    client.log_batch(
        run_id,
        metrics=[*(Metric(name, float(value), now, 0) for name, value in measured.items()), *curves][:1000],
        params=[Param(name, str(value)[:6000]) for name, value in params.items()],
    )
    plain = {
        "source": {"name": version.name, "version": str(version.version), "run_id": version.run_id},
        "rows": [asdict(row) for row in found.rows],
        "chosen": chosen.name,
        "metric": found.metric,
        "holdout": asdict(found.holdout),
        "asked": asdict(asked),
    }
    title = f"{source.name} made smaller"
    files: dict[str, Any] = {
        TABLE: json.dumps(plain, indent=1).encode(),
        PICTURE: draw(found.rows, chosen.name, asked.most_lost, title),
        "trial.json": json.dumps(dict(variant.described), indent=1).encode(),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        client.log_artifacts(run_id, folder)
    return run_id


def describe_lineage(source: Source, chosen: Row) -> dict[str, str]:
    """The tags that say what a compressed model comes of, on its run and on its version."""
    version = source.version
    return {
        "tailor.compressed_from": f"{version.name}/{version.version}",
        "tailor.compressed_from_run": version.run_id,
        "tailor.compressed_from_sha256": source.saved.sha256,
        "tailor.compressed_how": chosen.name,
    }
