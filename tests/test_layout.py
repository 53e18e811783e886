"""The house: which room may import which, what stays out of each, and that everything says in one line what it is."""

from __future__ import annotations

import ast
import configparser
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("search", "models", "experiments", "tailor")
FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
FORBIDDEN = {
    "search": {"models", "experiments", "tailor", "tensorflow", "keras", "mlflow", "distributed", "dask"},
    "models": {"search", "experiments", "tailor", "optuna", "keras_tuner", "mlflow", "distributed", "dask"},
    "experiments": {"tailor", "optuna", "keras_tuner"},
}
HEAVY = {"tensorflow", "keras", "mlflow", "optuna", "distributed", "numpy", "matplotlib", "sklearn", "rich", "pandas"}


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    plain = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    froms = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.partition(".")[0] for name in plain | froms}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_arrows_between_rooms_run_one_way(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    allowed = {"keras_tuner"} if path == ROOT / "models" / "hypermodel.py" else set()
    assert not imports(path) & FORBIDDEN.get(room, set()) - allowed


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_file_says_what_it_is(path: Path) -> None:
    assert (ast.get_docstring(ast.parse(path.read_text())) or "").strip()


def test_top_level_is_what_the_users_asked_for() -> None:
    for name in ("search", "models", "experiments", "tests", "mlruns", "setup.cfg", "README.md"):
        assert (ROOT / name).exists()


@pytest.mark.parametrize("room", ROOMS)
def test_type_checkers_take_every_rooms_types(room: str) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    shipped = setup["options.package_data"]
    assert (ROOT / room / "py.typed").is_file()
    assert "py.typed" in f"{shipped.get('*', '')}, {shipped.get(room, '')}"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from experiments.cli import run; code = run(['--help']); print(code, sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    code, _, modules = done.stderr.partition(" ")
    assert code == "0"
    assert not HEAVY & set(ast.literal_eval(modules))
    for command in COMMANDS:
        assert command in done.stdout


def test_coordinator_stays_free_of_tensorflow() -> None:
    code = "import sys, experiments.session, experiments.registry; print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    assert f"tailor {command}" in (ROOT / "README.md").read_text()
