"""Chooses the model that a promotion judges, on holdout: a trained candidate, the search's own model, an average, an ensemble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...search.study.goal import Goal
from ..datasets.images import Images
from ..errors import InputError, RunError
from ..registry.files import fetch_saved_model, find_logged_models
from ..system.file_lock import hold_lock
from ..tracking.leaderboard import find_best, read_leaderboard
from ..trials.evaluator import Evaluator
from .average import Average, log_average
from .candidates import Trained, choose, find_trial, lock_path, read_trained, train
from .ensemble import select
from .ranking import Ranked, Scored, find_median, rank
from .records import Choice, Request, Work
from .statistics import Predictions, score_with_interval

JUDGED = {"val_accuracy": "accuracy", "val_loss": "loss", "val_macro_f1": "macro_f1"}


def choose_logged(request: Request, work: Work, evaluator: Evaluator) -> Choice:
    """The logged model of the best trial, or of the one named: its rank is the search's own."""
    models = find_logged_models(work.study)
    board = read_leaderboard(work.study)
    if request.trial is not None:
        row = find_trial(board, request.trial, work.spec.name)
        if row.trial not in models:
            raise InputError(
                f"STUDY:TRIAL: the model of trial {row.trial} is not kept (search.keep_models); promote it without --quick, "
                "which trains it again."
            )
    else:
        best = find_best([row for row in board if row.trial in models])
        if best is None:
            raise InputError(f"study {work.spec.name!r} has no complete trial with a model yet; see `tailor status`.")
        row = best
    metric = find_metric(work.study.goal)
    predictions = predict(work, evaluator, models[row.trial], work.splits.holdout)
    holdout = score_with_interval(metric, predictions)
    costs = row.metrics.get("latency_ms"), int(row.metrics.get("model_bytes", 0))
    return Choice(row.trial, "the search's own model", models[row.trial], row.run_id, metric, holdout, *costs)


def choose_trained(request: Request, work: Work, evaluator: Evaluator) -> Choice:
    """Train the candidates on fresh seeds, rank them on holdout, and take the median seed of the winner."""
    metric = find_metric(work.study.goal)
    candidates = choose(work.study, request.plan.candidates, request.trial)
    with hold_lock(lock_path(work.places.store, work.spec.name)):
        trained = train(work.study, work.spec, work.splits, candidates, work.places, work.screen)
    work.screen.line(f"scoring {sum(map(len, trained.values()))} models on holdout")
    predictions = {
        one.model_id: predict(work, evaluator, one.model_id, work.splits.holdout) for runs in trained.values() for one in runs
    }
    ranking = rank(
        metric,
        [
            Scored(
                trial,
                [predictions[one.model_id] for one in runs],
                sum(one.metrics["latency_ms"] for one in runs) / len(runs),
                int(runs[0].metrics["parameters"]),
            )
            for trial, runs in trained.items()
        ],
    )
    winner = ranking[0]
    for trial, runs in trained.items():
        scores = next(row.scores for row in ranking if row.trial == trial)
        for one, value in zip(runs, scores, strict=True):
            if f"holdout_{metric}" not in one.metrics:
                work.client.log_metric(one.run_id, f"holdout_{metric}", value)
    seeds = trained[winner.trial]
    if request.plan.register == "average" and len(seeds) > 1:
        return _choose_average(work, evaluator, seeds, predictions, ranking)
    chosen = seeds[find_median(winner.scores)]
    holdout = score_with_interval(metric, predictions[chosen.model_id])
    costs = chosen.metrics.get("latency_ms"), int(chosen.metrics.get("model_bytes", 0))
    how = f"the median of {len(winner.scores)} fresh seeds" if len(winner.scores) > 1 else "a fresh seed"
    return Choice(winner.trial, how, chosen.model_id, chosen.run_id, metric, holdout, *costs, ranking=tuple(ranking))


def _choose_average(
    work: Work, evaluator: Evaluator, seeds: Sequence[Trained], predictions: Mapping[str, Predictions], ranking: Sequence[Ranked]
) -> Choice:
    """One model that averages the probabilities of the winner's seeds."""
    metric, members = find_metric(work.study.goal), [one.model_id for one in seeds]
    model_id, size = log_average(work.study, work.splits, evaluator, Average(members, seeds[0].run_id))
    mean = np.mean([predictions[member].probabilities for member in members], axis=0)
    holdout = score_with_interval(metric, Predictions(work.splits.holdout.labels, mean))
    latency = sum(one.metrics["latency_ms"] for one in seeds)
    how = f"the average of {len(seeds)} fresh seeds"
    return Choice(
        ranking[0].trial,
        how,
        model_id,
        seeds[0].run_id,
        metric,
        holdout,
        latency,
        size,
        ranking=tuple(ranking),
        members=len(seeds),
    )


def find_metric(goal: Goal) -> str:
    """What is measured on holdout and test: the first objective that is a score of predictions, or accuracy."""
    return next((JUDGED[one.metric] for one in goal.objectives if one.metric in JUDGED), "accuracy")


def choose_ensemble(request: Request, work: Work, evaluator: Evaluator) -> Choice:
    """An ensemble of the study's kept models and trained candidates, selected on holdout. Raises InputError, RunError."""
    metric = find_metric(work.study.goal)
    board = {row.trial: row for row in read_leaderboard(work.study) if row.status == "complete"}
    kept = {model_id: board[trial].run_id for trial, model_id in find_logged_models(work.study).items() if trial in board}
    runs = kept | {one.model_id: one.run_id for one in read_trained(work.study).values()}
    if len(runs) < 2:
        raise InputError(
            f"study {work.spec.name!r} keeps {len(runs)} models, and an ensemble needs two; search with a larger "
            "search.keep_models."
        )
    work.screen.line(f"scoring {len(runs)} models on holdout")
    predictions = {model_id: predict(work, evaluator, model_id, work.splits.holdout) for model_id in runs}
    members = select(metric, list(predictions.values()), request.plan.ensemble)
    ids = [list(predictions)[place] for place in members]
    distinct = list(dict.fromkeys(ids))
    first = work.client.get_run(runs[ids[0]]).data.tags
    if len(distinct) < 2:
        trial = f"{work.spec.name}:{first['tailor.trial']}"
        raise RunError(
            f"no combination of the {len(runs)} models is better on holdout than one alone, of {trial}; promote that one: "
            f"tailor promote {trial} --to {request.name}"
        )
    model_id, size = log_average(work.study, work.splits, evaluator, Average(ids, runs[ids[0]]))
    mean = np.mean([predictions[one].probabilities for one in ids], axis=0)
    holdout = score_with_interval(metric, Predictions(work.splits.holdout.labels, mean))
    latency = sum(work.client.get_run(runs[one]).data.metrics.get("latency_ms", 0.0) for one in distinct)
    how = f"an ensemble of {len(distinct)} models, weighted in {len(ids)} parts"
    return Choice(int(first["tailor.trial"]), how, model_id, runs[ids[0]], metric, holdout, latency, size, members=len(distinct))


def predict(work: Work, evaluator: Evaluator, model_id: str, images: Images) -> Predictions:
    """A logged model's predictions of a split."""
    return Predictions(images.labels, evaluator.predict(fetch_saved_model(work.client, model_id), images.images))
