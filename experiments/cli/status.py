"""`tailor status STUDY`: how far a study is, and its leaderboard."""

from __future__ import annotations

import click

from .common import json_option, mended_if_killed, next_command, open_store, print_json, store_option, study_in


@click.command("status")
@click.argument("study")
@click.option("--all", "whole", is_flag=True, help="Show every trial.")
@json_option
@store_option
def command(study: str, whole: bool, as_json: bool, store: str | None) -> None:
    """Show how far STUDY is, and its trials best first."""
    from collections import Counter

    from ..tracking import ui_links
    from ..tracking.leaderboard import goal_of, rows
    from ..tracking.reader import recorded_spec, state_of
    from .leaderboard import MOST, plain_state, print_leaderboard

    place, client = open_store(store)
    experiment_id, run = study_in(client, study)
    goal, spec = goal_of(run), recorded_spec(client, run)
    run, mended = mended_if_killed(client, (experiment_id, run), place)
    if as_json:
        print_json(plain_state(place, client, (experiment_id, run), spec))
        return
    if mended:
        click.echo("\n".join(f"mended: {line}" for line in mended))
    trials = rows(client, experiment_id, goal)
    counts = Counter(row.status for row in trials)
    print_leaderboard(spec.name, goal, trials, len(trials) if whole else MOST)
    told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "no trial yet"
    click.echo(f"{told}, of {spec.search.trials}; {state_of(run)}")
    url = ui_links.study_url(ui_links.base_url(place.tracking_uri), experiment_id)
    click.echo(f"Compare (with `{next_command('ui', spec.name)}`): {url}")
