"""`tailor report STUDY`: a study's report, one page that opens offline."""

from __future__ import annotations

from pathlib import Path

import click

from .common import find_recorded, open_store, repair_if_killed, store_option


@click.command("report")
@click.argument("study")
@click.option("-o", "--out", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="The file [STUDY.html].")
@store_option
def command(study: str, out: Path | None, store: str | None) -> None:
    """Write the report of STUDY: what it searched, the best trials, what mattered, what to try next."""
    from ..errors import InputError
    from ..reports.report import make

    opened, client = open_store(store)
    recorded, repaired = repair_if_killed(find_recorded(client, study), opened)
    for line in repaired:
        click.echo(f"repaired: {line}")
    place = out or Path(f"{recorded.name}.html")
    report = make(recorded)
    try:
        place.write_text(report.page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"--out: {place} cannot be written ({error.strerror}); name another file.") from error
    click.echo(f"{place.resolve()}: open it in a browser; it needs no network")
