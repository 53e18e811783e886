"""`tailor lr-range STUDY`: a learning-rate range test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .hints import format_next
from .options import data_option, json_option, name_option, set_option, store_option
from .screen import keep_stdout_for_json, print_json
from .stores import store_at

if TYPE_CHECKING:
    from ..coordinator.lr_range import RateTest
    from ..store import Store

LOW, HIGH, STEPS = 1e-6, 1.0, 200
FEWEST, MOST = 20, 10_000


@click.command("lr-range")
@click.argument("study")
@click.option("--low", type=float, default=LOW, show_default=True, metavar="X", help="The first learning rate.")
@click.option("--high", type=float, default=HIGH, show_default=True, metavar="X", help="The last one.")
@click.option("--steps", type=int, metavar="N", help=f"Train one step at each of N rates [{STEPS}].")
@click.option("--epochs", type=int, metavar="N", help="Train one epoch at each of N rates instead: slower, smoother.")
@click.option("--write", is_flag=True, help="Put the range into the study file, as [space] learning_rate.")
@name_option
@set_option
@json_option
@store_option
@data_option
def command(study: str, as_json: bool, write: bool, store: str | None, data: Path | None, **given: Any) -> None:
    """Train the model of STUDY's first point while its learning rate rises, and see where the loss falls fastest.

    Suggests a rate to begin with and a range to search, draws the curve, and records both as a run of the study's experiment.
    """
    from rich.console import Console

    from ...models.training.rate_curve import RatePlan
    from ...search.errors import StudyError
    from ..coordinator.display import open_screen
    from ..coordinator.lr_range import run_rate_test
    from ..errors import RunError
    from ..planning.study_file import read_study
    from ..planning.write_rate import find_writable, write_range
    from ..system.forkserver import loading

    plan = RatePlan(*_check_rates(given["low"], given["high"]), *_check_points(given["steps"], given["epochs"]))
    path = find_writable(study) if write else None
    spec = read_study(study, given["settings"], given["name"])
    place, problem = store_at(store), ""
    with keep_stdout_for_json(as_json), loading(), place.reserved(), open_screen(Console(stderr=as_json)) as screen:
        found = run_rate_test(spec, place, data, plan, screen)
        if path is not None and not found.compiled:
            try:
                write_range(path, found.advice)
            except OSError as error:  # what was measured is shown all the same
                problem = f"--write: {path} cannot be written ({error.strerror}); put the range there yourself."
            except StudyError as error:
                problem = f"--write: {path} stays as it was. With the range it would not be valid: {error}"
    if as_json:
        from dataclasses import asdict

        print_json(asdict(found))
    else:
        _show(found, place, None if problem else path, study, given["name"], given["settings"])
    if problem:
        raise RunError(problem)


def _check_rates(low: float, high: float) -> tuple[float, float]:
    from ..errors import InputError

    if not 0 < low < high <= 100:
        raise InputError(f"--low, --high: expected 0 < low < high <= 100, got {low:g} and {high:g}.")
    return low, high


def _check_points(steps: int | None, epochs: int | None) -> tuple[int, bool]:
    from ..errors import InputError

    if steps is not None and epochs is not None:
        raise InputError("--steps, --epochs: give one of them, not both.")
    option, points = ("--steps", STEPS if steps is None else steps) if epochs is None else ("--epochs", epochs)
    if not FEWEST <= points <= MOST:
        raise InputError(f"{option}: expected {FEWEST} to {MOST} rates, got {points}.")
    return points, epochs is not None


def _show(found: RateTest, place: Store, path: Path | None, study: str, name: str | None, settings: Sequence[str]) -> None:
    from ...search.space.describe import describe_value
    from ..tracking.ui_links import make_base_url

    advice, curve = found.advice, found.curve
    values = describe_value({name: value for name, value in found.values.items() if name != "precision"})
    click.echo(f"Trained with {values or 'the defaults'}.")
    click.echo(f"Suggested learning rate: {advice.rate:g}, where the loss falls fastest.")
    click.echo(f"Range to search: {advice.low:g} to {advice.high:g}, where the loss is lowest.")
    if found.diverged:
        click.echo(f"At {curve.rates[-1]:.2g} the loss diverged, and the test ended.")
    address = f"{make_base_url(place.tracking_uri)}/#/experiments/{found.experiment_id}/runs/{found.run_id}"
    served = "" if place.served else f" (`{format_next('ui')}` serves it)"
    click.echo(f"Recorded: {address}/artifacts/lr_range.png{served}")
    entry = f"learning_rate = {{ low = {advice.low:g}, high = {advice.high:g}, log = true, default = {advice.rate:g} }}"
    if found.compiled:
        click.echo(f"The model is compiled with its own optimizer: set the rate, {advice.rate:g}, in its code.")
        return
    if path is None:
        click.echo(f"For learning_rate, in [space] of the study file or where its space is declared: {entry}")
        return
    click.echo(f"Written to {path}: {entry}")
    more = [*([] if name is None else ["--name", name]), *(word for one in settings for word in ("--set", one))]
    if found.outdated:
        more.append("--fresh")
        click.echo(f"{found.study} was searched with another range: --fresh keeps that under another name, and begins anew.")
    click.echo(f"Next:  {format_next('search', study, *more)}")
