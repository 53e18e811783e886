"""Chooses the model that a promotion judges, on holdout: a candidate, its refit, the search's own, an average, an ensemble."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ...search.study.goal import Goal
from ..datasets.images import Images
from ..errors import InputError, RunError, write_command
from ..registry.files import fetch_saved_model, find_logged_models
from ..system.words import count
from ..tracking.kinds import SEEDS
from ..tracking.leaderboard import find_best, read_leaderboard
from ..trials.evaluator import Evaluator
from .average import Average, log_average
from .candidates import choose, find_trial, train
from .ensemble import select
from .ranking import Scored, find_median, rank
from .records import Choice, Request, Work
from .refit import check_refits, refit
from .statistics import Interval, Predictions, score_with_interval
from .trainings import Trained, read_trained

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
            within, shown = work.study.goal.within, write_command("status", work.spec.name)
            raise RunError(f"study {work.spec.name!r} has no complete trial with a model{within} yet; see {shown}.")
        row = best
    metric = find_metric(work.study.goal)
    predictions = predict(work, evaluator, models[row.trial], work.splits.holdout)
    holdout = score_with_interval(metric, predictions)
    costs = row.metrics.get("latency_ms"), int(row.metrics.get("model_bytes", 0))
    return Choice(row.trial, "the search's own model", models[row.trial], row.run_id, metric, holdout, *costs, as_searched=True)


def choose_trained(request: Request, work: Work, evaluator: Evaluator) -> Choice:
    """Train the candidates on fresh seeds, rank them on holdout, and take what the plan says of the winner's seeds."""
    metric = find_metric(work.study.goal)
    candidates = {one.trial: one for one in choose(work.study, request.plan.candidates, request.trial)}
    refitted = request.plan.register == "refit"
    if refitted:
        check_refits(list(candidates.values()))
    trained = train(work, list(candidates.values()))
    runs = {one.model_id: one.run_id for seeds in trained.values() for one in seeds}
    predictions = _predict_holdout(work, evaluator, runs)
    ranking = tuple(rank(metric, [_score(trial, seeds, predictions) for trial, seeds in trained.items()]))
    for row in ranking:
        for one, value in zip(trained[row.trial], row.scores, strict=True):
            if f"holdout_{metric}" not in one.metrics:
                work.client.log_metric(one.run_id, f"holdout_{metric}", value)
    winner = ranking[0]
    seeds = trained[winner.trial]
    if request.plan.register == "average" and len(seeds) > 1:
        average = Average([one.model_id for one in seeds], seeds[0].run_id)
        costs = _add_costs([one.metrics for one in seeds])
        if request.trial is None:  # one that a person names need not keep them
            what = f"the average of the {len(seeds)} models of trial {winner.trial}"
            _keep_constraints(work.study.goal, costs, what, "register one of them: --register median")
        model_id, holdout, size = _average(work, evaluator, average, predictions)
        how, latency = f"the average of {len(seeds)} fresh seeds", costs["latency_ms"]
        return Choice(winner.trial, how, model_id, average.run_id, metric, holdout, latency, size, ranking, len(seeds))
    chosen = seeds[find_median(winner.scores)]
    holdout = score_with_interval(metric, predictions[chosen.model_id])
    how = f"the median of {len(seeds)} fresh seeds" if len(seeds) > 1 else "a fresh seed"
    if refitted:
        chosen = refit(work, candidates[winner.trial], chosen)
        epochs = int(chosen.metrics["best_epoch"])
        how += f", then trained again on train, val and holdout for {count(epochs, 'epoch')} (its holdout score is from before)"
    latency_and_size = chosen.metrics.get("latency_ms"), int(chosen.metrics.get("model_bytes", 0))
    return Choice(
        winner.trial, how, chosen.model_id, chosen.run_id, metric, holdout, *latency_and_size, ranking=ranking, refit=refitted
    )


def _score(trial: int, seeds: Sequence[Trained], predictions: Mapping[str, Predictions]) -> Scored:
    latency = min(one.metrics["latency_ms"] for one in seeds)  # the same network each: other work only adds to it
    return Scored(trial, [predictions[one.model_id] for one in seeds], latency, int(seeds[0].metrics["parameters"]))


