"""`tailor status STUDY`: a study's progress and its leaderboard."""

from __future__ import annotations

import click

from .hints import format_next
from .options import json_option, store_option
from .screen import print_json, working
from .stores import find_shown, is_taken_up


@click.command("status")
@click.argument("study")
@click.option("--all", "whole", is_flag=True, help="Show every trial.")
@click.option("--watch", is_flag=True, help="Follow the study on a terminal until it ends.")
@json_option
@store_option
def command(study: str, whole: bool, watch: bool, as_json: bool, store: str | None) -> None:
    """Show the progress of STUDY, and its trials, best first."""
    if watch and not as_json:
        from .watch import watch as follow

        follow(study, store)
    with working(f"reading study {study}"):
        from ...search.study.capabilities import count_trials
        from ..tracking.leaderboard import Overview, count_by_word, read_leaderboard, read_overview
        from .leaderboard import describe_state, print_leaderboard

        place, recorded, repaired = find_shown(store, study)
        spec = recorded.read_spec()
        plain = describe_state(place, recorded, spec) if as_json else None
        board = read_leaderboard(recorded) if whole else ()
        shown = Overview.of(board, None, recorded.list_deleted()) if whole else read_overview(recorded)
    if plain is not None:
        print_json(plain)
        return
    for line in repaired:
        click.echo(line)
    print_leaderboard(spec.name, recorded.goal, shown)
    begun = sum(shown.counts.values())
    total = f"{begun} of {count_trials(spec, begun)} trials"
    state = "a search begins, and resumes it" if is_taken_up(recorded, place) else recorded.state
    ended = "" if state == total or ("running" in shown.counts and recorded.running) else f"; {state}"
    click.echo(f"{total}: {count_by_word(shown.counts)}{ended}")
    name = spec.name if study.endswith(".toml") else study  # its experiment may have been renamed, in MLflow's pages
    click.echo(f"Compare them in MLflow:  {format_next('ui', name)}")
