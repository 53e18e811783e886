"""`tailor status STUDY`: how far a study is, and its leaderboard."""

from __future__ import annotations

import click

from experiments.cli.common import json_option, open_store, print_json, store_option, study_in


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
    from experiments.leaderboard import objective_of, rows
    from experiments.recorded import recorded_spec

    place, client = open_store(store)
    experiment_id, run = study_in(client, study)
    objective, spec = objective_of(run), recorded_spec(run)
    trials = rows(client, experiment_id, objective)
    counts = Counter(row.status for row in trials)
    url = links.study_url(links.base_url(place.tracking_uri), experiment_id)
    if as_json:
        state = {"study": spec.name, "run": run.info.run_id, "status": run.info.status, "trials": spec.search.trials}
        print_json({**state, "counts": counts, "url": url, "leaderboard": [row.to_dict() for row in trials]})
        return
    print_leaderboard(spec.name, objective, trials, len(trials) if whole else MOST)
    told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "no trial yet"
    click.echo(f"{told}, of {spec.search.trials}; {run.data.tags.get('tailor.ended', 'running, or its search was killed')}")
    click.echo(f"Compare (with `tailor ui {spec.name}`): {url}")
