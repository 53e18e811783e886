"""`tailor compress`: make a registered model's variants, choose one on holdout, and register it by a promotion."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from ...search.study.sections import PromotionPlan
from ..coordinator.progress import Screen
from ..coordinator.session import Places
from ..errors import InputError
from ..export.formats import find_format
from ..planning.resume_check import refuse_changed_files
from ..promotion.choice import find_metric
from ..promotion.promote import promote
from ..promotion.records import Choice, Promotion, Request, Work
from ..promotion.statistics import Predictions, score_with_interval
from ..registry.files import INT8, INT8_SHA256
from ..registry.versions import SEEN, TRIALS, refuse_prompt
from ..tracking.kinds import REFIT
from ..tracking.ui_links import make_base_url
from ..trials.evaluator import Evaluator
from . import log
from .log import Recorded, describe_lineage, find_logged
from .records import Asked, choose
from .source import Source, choose_student, read_source
from .variants import Variant, Workshop, check_student, make_variants


@dataclass(frozen=True)
class Compression:
    """What a compression did. `promotion` is None if nothing was to be registered."""

    source: str
    found: Recorded
    promotion: Promotion | None


@dataclass(frozen=True)
class Target:
    """The registered name that the result goes to, and whether it is registered at all."""

    name: str
    dry_run: bool = False
    force: bool = False


def compress(
    client: MlflowClient, version: ModelVersion, asked: Asked, target: Target, work: tuple[Places, Screen]
) -> Compression:
    """Compress a version. Raises InputError before it trains anything, RunError and Interrupted.

    A run is logged once all variants are made, so a killed compression leaves nothing of them; after that the same command finds
    what was logged, and finishes the promotion.
    """
    places, screen = work
    asked.validate()
    if not target.dry_run:
        refuse_prompt(client, target.name)
    screen.line(f"reading {version.name} version {version.version}, its study and its data")
    source = read_source(client, version, places.data_dir)
    int8 = _can_quantize(asked, screen)
    student = choose_student(client, source, asked)
    found = find_logged(client, source, asked.label(source.saved.sha256, source.splits.digest))
    if found is not None:
        screen.line(f"the same compression was made before, by run {found.run_id}")
    else:
        if asked.everything or asked.prune or asked.distil:
            loss = source.described["values"].get("loss")
            refuse_changed_files([loss], source.study, "quantize alone, which trains nothing: --int8")
        with Evaluator() as evaluator, tempfile.TemporaryDirectory(prefix="tailor-") as folder:
            shop = Workshop(evaluator, Path(folder), places.store, student, int8, screen.line)
            check_student(source, asked, shop)
            variants = list(make_variants(source, asked, shop))
            found = _choose(source, asked, variants)
            if found.chosen is not None and not target.dry_run:
                found = log.log(client, source, asked, found, variants)
    if found.chosen is None or target.dry_run:
        return Compression(source.name, found, None)
    choice = _describe(source, found, places)
    # A small gain is no reason to refuse what is to be small; it is no champion either way.
    gates = {key: value for key, value in asdict(source.spec.promotion).items() if value is not None}
    plan = PromotionPlan(**{**gates, "minimum_gain": 0.0})
    request = Request(target.name, plan, force=target.force, challenger_only=True)
    made = promote(request, Work(source.study, source.spec, source.splits, places, screen), lambda *_: choice)
    return Compression(source.name, found, made)


def _can_quantize(asked: Asked, screen: Screen) -> bool:
    """Whether to make 8-bit forms. Raises InputError if they are asked for and LiteRT is missing."""
    if not (asked.int8 or asked.everything):
        return False
    try:
        find_format("litert", "--int8")
    except InputError as error:
        if asked.int8:
            raise
        screen.line(f"without int8: {error}")
        return False
    return True


def _choose(source: Source, asked: Asked, variants: Sequence[Variant]) -> Recorded:
    rows = tuple(one.row for one in variants)
    chosen = choose(rows, asked)
    shown = next(one for one in variants if one.row == (chosen or rows[0]))
    metric = find_metric(source.study.goal)
    score = score_with_interval(metric, Predictions(source.splits.holdout.labels, shown.holdout))
    return Recorded(rows, chosen, metric, score)


def _describe(source: Source, found: Recorded, places: Places) -> Choice:
    """The chosen variant as a promotion's choice. What is judged is model.keras, also if its 8-bit form is what was chosen."""
    row = found.chosen
    assert row is not None
    run, run_of_source = (source.study.client.get_run(one) for one in (found.run_id, source.version.run_id))
    logged = source.study.client.get_logged_model(found.model_id)
    url = f"{make_base_url(places.store.tracking_uri)}/#/experiments/{source.study.experiment_id}/runs/{found.run_id}"
    note = (
        f"Compressed from {source.name} (run `{source.version.run_id}`): {row.name}, {row.gzip_bytes:,} bytes gzipped against "
        f"{found.rows[0].gzip_bytes:,}; the [table and picture]({url}/artifacts/{log.PICTURE}) show all variants."
    )
    tags = describe_lineage(source, row)
    if row.int8:
        note += (
            f" `{INT8}` beside model.keras is its 8-bit form, for LiteRT: accuracy {row.holdout_accuracy:.4f} on holdout. "
            "What was judged on test is model.keras."
        )
        tags[INT8_SHA256] = logged.tags[INT8_SHA256]
    return Choice(
        int(source.version.tags["tailor.trial"]),
        f"{row.name}, compressed from {source.name}",
        found.model_id,
        found.run_id,
        found.metric,
        found.holdout,
        next(one for one in found.rows if one.name == row.base).cost.p50_ms,
        int(run.data.metrics["model_bytes"]),
        refit=SEEN in source.version.tags or run_of_source.data.tags.get("tailor.kind") == REFIT.name,
        trials=tuple(json.loads(source.version.tags.get(TRIALS, "[]"))),
        made=row.name,
        note=note,
        tags=tags,
    )
