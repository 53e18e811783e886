"""`tailor status STUDY`: how far a study is, and its leaderboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from experiments.cli.common import json_option, next_command, open_store, print_json, store_option, study_in

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from experiments.store import Store


@click.command("status")
@click.argument("study")
@click.option("--all", "whole", is_flag=True, help="Show every trial.")
@json_option
@store_option
def command(study: str, whole: bool, as_json: bool, store: str | None) -> None:
    """Show how far STUDY is, and its trials best first."""
    from collections import Counter

    from experiments import links
    from experiments.cli.leaders import MOST, print_leaderboard
    from experiments.leaderboard import goal_of, rows
    from experiments.recorded import recorded_spec

    place, client = open_store(store)
    experiment_id, run = study_in(client, study)
    goal, spec = goal_of(run), recorded_spec(client, run)
    if run.info.status == "RUNNING" and (mended := _mended(client, (experiment_id, run), place)):
        run = client.get_run(run.info.run_id)
        if not as_json:
            click.echo("\n".join(f"mended: {line}" for line in mended))
    trials = rows(client, experiment_id, goal)
    counts = Counter(row.status for row in trials)
    url = links.study_url(links.base_url(place.tracking_uri), experiment_id)
    if as_json:
        state = {"study": spec.name, "run": run.info.run_id, "status": run.info.status, "trials": spec.search.trials}
        print_json({**state, "counts": counts, "url": url, "leaderboard": [row.to_dict() for row in trials]})
        return
    print_leaderboard(spec.name, goal, trials, len(trials) if whole else MOST)
    told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "no trial yet"
    click.echo(f"{told}, of {spec.search.trials}; {_state(run)}")
    click.echo(f"Compare (with `{next_command('ui', spec.name)}`): {url}")


def _mended(client: MlflowClient, study: tuple[str, Run], store: Store) -> list[str]:
    """What was mended of a study whose search was killed; nothing where a search is running."""
    from experiments.errors import InputError
    from experiments.mending import mend

    try:
        return mend(client, study, store)
    except InputError:  # the lock is held: it runs
        return []


def _state(run: Run) -> str:
    if run.info.status == "RUNNING":
        return "running"
    return run.data.tags.get("tailor.ended", "its search was killed; the same `tailor search` goes on with it")
