"""`tailor promote`: choose on holdout, judge on test against the champion, register the bytes that were judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from ...search.study.goal import Goal
from ...search.study.load import check_name
from ...search.study.spec import StudySpec
from ..coordinator.progress import Screen
from ..coordinator.session import Places
from ..datasets.images import Images
from ..datasets.splits import Splits
from ..errors import InputError
from ..registry.files import fetch_saved_model, find_logged_models, find_registered_model, read_checksums
from ..registry.history import Why, move_alias, settle
from ..registry.name_lock import hold_name
from ..registry.register import Registration, find_registered, open_test, register
from ..registry.versions import (
    CHALLENGER,
    CHAMPION,
    DIGEST,
    EVIDENCE,
    PENDING,
    RESCALED,
    RESCALING,
    SETTLED,
    UNSCALED,
    find_champion,
    find_role,
    read_promoted_tag,
)
from ..system.file_lock import hold_lock
from ..tracking.leaderboard import find_best, read_leaderboard
from ..tracking.reader import RecordedStudy
from ..tracking.ui_links import make_base_url
from ..trials.chance import warn_near_chance
from ..trials.evaluator import Evaluator
from .average import Average, log_average
from .candidates import Trained, choose, find_trial, lock_path, train
from .card import Facts, warn_of_openings, write_card
from .evidence import EvidenceRun
from .ranking import Ranked, Scored, find_median, rank
from .records import Choice, Promotion, Request
from .statistics import Predictions, score, score_with_interval
from .verdict import Verdict, check_costs, judge, weigh

JUDGED = {"val_accuracy": "accuracy", "val_loss": "loss", "val_macro_f1": "macro_f1"}
AGAIN = "this model is registered already"
KEPT = ("tailor.study", "tailor.objective", "tailor.direction", "tailor.dataset", DIGEST, "tailor.input_shape")
AGAINST = "tailor.judged_against"  # the champion's version then


@dataclass(frozen=True)
class Work:
    """What a promotion works with."""

    study: RecordedStudy
    spec: StudySpec
    splits: Splits
    places: Places
    screen: Screen

    @property
    def client(self) -> MlflowClient:
        return self.study.client


def promote(request: Request, work: Work) -> Promotion:
    """Choose, judge and register a study's best model. Raises InputError, RunError, and Interrupted on a signal.

    Opens the test split at most once for a model and champion, and counts each opening on the registered name.
    """
    check_name("--to", request.name)
    if work.study.tags[DIGEST] != work.splits.digest:
        raise InputError(
            f"study {work.spec.name!r} was trained on other data: the digest of {work.spec.dataset!r} is now "
            f"{work.splits.digest}."
        )
    work = replace(work, spec=replace(work.spec, promotion=request.plan))
    with Evaluator() as evaluator:
        choice = choose_logged(request, work, evaluator) if request.quick else choose_trained(request, work, evaluator)
        if request.dry_run:
            return Promotion(
                request.name,
                "",
                "",
                Verdict("challenger", "a dry run: nothing is judged"),
                work.spec.name,
                work.spec.model,
                choice,
            )
        with hold_name(work.client, work.places.store, request.name, work.screen.line):
            return _judge(request, work, choice, evaluator)


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
    predictions = _predict(work, evaluator, models[row.trial], work.splits.holdout)
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
        one.model_id: _predict(work, evaluator, one.model_id, work.splits.holdout) for runs in trained.values() for one in runs
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


def _judge(request: Request, work: Work, choice: Choice, evaluator: Evaluator) -> Promotion:
    """Judge the chosen model against the champion, and register it; the name's lock is held."""
    client, name = work.client, request.name
    settle(client, name)
    made = Promotion(name, "", "", Verdict("refused", ""), work.spec.name, work.spec.model, choice)
    known, champion = find_registered(client, name, choice.model_id), find_champion(client, name)
    if known is not None and known.tags.get(SETTLED) != PENDING:
        alias = find_role(known)
        verdict = Verdict("promoted" if alias == CHAMPION else "challenger", AGAIN)
        return replace(made, version=str(known.version), alias=alias, verdict=verdict, run_id=known.tags.get(EVIDENCE, ""))
    if known is not None and known.tags[AGAINST] == _number(champion):  # its promotion died before it gave the alias
        verdict = Verdict(known.tags["tailor.outcome"], known.tags["tailor.verdict"])
        return _give_alias(client, replace(made, verdict=verdict, run_id=known.tags[EVIDENCE]), known)
    run = EvidenceRun(work.study, name, choice)
    if refusal := _find_refusal(request, work, choice, champion):
        verdict = Verdict("refused", refusal)
        return replace(made, verdict=verdict, run_id=run.close(verdict))
    openings = open_test(client, name)
    test, rival = _predict(work, evaluator, choice.model_id, work.splits.test), None
    if champion is not None and _same_data(champion, work):
        saved = find_registered_model(client, champion)
        rival = Predictions(test.labels, evaluator.predict(saved, work.splits.test.images))
    verdict = judge(request.plan, None if rival is None else weigh(choice.metric, test, rival))
    if champion is not None and rival is None:
        verdict = Verdict("promoted", f"--force: version {champion.version} is of another data set, and was not compared")
    run.log(work.splits, verdict, test, rival, _number(champion))
    found = score_with_interval(choice.metric, test)
    notes = _make_notes(work, choice, test, openings)
    made = replace(made, verdict=verdict, test=found, openings=openings, run_id=run.run_id, notes=notes)
    if verdict.outcome == "refused":
        run.close(verdict)
        return made
    if known is None:
        scaled = evaluator.has_scaling(fetch_saved_model(client, choice.model_id))
        known = register(client, _describe(work, made, test, {RESCALING: RESCALED if scaled else UNSCALED}, champion))
        run.keep("card.md", _write_card(work, made, test, known.tags).encode())
    made = _give_alias(client, made, known)
    run.close(verdict)
    return made


