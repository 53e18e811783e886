"""The house: one namespace, which room and which folder may import which, and that everything says in one line what it is."""

from __future__ import annotations

import ast
import configparser
import graphlib
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailor.experiments.cli.table import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
# Each room's folders and loose files, from the top down: what stands on a line imports from the lines below it alone.
LAYERS = {
    "search": (("analysis",), ("engines",), ("study",), ("space",), ("references",), ("errors",)),
    "models": (
        ("keras_tuner",),
        ("reads",),
        ("factory",),
        ("factories", "compiled", "ensemble"),
        ("interface",),
        ("outputs",),
        ("training",),
        ("references", "beginnings"),
        ("errors",),
    ),
    "experiments": (
        ("cli", "api", "deployment"),
        ("compression",),
        ("promotion", "export", "maintenance", "serving"),
        ("coordinator",),
        ("planning", "registry", "reports"),
        ("tracking", "workers"),
        ("trials", "store"),
        ("datasets",),
        ("system",),
        ("errors",),
    ),
}
MAY_IMPORT = {"search": set(), "models": set(), "experiments": {"search", "models"}}
FORBIDDEN = {
    "search": {"tensorflow", "keras", "mlflow", "distributed", "dask"},
    "models": {"optuna", "keras_tuner", "mlflow", "distributed", "dask"},
    "experiments": {"optuna", "keras_tuner"},
}
KERAS_TUNER = "models/keras_tuner/hypermodel.py"  # the one file of its room that knows it
FILES = {path: path.relative_to(ROOT).parts for room in LAYERS for path in sorted((ROOT / room).rglob("*.py"))}
HEAVY = {"tensorflow", "keras", "mlflow", "optuna", "distributed", "numpy", "matplotlib", "sklearn", "rich", "pandas"}


def named(path: Path) -> Iterator[tuple[str, ...]]:
    """Every import of a file, wherever it stands in it, as the parts of an absolute name; ours begin with "tailor"."""
    parts = FILES[path]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ("tailor", *parts[:-1])
            home = package[: len(package) - node.level + 1] if node.level else ()
            stem = (*home, *(node.module.split(".") if node.module else ()))
            yield from ((*stem, alias.name) for alias in node.names)


def target(name: tuple[str, ...]) -> Path | None:
    """Our file that an import leads to: a module, a package, or the one that defines the name."""
    for end in (len(name), len(name) - 1):
        place = ROOT.joinpath(*name[1:end])
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            if path in FILES:
                return path
    return None


def unit(path: Path) -> str:
    """The folder of its room, or the loose file, that a file belongs to."""
    return FILES[path][1].removesuffix(".py")


ARROWS = {
    path: sorted({found for name in named(path) if name[0] == "tailor" and (found := target(name)) is not None}) for path in FILES
}
INSIDE = [path for path, parts in FILES.items() if parts[1] != "__init__.py"]


def label(path: Path) -> str:
    return "/".join(FILES[path])


@pytest.mark.parametrize("path", FILES, ids=label)
def test_a_file_imports_what_its_room_may(path: Path) -> None:
    room = FILES[path][0]
    names = list(named(path))
    allowed = {"keras_tuner"} if label(path) == KERAS_TUNER else set()
    assert not {name[0] for name in names} & FORBIDDEN[room] - allowed
    assert {name[1] for name in names if name[0] == "tailor"} <= {room} | MAY_IMPORT[room]


@pytest.mark.parametrize("path", INSIDE, ids=label)
def test_arrows_between_folders_point_down(path: Path) -> None:
    room = FILES[path][0]
    floors = {name: floor for floor, names in enumerate(LAYERS[room]) for name in names}
    up = [
        label(found)
        for found in ARROWS[path]
        if FILES[found][0] == room and unit(found) != unit(path) and floors[unit(found)] <= floors[unit(path)]
    ]
    assert not up


@pytest.mark.parametrize("room", LAYERS)
def test_every_folder_has_its_line(room: str) -> None:
    found = {unit(path) for path in INSIDE if FILES[path][0] == room}
    assert sorted(name for names in LAYERS[room] for name in names) == sorted(found)


def test_no_files_import_each_other_in_a_circle() -> None:
    graph = {label(path): [label(found) for found in arrows if found != path] for path, arrows in ARROWS.items()}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError with the circle


def test_the_arrows_are_seen() -> None:
    counted: dict[str, int] = defaultdict(int)
    for path, arrows in ARROWS.items():
        counted[FILES[path][0]] += len(arrows)
    assert counted["experiments"] > 150 and counted["search"] > 40 and counted["models"] > 20


@pytest.mark.parametrize("path", [*FILES, *sorted((ROOT / "tailor").glob("*.py"))], ids=lambda p: str(p.relative_to(ROOT)))
def test_every_file_says_what_it_is(path: Path) -> None:
    assert (ast.get_docstring(ast.parse(path.read_text())) or "").strip()


def test_top_level_is_what_the_users_asked_for() -> None:
    for name in ("search", "models", "experiments", "tests", "mlruns", "setup.cfg", "README.md"):
        assert (ROOT / name).exists()


def test_what_is_installed_is_listed() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = setup["options"]["packages"].split()
    places = dict(line.split(" = ") for line in setup["options"]["package_dir"].strip().splitlines())
    assert places == {"tailor": "tailor", **{f"tailor.{room}": room for room in LAYERS}}
    assert sorted(listed) == sorted(
        ["tailor", *(".".join(("tailor", *parts[:-1])) for parts in FILES.values() if parts[-1] == "__init__.py")]
    )
    assert (ROOT / "tailor" / "py.typed").is_file() and "py.typed" in setup["options.package_data"]["tailor"]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from tailor.experiments.cli import run; code = run(['--help']); "
        "print(code, sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    code, _, modules = done.stderr.partition(" ")
    assert code == "0"
    assert not HEAVY & set(ast.literal_eval(modules))
    for command in COMMANDS:
        assert command in done.stdout


def test_coordinator_stays_free_of_tensorflow() -> None:
    code = (
        "import sys, tailor.experiments.coordinator.session, tailor.experiments.promotion.promote; "
        "print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    assert f"tailor {command}" in (ROOT / "docs" / "commands.md").read_text()


def test_contributors_find_every_folder() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = {tuple(place.split("/")) for place in re.findall(r"`((?:search|models|experiments)/\w+)/`", page)}
    units = {(room, name) for room, layers in LAYERS.items() for names in layers for name in names}
    folders = {(room, name) for room, name in units if (ROOT / room / name).is_dir()}
    assert named - {("experiments", "studies")} == folders


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.name)
def test_what_a_benchmark_imports_of_ours_is_there(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tailor."):
            place = ROOT.joinpath(*str(node.module).split(".")[1:])
            file = place.with_suffix(".py") if place.with_suffix(".py").is_file() else place / "__init__.py"
            for alias in node.names:
                assert re.search(rf"\b{alias.name}\b", file.read_text()) or (place / f"{alias.name}.py").is_file(), alias.name
