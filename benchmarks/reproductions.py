"""What is written about four networks on Fashion-MNIST, trained again, and their families searched in one training's time.

TAILOR_DATA=DIR python benchmarks/reproductions.py [--only mlp-4-4-4,...] [--searches 3] [--out docs/reproductions.md]

Each part is noted in measured/reproductions.jsonl when it ends; started again, it makes what this machine lacks. Change nothing
in the checkout meanwhile: a running search imports some of its modules late.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tomlkit
from common import machine, this_machine
from reproductions_page import LOG, Entry, page, read

HERE = Path(__file__).resolve().parent
STUDIES = HERE.parent / "experiments" / "studies"
SEEDS = 3
TINY = {  # 4-4-4 stays what it is: only how it is trained is searched
    "learning_rate": {"low": 1e-3, "high": 3e-2, "log": True},
    "batch_size": {"choices": [32, 64, 128]},
    "batch_norm": [True, False],
    "activation": ["relu", "gelu"],
    "schedule": ["constant", "cosine", "one_cycle"],
}
Tables = dict[str, Any]


@dataclass(frozen=True)
class Family:
    """A described network, and the shipped study (or the space) that searches among its like."""

    study: str
    searched: str
    space: Mapping[str, Any] | None = None
    max_epochs: int | None = None  # of a trial, if one training's time would end none of the shipped study's


FAMILIES = (
    Family("mlp-512-128", "fashion-mlp"),
    Family("mlp-4-4-4", "mlp-4-4-4", TINY),
    Family("cnn-32-64-64", "fashion-cnn", max_epochs=4),
    Family("mlp-512-256-128", "fashion-mlp"),
)


def tables(name: str) -> Tables:
    """A shipped study's tables."""
    return tomllib.loads((STUDIES / f"{name}.toml").read_text())


def fixed(described: Tables, point: Mapping[str, Any]) -> Tables:
    """The described study with nothing searched: each trial is a new seed."""
    laid = copy.deepcopy(described)
    laid["study"]["name"] += "-seeds"
    laid["training"] |= point
    laid.pop("space", None)
    laid["search"] = {"sampler": "random", "pruner": "none", "trials": SEEDS, "max_epochs": described["search"]["max_epochs"]}
    return laid


def family(of: Family, described: Tables, seed: int) -> Tables:
    """The study that searches, on the described study's cut of the images, for as long as it is let."""
    laid = tables(of.searched)
    laid["study"]["name"] = f"{of.study}-family-{seed}"
    laid["data"] = described["data"]
    laid["search"] |= {"trials": 10_000, "seed": seed}
    if of.max_epochs is not None:
        laid["search"]["max_epochs"] = of.max_epochs
    if of.space is not None:
        laid["search"]["sampler"] = "tpe"
        laid["space"] = of.space
        laid["training"] = {key: value for key, value in laid["training"].items() if key not in of.space}
    return laid