def _make_notes(work: Work, choice: Choice, test: Predictions, openings: int) -> tuple[str, ...]:
    accuracy = score("accuracy", test)
    return tuple(
        filter(
            None,
            (
                warn_near_chance(f"trial {choice.trial}", accuracy, test.labels, work.splits.class_names),
                warn_of_openings(openings, accuracy, len(test.labels)),
            ),
        )
    )


def _find_refusal(request: Request, work: Work, choice: Choice, champion: ModelVersion | None) -> str:
    """Why the model is refused before the test set is opened; empty if it is not."""
    if champion is not None and not _same_data(champion, work) and not request.force:
        return (
            f"the champion of {request.name!r}, version {champion.version}, is of another data set "
            f"({read_promoted_tag(champion, DIGEST)}; this is {work.splits.digest}), so they cannot be compared; promote it to "
            "another name, or with --force"
        )
    return check_costs(request.plan, choice.latency_ms, choice.model_bytes)


def _give_alias(client: MlflowClient, made: Promotion, version: ModelVersion) -> Promotion:
    alias = CHAMPION if made.verdict.outcome == "promoted" else CHALLENGER
    move_alias(client, made.name, alias, str(version.version), Why(made.verdict.outcome, made.verdict.reason, made.run_id))
    return replace(made, version=str(version.version), alias=alias)


def _same_data(version: ModelVersion, work: Work) -> bool:
    return read_promoted_tag(version, DIGEST) == work.splits.digest


def _number(version: ModelVersion | None) -> str:
    return "" if version is None else str(version.version)


def _predict(work: Work, evaluator: Evaluator, model_id: str, images: Images) -> Predictions:
    return Predictions(images.labels, evaluator.predict(fetch_saved_model(work.client, model_id), images.images))


def _describe(
    work: Work, made: Promotion, test: Predictions, more: Mapping[str, str], champion: ModelVersion | None
) -> Registration:
    """The version to register, with its tags and card."""
    choice, study = made.choice, work.study.tags
    tags = {
        **{key: study[key] for key in KEPT},
        **read_checksums(work.client.get_logged_model(choice.model_id).tags),
        **more,
        "tailor.trial": str(choice.trial),
        "tailor.choice": choice.how,
        f"tailor.holdout_{choice.metric}": repr(choice.holdout.value),
        "tailor.test_accuracy": repr(score("accuracy", test)),
        "tailor.test_loss": repr(score("loss", test)),
        "tailor.outcome": made.verdict.outcome,
        "tailor.verdict": made.verdict.reason,
        AGAINST: _number(champion),
        EVIDENCE: made.run_id,
        **({} if choice.latency_ms is None else {"tailor.latency_ms": repr(choice.latency_ms)}),
    }
    return Registration(made.name, choice.model_id, choice.run_id, tags, _write_card(work, made, test, tags))


def _list_costs(choice: Choice, metrics: Mapping[str, float]) -> dict[str, float]:
    parameters = {"parameters": metrics["parameters"] * choice.members} if "parameters" in metrics else {}
    latency = {} if choice.latency_ms is None else {"latency_ms": choice.latency_ms}
    return {**parameters, "model_bytes": float(choice.model_bytes), **latency}


def _write_card(work: Work, made: Promotion, test: Predictions, tags: Mapping[str, str]) -> str:
    choice = made.choice
    run = work.client.get_run(choice.run_id)
    base = make_base_url(work.places.store.tracking_uri)
    facts = Facts(
        name=made.name,
        trial=choice.trial,
        how=choice.how,
        run_id=choice.run_id,
        evidence_url=f"{base}/#/experiments/{work.study.experiment_id}/runs/{made.run_id}",
        metric=choice.metric,
        holdout=choice.holdout,
        ranking=choice.ranking,
        verdict=made.verdict,
        openings=made.openings,
        params=run.data.params,
        costs=_list_costs(choice, run.data.metrics),
        tags=tags,
        versions={
            key.removeprefix("tailor.version."): value
            for key, value in run.data.tags.items()
            if key.startswith("tailor.version.")
        },
    )
    return write_card(facts, work.spec, work.splits, test)
