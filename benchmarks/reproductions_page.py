"""The log of reproductions.py, and docs/reproductions.md made of it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import markdown

LOG = Path(__file__).resolve().parent / "measured" / "reproductions.jsonl"
REPORTED: dict[str, dict[str, float]] = {
    "mlp-512-128": {"test_accuracy": 0.8764},
    "mlp-4-4-4": {"train_accuracy": 0.8171, "val_accuracy": 0.803},
    "cnn-32-64-64": {"test_accuracy": 0.90, "test_loss": 0.30},
    "mlp-512-256-128": {"train_accuracy": 0.9369, "val_accuracy": 0.9105, "test_accuracy": 0.9030},
}
NAMES = {
    "train_accuracy": "training accuracy",
    "val_accuracy": "validation accuracy",
    "test_accuracy": "test accuracy",
    "test_loss": "test loss",
}
PAGE = """# Reproductions

Four networks that people wrote about, trained again on Fashion-MNIST by the studies of their names that Tailor ships, beside what
their authors reported; then each one's family, searched by Tailor for as long as one such training takes with `model.fit`.
Made by `benchmarks/reproductions.py`, each study on one machine of two cores; the last one: {machine}
{lacking}
## As described

Three seeds each: the mean, and the standard deviation over seeds. Training and validation accuracy are those of the epoch that a
trial keeps, by its validation accuracy; training accuracy is counted during the epoch, dropout and all, as Keras does.
`cnn-32-64-64` and `mlp-512-256-128` were first searched as their studies say, and the best point was trained anew.

{described}

The authors' cuts of the images and their seeds are not known, and each reported one run.

## Searched in the time of one training

`model.fit` trains the described network once, on both cores, for its epochs. A search gets the same wall clock, from its command
to the Ctrl-C that ends it; its best trial by validation accuracy counts. The difference is to the described network's mean over
its seeds, above.

{searched}

{families}
"""
FAMILIES = """The family of the dense networks is the shipped study `fashion-mlp`, that of the convolutional one `fashion-cnn`
with at most 4 epochs a trial: of its own 12, one training's time ends no trial. Of `mlp-4-4-4` only the learning rate, its
schedule, the batch size, batch normalisation and the activation are searched: its layers stay 4 wide. `model.fit` of
`cnn-32-64-64` and of `mlp-512-256-128` trains the point that a search found before, whose time is not counted here."""


@dataclass(frozen=True)
class Entry:
    """A part that was made: on which machine, of which study, a seed, a fit or a search, its figures, and the point."""

    machine: str
    study: str
    kind: str
    figures: dict[str, float]
    point: dict[str, Any]


def read() -> list[Entry]:
    """The log, oldest first."""
    return [Entry(**json.loads(line)) for line in LOG.read_text().splitlines()] if LOG.exists() else []


def page(machine: str) -> str:
    """The page, of all that the log has."""
    entries = read()
    lacking = [f"`{study}`" for study in REPORTED if not any(e.study == study and e.kind == "search" for e in entries)]
    note = f"\nNot made yet: {', '.join(lacking)}.\n" if lacking else ""
    return PAGE.format(machine=machine, lacking=note, described=described(entries), searched=searched(entries), families=FAMILIES)


def described(entries: Sequence[Entry]) -> str:
    """A row for each reported figure, and one for the test accuracy where none was reported."""
    rows = []
    for study, reported in REPORTED.items():
        seeds = [entry.figures for entry in entries if (entry.study, entry.kind) == (study, "seed")]
        for name in {**reported, "test_accuracy": 0} if seeds else ():
            ours = [figures[name] for figures in seeds]
            said = _figure(name, reported[name]) if name in reported else "–"
            rows.append([f"`{study}`", NAMES[name], said, f"{_figure(name, statistics.mean(ours))} ± {_spread(name, ours)}"])
    return markdown(["study", "figure", "reported", "here"], rows)


def searched(entries: Sequence[Entry]) -> str:
    """A row for each search."""
    rows = []
    for study in REPORTED:
        of = [entry for entry in entries if entry.study == study]
        seeds = [entry.figures["test_accuracy"] for entry in of if entry.kind == "seed"]
        fits = {entry.machine: entry.figures for entry in of if entry.kind == "fit"}
        for entry in of:
            if entry.kind == "search":
                rows.append(_search_row(study, entry.figures, fits[entry.machine], statistics.mean(seeds)))
    head = ["study", "`model.fit`, seconds", "its test accuracy", "search, seconds", "its best trial: test accuracy"]
    return markdown([*head, "parameters", "difference, points"], rows)


def _search_row(study: str, found: Mapping[str, float], fit: Mapping[str, float], mean: float) -> list[str]:
    return [
        f"`{study}`",
        f"{fit['seconds']:.0f}",
        _figure("test_accuracy", fit["test_accuracy"]),
        f"{found['seconds']:.0f}",
        _figure("test_accuracy", found["test_accuracy"]),
        f"{found['parameters']:,.0f}",
        f"{100 * (found['test_accuracy'] - mean):+.2f}",
    ]


def _figure(name: str, value: float) -> str:
    return f"{value:.3f}" if name.endswith("loss") else f"{100 * value:.2f} %"


def _spread(name: str, values: Sequence[float]) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{spread:.3f}" if name.endswith("loss") else f"{100 * spread:.2f}"
