"""`tailor promote`: choose on holdout, judge on test against the champion, register the bytes that were judged."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from ...search.study.load import check_name
from ..datasets.looks import measure_looks
from ..errors import InputError
from ..registry.files import fetch_saved_model, find_registered_model, read_checksums
from ..registry.forms import make_form
from ..registry.history import Why, has_past, move_alias, settle
from ..registry.name_lock import hold_name
from ..registry.register import Registration, describe, find_registered, open_test, register
from ..registry.versions import (
    CHALLENGER,
    CHAMPION,
    DIGEST,
    EVIDENCE,
    LOOKS,
    PENDING,
    RESCALED,
    RESCALING,
    SEEN,
    SETTLED,
    TRIALS,
    UNSCALED,
    find_champion,
    find_role,
    read_promoted_tag,
    refuse_prompt,
)
from ..system.file_lock import share_lock
from ..tracking.pending import refuse_pending
from ..tracking.ui_links import make_base_url
from ..trials.chance import LOOK, warn_near_chance
from ..trials.evaluator import Evaluator
from .card import Facts, warn_of_openings, write_card, write_purpose
from .choice import choose_ensemble, choose_logged, choose_trained, predict
from .evidence import EvidenceRun, close_if_open
from .records import Choice, Promotion, Request, Work
from .statistics import Predictions, score, score_with_interval
from .verdict import Verdict, check_costs, judge, weigh, write_gates

Chooser = Callable[[Request, Work, Evaluator], Choice]
CHOOSE: Mapping[str, Chooser] = {"candidates": choose_trained, "quick": choose_logged, "ensemble": choose_ensemble}
UNFINISHED = ("running", "stopped", "failed")
AGAIN = "this model is registered already"
KEPT = ("tailor.study", "tailor.objective", "tailor.direction", "tailor.dataset", DIGEST, "tailor.input_shape")
AGAINST, GATES = "tailor.judged_against", "tailor.gates"  # the champion's version then, and the gates that were asked for


def promote(request: Request, work: Work, choose: Chooser | None = None) -> Promotion:
    """Choose (the request's way, or by `choose`), judge and register a model. Raises InputError, RunError, Interrupted.

    Opens the test split once for a model and champion, again for a model that a gate refused, and counts each opening on the
    registered name.
    """
    check_name("--to", request.name)
    refuse_prompt(work.client, request.name)
    if choose is None:  # else the model is chosen already: a compressed version, which outlives its study
        refuse_pending(work.client, work.study, "there is nothing to promote")
        if work.study.word in UNFINISHED and request.trial is None:
            work.screen.line(f"note: the search of study {work.spec.name!r} is not finished; its trials so far count")
    if work.study.tags[DIGEST] != work.splits.digest:
        raise InputError(
            f"study {work.spec.name!r} was trained on other data: the digest of {work.spec.dataset!r} is now "
            f"{work.splits.digest}."
        )
    work = replace(work, spec=replace(work.spec, promotion=request.plan))
    made = Promotion(request.name, "", "", Verdict("refused", ""), work.spec.name, work.spec.model)
    if not request.dry_run and (refusal := _refuse_data(request, work, find_champion(work.client, request.name))):
        return replace(made, verdict=Verdict("refused", refusal))  # before hours of training
    # As long as this is held, nobody deletes or renames the study.
    with share_lock(work.places.store.lock_of_promotions(work.spec.name)), Evaluator() as evaluator:
        choice = (choose or CHOOSE[request.way])(request, work, evaluator)
        made = replace(made, choice=choice)
        if request.dry_run:
            return replace(made, verdict=Verdict("undecided", "a dry run: nothing is judged"))
        with hold_name(work.client, work.places.store, request.name, work.screen.line) as still_mine:
            made = _judge(request, replace(work, still_mine=still_mine), made, choice, evaluator)
        if made.version:
            sha256 = fetch_saved_model(work.client, choice.model_id).sha256
            make_form(work.places.store, f"{made.name}/{made.version}", sha256, work.splits.train.images.shape[1:], evaluator)
    return made


def _judge(request: Request, work: Work, made: Promotion, choice: Choice, evaluator: Evaluator) -> Promotion:
    """Judge the chosen model against the champion, and register it; the name's lock is held."""
    client, name = work.client, request.name
    settle(client, name, work.still_mine)
    known, champion = find_registered(client, name, choice.model_id), find_champion(client, name)
    if known is not None and (done := _take_up(request, work, made, known, champion)):
        return done
    refusal = _refuse_data(request, work, champion) or check_costs(request.plan, choice.latency_ms, choice.model_bytes)
    run = EvidenceRun(work.study, name, choice)
    if refusal:
        verdict = Verdict("refused", refusal)
        return replace(made, verdict=verdict, run_id=run.close(verdict))
    first = not has_past(client, name)
    openings = open_test(client, name, work.splits.digest)
    test, rival = predict(work, evaluator, choice.model_id, work.splits.test), None
    if champion is not None and _same_data(champion, work):
        saved = find_registered_model(client, champion)
        rival = Predictions(test.labels, evaluator.predict(saved, work.splits.test.images))
    verdict = judge(request.plan, None if rival is None else weigh(choice.metric, test, rival), first)
    if champion is not None and rival is None:
        verdict = Verdict("promoted", f"--force: version {champion.version} is of another data set, and was not compared")
    if request.challenger_only and champion is not None and verdict.outcome == "promoted":
        reason = f"{verdict.reason}; it stays challenger, as every compressed model does"
        verdict = replace(verdict, outcome="challenger", reason=reason)
    run.log(work.splits, verdict, test, rival, _number(champion))
    found = score_with_interval(choice.metric, test)
    notes = _make_notes(work, choice, test, openings)
    made = replace(made, verdict=verdict, test=found, openings=openings, run_id=run.run_id, notes=notes)
    if verdict.outcome == "refused":
        run.close(verdict)
        return made
    scaled = evaluator.has_scaling(fetch_saved_model(client, choice.model_id))
    version = register(client, _describe(work, made, choice, test, {RESCALING: RESCALED if scaled else UNSCALED}, champion))
    run.keep("card.md", _write_card(work, made, choice, test, version.tags).encode())
    made = _give_alias(work, made, version)
    describe(client, name, write_purpose(name, work.study.tags["tailor.dataset"], work.splits))
    run.close(verdict)
    return made


def _take_up(
    request: Request, work: Work, made: Promotion, known: ModelVersion, champion: ModelVersion | None
) -> Promotion | None:
    """What an earlier promotion of the same model to this name came to, finished if it died; None if it must be judged anew."""
    client, version, run_id = work.client, str(known.version), known.tags.get(EVIDENCE, "")
    died, alias = known.tags.get(SETTLED) == PENDING, find_role(known)  # it died before it gave the alias
    if died and not alias:
        if known.tags[AGAINST] != _number(champion) or known.tags.get(GATES) != write_gates(request.plan):
            _drop(client, known)  # its card and tags would not be true
            return None
        verdict = Verdict(known.tags["tailor.outcome"], known.tags["tailor.verdict"])
        made = _give_alias(work, replace(made, verdict=verdict, run_id=run_id), known)
    else:
        if died:  # a person gave it an alias since, and wins
            client.set_model_version_tag(made.name, version, SETTLED, alias)
        verdict = Verdict("promoted" if alias == CHAMPION else "challenger", AGAIN)
        made = replace(made, version=version, alias=alias, verdict=verdict, run_id=run_id)
    close_if_open(client, work.study.experiment_id, run_id)  # it died just before it did
    return made


def _drop(client: MlflowClient, version: ModelVersion) -> None:
    """Delete a version that got no alias; one to which a person gave an alias of their own stays, and is settled."""
    if version.aliases:
        client.set_model_version_tag(version.name, version.version, SETTLED, "")
    else:
        client.delete_model_version(version.name, version.version)


def _make_notes(work: Work, choice: Choice, test: Predictions, openings: int) -> tuple[str, ...]:
    accuracy, advice = score("accuracy", test), "give it more --epochs, or make it less small" if choice.made else LOOK
    return tuple(
        filter(
            None,
            (
                warn_near_chance(choice.what, accuracy, test.labels, work.splits.class_names, advice),
                warn_of_openings(openings, accuracy, len(test.labels)),
            ),
        )
    )


def _refuse_data(request: Request, work: Work, champion: ModelVersion | None) -> str:
    """Why no model of the study can meet the champion; empty if one can. Raises InputError for another tool's champion."""
    if champion is not None and not _same_data(champion, work) and not request.force:
        return (
            f"the champion of {request.name!r}, version {champion.version}, is of another data set "
            f"({read_promoted_tag(champion, DIGEST)[:12]}, not {work.splits.digest[:12]}), so they cannot be compared; "
            "promote it to another name, or with --force"
        )
    return ""


def _give_alias(work: Work, made: Promotion, version: ModelVersion) -> Promotion:
    alias = CHAMPION if made.verdict.outcome == "promoted" else CHALLENGER
    why = Why(made.verdict.outcome, made.verdict.reason, made.run_id)
    move_alias(work.client, made.name, alias, str(version.version), why, work.still_mine)
    return replace(made, version=str(version.version), alias=alias)


def _same_data(version: ModelVersion, work: Work) -> bool:
    return read_promoted_tag(version, DIGEST) == work.splits.digest


def _number(version: ModelVersion | None) -> str:
    return "" if version is None else str(version.version)


def _describe(
    work: Work, made: Promotion, choice: Choice, test: Predictions, more: Mapping[str, str], champion: ModelVersion | None
) -> Registration:
    """The version to register, with its tags and card."""
    study = work.study.tags
    tags = {
        **{key: study[key] for key in KEPT},
        **read_checksums(work.client.get_logged_model(choice.model_id).tags),
        **more,
        **choice.tags,
        "tailor.trial": str(choice.trial),
        "tailor.choice": choice.how,
        f"tailor.holdout_{choice.metric}": repr(choice.holdout.value),
        "tailor.test_accuracy": repr(score("accuracy", test)),
        "tailor.test_loss": repr(score("loss", test)),
        "tailor.outcome": made.verdict.outcome,
        "tailor.verdict": made.verdict.reason,
        AGAINST: _number(champion),
        GATES: write_gates(work.spec.promotion),
        EVIDENCE: made.run_id,
        LOOKS: str(measure_looks(work.splits.train.images)),
        **({SEEN: "true"} if choice.refit else {}),
        **({TRIALS: json.dumps(choice.trials)} if choice.trials else {}),
        **({} if choice.latency_ms is None else {"tailor.latency_ms": repr(choice.latency_ms)}),
    }
    return Registration(made.name, choice.model_id, choice.run_id, tags, _write_card(work, made, choice, test, tags))


def _list_costs(choice: Choice, metrics: Mapping[str, float]) -> dict[str, float]:
    count = choice.parameters or metrics.get("parameters", 0.0) * choice.members
    parameters = {"parameters": float(count)} if count else {}
    latency = {} if choice.latency_ms is None else {"latency_ms": choice.latency_ms}
    return {**parameters, "model_bytes": float(choice.model_bytes), **latency}


def _write_card(work: Work, made: Promotion, choice: Choice, test: Predictions, tags: Mapping[str, str]) -> str:
    run = work.client.get_run(choice.run_id)
    base = make_base_url(work.places.store.tracking_uri)
    facts = Facts(
        name=made.name,
        trial=choice.trial,
        source=choice.source,
        how=choice.how,
        run_id=choice.run_id,
        evidence_url=f"{base}/#/experiments/{work.study.experiment_id}/runs/{made.run_id}",
        metric=choice.metric,
        holdout=choice.holdout,
        refit=choice.refit,
        as_searched=choice.as_searched,
        note=choice.note,
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
