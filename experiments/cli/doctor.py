"""`tailor doctor`: check the installation and say what to repair."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from ..system.redact import mask_passwords
from .options import data_option, json_option, store_option
from .screen import print_json, working
from .stores import store_at

PACKAGES = ("tensorflow", "keras", "optuna", "mlflow", "distributed", "numpy", "scikit-learn")
ROOMS = ("search", "models", "experiments")


@click.command("doctor")
@json_option
@store_option
@data_option
def command(as_json: bool, store: str | None, data: Path | None) -> int:
    """Check the installation: versions, the folder of each package, the store and its servers, the data, the machine."""
    with working("checking the installation, the store and the machine"):
        findings = [*_python(), *_rooms(), *_store(store), *_data(data), *_machine()]
        warnings = [*_shadows()]
    if as_json:
        found_by_name = {what: {"found": found, "repair": repair} for what, found, repair in findings}
        print_json(found_by_name | ({"warnings": warnings} if warnings else {}))
    else:
        for warning in warnings:
            click.echo(f"WARN {warning}")
        for what, found, repair in findings:
            click.echo(f"{'ok  ' if repair is None else 'FIX '} {what}: {found}" + (f" → {repair}" if repair else ""))
    return int(any(repair for _, _, repair in findings))


Finding = tuple[str, str, str | None]


def _python() -> Iterator[Finding]:
    right = sys.version_info >= (3, 11)
    yield "python", f"{platform.python_version()} at {sys.executable}", None if right else "Tailor needs Python 3.11 or later"
    for name in PACKAGES:
        try:
            yield name, importlib.metadata.version(name), None
        except importlib.metadata.PackageNotFoundError:
            yield name, "missing", "run `pip install tailor-hpo` again, or `make install` in a clone"


def _rooms() -> Iterator[Finding]:
    for name in ("tailor", *(f"tailor.{room}" for room in ROOMS)):
        spec = importlib.util.find_spec(name)
        yield name, str(Path(spec.origin).resolve().parent if spec and spec.origin else None), None


def _shadows() -> Iterator[str]:
    from ..system.import_path import find_shadows

    for name in find_shadows(Path.cwd()):
        yield (
            f"{name} in the current folder has the name of an installed module: Tailor imports the installed one, "
            "your scripts and notebooks here import the file → rename it"
        )


def _store(folder: str | None) -> Iterator[Finding]:
    store = store_at(folder)
    parent = next(p for p in (store.root, *store.root.parents) if p.exists())
    writable = os.access(parent, os.W_OK)
    yield "store", f"{store.root}" + ("" if store.exists else " (new)"), None if writable else f"you may not write to {parent}"
    yield _ask("tracking", store.tracking_uri)
    yield _ask("studies", store.optuna_url)
    free = shutil.disk_usage(parent).free / 1e9
    yield "disk", f"{free:.1f} GB free", None if free > 1 else "expected 1 GB free; make room, or name another --store"


def _ask(what: str, address: str) -> Finding:
    """The address without a password; a server at it is asked whether it answers. A file's is not: the folder was looked at."""
    shown = mask_passwords(address)
    if address.startswith("sqlite"):  # before the import below, which takes seconds
        return what, shown, None
    from ..tracking import question

    if not question.is_server(address):
        return what, shown, None
    answer = question.ask(address, question.MLFLOW if what == "tracking" else question.OPTUNA)
    return what, f"{shown} {answer.found}", answer.repair


def _data(data: Path | None) -> Iterator[Finding]:
    from ..datasets import idx

    if data is None:
        yield "data", "TAILOR_DATA is not set; published data sets are downloaded by Keras", None
        return
    found = [name for name in ("fashion-mnist", "mnist") if not idx.list_missing(data / name)]
    repair = (
        None
        if found or not idx.list_missing(data)
        else "it holds no data set: expected DIR/fashion-mnist/train-images-idx3-ubyte.gz"
    )
    yield "data", f"{data} holds {', '.join(found) or 'none'}", repair


def _machine() -> Iterator[Finding]:
    from ..system.cpus import count_cores

    yield "cores", f"{count_cores()} (as many workers by default)", None
    yield "browser tests", shutil.which("chromium") or "no chromium; they are skipped", None