def _add_costs(members: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """What a model of several costs, from its members' metrics."""
    return {name: sum(metrics.get(name, 0.0) for metrics in members) for name in ("latency_ms", "parameters", "model_bytes")}


def _keep_constraints(goal: Goal, costs: Mapping[str, float], what: str, way: str) -> None:
    """Raise RunError if a model of several breaks a constraint of the study, which each of its members keeps."""
    if broken := goal.find_broken(costs):
        raise RunError(f"{what} breaks the study's constraint {broken}; {way}.")


def _predict_holdout(work: Work, evaluator: Evaluator, model_ids: Iterable[str]) -> dict[str, Predictions]:
    ids = list(model_ids)
    work.screen.line(f"scoring {len(ids)} model{'s' * (len(ids) > 1)} on holdout")
    return {one: predict(work, evaluator, one, work.splits.holdout) for one in ids}


def _average(
    work: Work, evaluator: Evaluator, average: Average, predictions: Mapping[str, Predictions]
) -> tuple[str, Interval, int]:
    """One model that averages the members' probabilities: its id, its score on holdout, and its bytes."""
    model_id, size = log_average(work.study, work.splits, evaluator, average)
    mean = np.mean([predictions[member].probabilities for member in average.members], axis=0)
    return model_id, score_with_interval(find_metric(work.study.goal), Predictions(work.splits.holdout.labels, mean)), size


def find_metric(goal: Goal) -> str:
    """What is measured on holdout and test: the first objective that is a score of predictions, or accuracy."""
    return next((JUDGED[one.metric] for one in goal.objectives if one.metric in JUDGED), "accuracy")


def choose_ensemble(request: Request, work: Work, evaluator: Evaluator) -> Choice:
    """An ensemble of the study's kept models and trained candidates, selected on holdout. Raises InputError, RunError."""
    if request.trial is not None:
        raise InputError(f"STUDY: an ensemble is of a study's models, not of one trial; leave the :{request.trial} out.")
    goal = work.study.goal
    metric = find_metric(goal)
    board = {row.trial: row for row in read_leaderboard(work.study) if row.front is not None}
    kept = {model_id: board[trial].run_id for trial, model_id in find_logged_models(work.study).items() if trial in board}
    trained = {one.model_id: one.run_id for number, one in read_trained(work.study).items() if number // SEEDS in board}
    runs = kept | trained
    if len(runs) < 2:
        kept_by = " that keep its constraints" if goal.constraints else ""
        raise InputError(
            f"study {work.spec.name!r} has {count(len(board), 'complete trial')}{kept_by}, and keeps "
            f"{count(len(runs), 'model')} of such; an ensemble needs two; give it more trials"
            f"{'' if len(board) < 2 else ', and search.keep_models of at least 2'}."
        )
    predictions = _predict_holdout(work, evaluator, runs)
    members = select(metric, list(predictions.values()), request.plan.ensemble)
    ids = [list(predictions)[place] for place in members]
    distinct = list(dict.fromkeys(ids))
    first = work.client.get_run(runs[ids[0]]).data.tags
    if len(distinct) < 2:
        trial = f"{work.spec.name}:{first['tailor.trial']}"
        raise RunError(
            f"no combination of the {len(runs)} models is better on holdout than one alone, of {trial}; promote that one: "
            f"{write_command('promote', trial, '--to', request.name)}."
        )
    parts = [work.client.get_run(runs[one]) for one in distinct]
    costs = _add_costs([run.data.metrics for run in parts])
    way = f"promote a single model: {write_command('promote', work.spec.name, '--to', request.name)}"
    _keep_constraints(goal, costs, f"the best ensemble, of {len(distinct)} models,", way)
    numbers = sorted({int(run.data.tags["tailor.trial"]) for run in parts})
    how = f"an ensemble of {len(distinct)} models, weighted in {len(ids)} parts"
    average = Average(ids, runs[ids[0]])
    model_id, holdout, size = _average(work, evaluator, average, predictions)
    number = int(first["tailor.trial"])
    return Choice(
        number,
        how,
        model_id,
        average.run_id,
        metric,
        holdout,
        costs["latency_ms"],
        size,
        members=len(distinct),
        parameters=int(costs["parameters"]),
        trials=tuple(numbers),
    )


def predict(work: Work, evaluator: Evaluator, model_id: str, images: Images) -> Predictions:
    """A logged model's predictions of a split."""
    return Predictions(images.labels, evaluator.predict(fetch_saved_model(work.client, model_id), images.images))
