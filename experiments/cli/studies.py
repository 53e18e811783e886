"""`tailor studies`: the shipped studies, and those in the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from .hints import format_next
from .options import json_option, store_option
from .screen import print_json, print_table, working
from .stores import find_word, store_at

if TYPE_CHECKING:
    from ..tracking.recorded import StudyRecord


@click.command("studies")
@json_option
@store_option
def command(as_json: bool, store: str | None) -> None:
    """List the shipped studies and those in the store."""
    with working("reading the studies"):
        from ...search.study.load import load
        from ..planning.resolve import list_shipped

        specs = [load(path) for path in list_shipped().values()]
        recorded = _recorded(store)
    plain = [
        {
            "study": spec.name,
            "dataset": spec.dataset,
            "model": spec.model,
            "sampler": spec.search.sampler.name,
            "trials": spec.search.trials,
            "max_epochs": spec.search.max_epochs,
            "searched": [parameter.name for parameter in spec.space.searched],
        }
        for spec in specs
    ]
    if as_json:
        print_json({"shipped": plain, "recorded": recorded})
        return
    columns = ["study", "dataset", "model", "sampler", "trials", "epochs", "searched"]
    cells = [[*(str(v) for v in list(row.values())[:-1]), str(len(row["searched"]) or "repeats")] for row in plain]  # type: ignore[arg-type]
    print_table("Shipped studies (tailor search STUDY)", columns, cells, spare=columns[1:])
    if recorded:
        rows = [[r["study"], r["status"], str(r["trials"]), r["best"]] for r in recorded]
        print_table("In the store (tailor status STUDY)", ["study", "status", "trials", "best"], rows)
    else:
        click.echo(f"No study in the store yet. Start with:  {format_next('search', 'quickstart')}")


def _recorded(folder: str | None) -> list[dict[str, str]]:
    store = store_at(folder)
    if not store.exists:
        return []
    from ..tracking.leaderboard import find_best, format_number, read_overview
    from ..tracking.local import read_local_studies

    studies: Sequence[StudyRecord] | None = read_local_studies(store)
    if studies is None:
        from ..tracking.reader import find_studies, open_client

        studies = find_studies(open_client(store))
    found = []
    for study in studies:
        shown = read_overview(study)
        metric, first = study.goal.first.metric, find_best(shown.top)
        best = "–" if first is None else f"{metric} {format_number(first.value, metric)}"
        word, trials = find_word(study, store), str(sum(shown.counts.values()))
        found.append({"study": study.name, "status": word, "trials": trials, "best": best})
    return found
