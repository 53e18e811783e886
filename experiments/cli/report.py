"""`tailor report STUDY…`: a study's report, or several studies side by side, as one page that opens offline."""

from __future__ import annotations

from pathlib import Path

import click

from .options import UserPath, store_option
from .screen import working
from .stores import find_recorded, open_store, repair_if_killed


@click.command("report")
@click.argument("names", metavar="STUDY...", nargs=-1, required=True)
@click.option("-o", "--out", metavar="FILE", type=UserPath(dir_okay=False), help="The file [STUDY.html].")
@store_option
def command(names: tuple[str, ...], out: Path | None, store: str | None) -> None:
    """Write the report of STUDY: the best trial, what mattered, what to try next. Of several: side by side."""
    from ..errors import InputError

    repaired: list[str] = []
    with working(f"drawing the report of {', '.join(names)}"):
        opened, client = open_store(store)
        from ..reports.report import make
        from ..reports.studies import make_page

        found = {study.name: study for study in (find_recorded(client, each) for each in names)}
        if len(found) < len(names):
            raise InputError(f"STUDY: {' '.join(names)} names the study {next(iter(found))!r} twice; name different ones.")
        for name, study in found.items():
            found[name], lines = repair_if_killed(study, opened)
            repaired += lines
        place = out or Path(f"{'-'.join(found)}.html")
        recorded = list(found.values())
        page = make(recorded[0]).page if len(recorded) == 1 else make_page(recorded)
    for line in repaired:
        click.echo(line)
    try:
        place.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"--out: {place} cannot be written ({error.strerror}); name another file.") from error
    click.echo(f"{place.resolve()}: open it in a browser; it needs no network")