def search(laid: Tables, folder: Path, seconds: float | None = None) -> float:
    """Search by the command line, and stop it with Ctrl-C after `seconds` of wall clock; how many it took in all."""
    file = folder / f"{laid['study']['name']}.toml"
    file.write_text(tomlkit.dumps(laid))
    begun = time.monotonic()
    command = [Path(sys.executable).with_name("tailor"), "search", file, "--store", folder / "mlruns"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        _, said = running.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        running.send_signal(signal.SIGINT)
        _, said = running.communicate()
    else:
        if running.returncode:
            raise SystemExit(f"{' '.join(map(str, command))} failed:\n{said}")
    return time.monotonic() - begun


def results(name: str, folder: Path, best: bool = False) -> Iterator[tuple[Any, float, float]]:
    """The complete trials whose model is kept (or the best one), each with its loss and accuracy on the test images."""
    import tailor
    from tailor.experiments.registry.files import fetch_saved_model, find_logged_models
    from tailor.experiments.tracking.reader import find_study, open_client
    from tailor.experiments.trials.saved_model import load_model

    result = tailor.open(name, store=folder / "mlruns")
    client = open_client(result.store)
    models = find_logged_models(find_study(client, name))
    for row in [result.best] if best else result.leaderboard():
        if row.trial in models:
            yield row, *score(load_model(fetch_saved_model(client, models[row.trial])))


def score(model: Any) -> tuple[float, float]:
    """Loss and accuracy on the test images."""
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    images, labels = load_test()
    return tuple(model.evaluate(images, labels, batch_size=500, verbose=0))


def load_test() -> tuple[Any, Any]:
    """The 10,000 test images and their labels."""
    from tailor.experiments.datasets.catalog import open_dataset

    test = open_dataset("fashion-mnist", Path(os.environ["TAILOR_DATA"])).test
    return test.images, test.labels


def best_point(of: Family, folder: Path) -> dict[str, Any]:
    """What the described study's own search finds best; nothing where it searches nothing."""
    described = tables(of.study)
    if "space" not in described:
        return {}
    import tailor

    search(described, folder)
    found = tailor.open(of.study, store=folder / "mlruns").best.params
    return {name: json.loads(str(found[name])) for name in described["space"]}


def fit_alone(laid: Tables, folder: Path) -> dict[str, float]:
    """One training by `model.fit` in a process of its own, on all cores: its wall clock, from the command to its end."""
    (folder / "fit.json").write_text(json.dumps(laid))
    begun = time.monotonic()
    command = [sys.executable, HERE / "reproductions_fit.py", folder / "fit.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"model.fit of {laid['study']['name']} failed:\n{done.stderr}")
    return {**json.loads(done.stdout.splitlines()[-1]), "seconds": time.monotonic() - begun}


def make(of: Family, searches: int) -> None:
    """Make what the log lacks of a family on this machine."""
    here = [entry for entry in read() if entry.machine == this_machine() and entry.study == of.study]
    described = tables(of.study)
    folder = Path(tempfile.gettempdir(), f"tailor-reproductions-{of.study}")  # kept until all is made: a killed search resumes
    folder.mkdir(exist_ok=True)
    seeds = [entry for entry in here if entry.kind == "seed"]
    if not seeds:
        laid = fixed(described, best_point(of, folder))
        search(laid, folder)
        for row, loss, accuracy in results(laid["study"]["name"], folder):
            training = {key: row.metrics[f"best_{key}"] for key in ("train_accuracy", "val_accuracy")}
            note(of, "seed", {**training, "test_accuracy": accuracy, "test_loss": loss}, laid["training"])
    laid = fixed(described, seeds[0].point if seeds else laid["training"])
    fits = [entry for entry in here if entry.kind == "fit"]
    seconds = fits[0].figures["seconds"] if fits else note(of, "fit", fit_alone(laid, folder)).figures["seconds"]
    for seed in range(sum(entry.kind == "search" for entry in here), searches):
        laid = family(of, described, seed)
        with tempfile.TemporaryDirectory() as anew:  # a search that resumed would take more time than it is given
            took = search(laid, Path(anew), seconds)
            row, loss, accuracy = next(results(laid["study"]["name"], Path(anew), best=True))
        figures = {"val_accuracy": row.value, "test_accuracy": accuracy, "test_loss": loss, "seconds": took}
        note(of, "search", {**figures, "parameters": row.metrics["parameters"]}, row.params)
    shutil.rmtree(folder)


def note(of: Family, kind: str, figures: Mapping[str, float], point: Mapping[str, Any] | None = None) -> Entry:
    """Put a part's figures into the log."""
    entry = Entry(this_machine(), of.study, kind, dict(figures), dict(point or {}))
    with LOG.open("a") as log:
        log.write(json.dumps(asdict(entry)) + "\n")
    print(of.study, kind, {name: round(value, 4) for name, value in figures.items()}, flush=True)
    return entry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="studies, with commas between")
    parser.add_argument("--searches", type=int, default=SEEDS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    for of in FAMILIES:
        if options.only is None or of.study in options.only.split(","):
            make(of, options.searches)
    text = page(machine("tensorflow", "keras"))
    print(text)
    if options.out:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
