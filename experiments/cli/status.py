"""`tailor status STUDY`: a study's progress and its leaderboard."""

from __future__ import annotations

import click

from .common import find_recorded, format_next, json_option, open_store, print_json, repair_if_killed, store_option


@click.command("status")
@click.argument("study")
@click.option("--all", "whole", is_flag=True, help="Show every trial.")
@json_option
@store_option
def command(study: str, whole: bool, as_json: bool, store: str | None) -> None:
    """Show the progress of STUDY, and its trials, best first."""
    from ..tracking.leaderboard import Overview, count_by_word, read_leaderboard, read_overview
    from .leaderboard import describe_state, print_leaderboard

    place, client = open_store(store)
    recorded, repaired = repair_if_killed(find_recorded(client, study), place)
    spec = recorded.read_spec()
    if as_json:
        print_json(describe_state(place, recorded, spec))
        return
    for line in repaired:
        click.echo(f"repaired: {line}")
    shown = Overview.of(read_leaderboard(recorded), None) if whole else read_overview(recorded)
    print_leaderboard(spec.name, recorded.goal, shown)
    total = f"{sum(shown.counts.values())} of {spec.search.trials} trials"
    state = "" if recorded.state == total else f"; {recorded.state}"
    click.echo(f"{total}: {count_by_word(shown.counts)}{state}")
    click.echo(f"Compare them in MLflow:  {format_next('ui', spec.name)}")
