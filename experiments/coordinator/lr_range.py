"""`tailor lr-range`: a learning-rate range test of a study's first point, recorded as a run of its experiment."""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from ...models.training.rate_curve import RateAdvice, RateCurve, RatePlan, advise
from ...search.engines.protocol import Suggestion
from ...search.space.parameters import Float
from ...search.study.spec import StudySpec
from ..datasets import splits as splitting
from ..planning.initial_points import add_defaults
from ..planning.keras_tuner_space import discover
from ..planning.resolve import find_ends, open_all
from ..store import Store
from ..tracking.kinds import RANGE_TEST
from ..tracking.rate_picture import draw_rates
from ..tracking.reader import find_named, find_study, open_client, prepare_database
from ..tracking.tags import describe_origin, describe_study
from ..tracking.tracker import flatten, open_experiment
from ..trials.evaluator import Evaluator
from ..trials.job import make_job
from ..trials.preflight import inspect_model, list_losses
from ..trials.rate_range import measure_rates
from .progress import Screen

RATE = "learning_rate"


@dataclass(frozen=True)
class RateTest:
    """What a range test found: the study, the values that the model had, the curve, the advice, and the run that holds them."""

    study: str
    plan: RatePlan
    values: Mapping[str, Any]
    curve: RateCurve
    advice: RateAdvice
    run_id: str
    experiment_id: str
    compiled: bool  # the model brings its own optimizer, so the rate is set in its code
    outdated: bool = False  # the study was searched already, with another range

    @property
    def diverged(self) -> bool:
        """Whether the loss ended the test before its last rate."""
        return len(self.curve.rates) < self.plan.points


def run_rate_test(spec: StudySpec, store: Store, data_dir: Path | None, plan: RatePlan, screen: Screen) -> RateTest:
    """Test the rates on the point that a search would begin with. Raises InputError, ModelError before it records anything."""
    if store.exists:
        find_named(open_client(store), spec.name)  # before anything is trained: it may be deleted, or renamed
    splits = open_all(spec, data_dir)
    with Evaluator() as evaluator, tempfile.TemporaryDirectory(prefix="tailor-") as folder:
        spec = discover(spec, splits)
        data = splitting.cache(splits, Path(folder))
        smallest, _ = find_ends(spec)
        found = evaluator.call(inspect_model, make_job(spec, Suggestion(0, smallest, 1), 0, data), list_losses(spec))
        values = _choose_point(spec, found.first)
        unit = "epochs" if plan.by_epoch else "steps"
        screen.line(f"training {spec.model} for {plan.points} {unit}, at rates from {plan.low:g} to {plan.high:g}")
        job = make_job(spec, Suggestion(0, values, 1), 0, data, precision="float32")
        curve = evaluator.call(measure_rates, job, plan)
    advice = advise(curve)
    with prepare_database(store) as keep_database:
        keep_database()
        store.create()
    client = open_client(store)
    experiment = open_experiment(client, store, spec.name)
    tags = {**describe_origin(Path.cwd()), **describe_study(spec, splits), "tailor.seed": str(job.seed)}
    made = RateTest(spec.name, plan, job.values, curve, advice, "", experiment, found.compiled)
    return _record(client, made, tags)


def _choose_point(spec: StudySpec, first: Mapping[str, Any]) -> dict[str, Any]:
    """The point that a search begins with; the smallest one if its sampler lists all points."""
    points = add_defaults(spec, first).enqueue
    point = dict(points[0]) if points else find_ends(spec)[0]
    declared = spec.found.declared  # a Keras Tuner model asks hp for its own rate
    return {name: value for name, value in point.items() if name != RATE or name in declared}


def _record(client: MlflowClient, made: RateTest, tags: Mapping[str, str]) -> RateTest:
    """Log the curve by point, the picture and the advice."""
    advice, now = made.advice, int(time.time() * 1000)
    study = find_study(client, made.study)
    parent = {} if study is None else {"mlflow.parentRunId": study.run_id}
    note = f"Learning-rate range test: begin with {advice.rate:g}, search {advice.low:g} to {advice.high:g}."
    run = client.create_run(
        made.experiment_id, tags={**tags, **parent, "tailor.kind": RANGE_TEST, "mlflow.note.content": note}, run_name=RANGE_TEST
    )
    run_id = run.info.run_id
    points = zip(made.curve.rates, made.curve.losses, strict=True)
    curve = [
        Metric(name, value, now, place)
        for place, (rate, loss) in enumerate(points)
        for name, value in ((RATE, rate), ("train_loss", loss))
        if math.isfinite(value)
    ]
    final = [Metric(f"suggested_{name}", getattr(advice, name), now, 0) for name in ("rate", "low", "high")]
    for start in range(0, len(curve), 1000):  # MLflow's most in one batch
        client.log_batch(run_id, metrics=curve[start : start + 1000])
    params = [Param(name, str(value)) for name, value in flatten({**made.values, **asdict(made.plan)}).items()]
    client.log_batch(run_id, metrics=final, params=params, tags=[RunTag("tailor.status", "complete")])
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "lr_range.png").write_bytes(draw_rates(made.curve, advice))
        plain = {**asdict(made.curve), **asdict(advice)}
        (Path(folder) / "lr_range.json").write_text(json.dumps(plain, indent=1), encoding="utf-8")
        client.log_artifacts(run_id, folder)
    client.set_terminated(run_id)
    return replace(made, run_id=run_id, outdated=study is not None and not _has_range(study.read_spec(), advice))


def _has_range(spec: StudySpec, advice: RateAdvice) -> bool:
    """Whether the study searches just the range that is advised."""
    found = next((one for one in spec.space.parameters if one.name == RATE), None)
    return isinstance(found, Float) and (found.low, found.high, found.log) == (advice.low, advice.high, True)
