"""Text is UTF-8 whatever the locale and the terminal: no call of ours leaves its encoding to the machine."""

from __future__ import annotations

import ast
import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from tailor.experiments.cli import run
from tailor.experiments.cli.exit_codes import WRONG_INPUT
from tailor.experiments.cli.screen import print_json
from tailor.experiments.coordinator.display import open_screen

ROOT = Path(__file__).resolve().parents[1]
FILES = [path for room in ("experiments", "models", "search", "tailor") for path in sorted((ROOT / room).rglob("*.py"))]


def unnamed(source: str) -> list[str]:
    """The calls that read or write text in the locale's encoding."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [ast.unparse(call) for call in calls if leaves_it_open(call)]


def leaves_it_open(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    given = {keyword.arg for keyword in call.keywords}
    if "encoding" in given:
        return False
    if given & {"text", "universal_newlines"}:  # of a subprocess
        return True
    if name in ("open", "NamedTemporaryFile", "TemporaryFile", "fdopen"):
        values = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
        modes = [
            v.value for v in values if isinstance(v, ast.Constant) and isinstance(v.value, str) and set(v.value) <= set("rwaxbt+")
        ]
        opens_text = name == "open" and (isinstance(call.func, ast.Name) or not call.args)
        return "b" not in modes[0] if modes else opens_text
    return name in ("read_text", "write_text", "TextIOWrapper")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_text_is_utf8(path: Path) -> None:
    assert unnamed(path.read_text(encoding="utf-8")) == []


def test_what_is_looked_for_is_found() -> None:
    wrong = (
        "p.read_text(); p.write_text(x); p.open('a+'); open(p); p.open(); open(p, mode='w'); run(c, text=True); fdopen(f, 'w')"
    )
    right = "p.read_text(encoding='utf-8'); p.open('rb'); open(p, 'wb'); Image.open(p); run(c, encoding='utf-8'); fdopen(f, 'wb')"
    assert len(unnamed(wrong)) == 8 and unnamed(right) == []


def latin(monkeypatch: pytest.MonkeyPatch, name: str) -> io.TextIOWrapper:
    """Standard output or error as cron may give it."""
    stream = io.TextIOWrapper(io.BytesIO(), "latin-1", write_through=True)
    monkeypatch.setattr(sys, name, stream)
    return stream


def read(stream: io.TextIOWrapper) -> str:
    return stream.buffer.getvalue().decode("latin-1")  # type: ignore[attr-defined]


def test_what_a_terminal_cannot_show_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout, stderr = latin(monkeypatch, "stdout"), latin(monkeypatch, "stderr")
    assert run(["check", "né–☃"]) == WRONG_INPUT
    assert "no such name 'né??'" in read(stderr) and "Traceback" not in read(stderr)
    print_json({"label": "né☃"})  # nothing is lost here
    assert json.loads(read(stdout)) == {"label": "né☃"}


def test_a_search_from_python_says_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = latin(monkeypatch, "stdout")
    with open_screen(Console(file=stream)) as shown:
        shown.line("trial 1: né – ☃")
    assert read(stream) == "trial 1: né ? ?\n"
