"""Commands that a message tells you to run: with the options of this call that say where everything is, and quoted."""

from __future__ import annotations

import importlib

import pytest
from conftest import Shell

from tailor.experiments.cli.hints import STORELESS, WITH_DATA, add_options, find_option
from tailor.experiments.cli.table import COMMANDS
from tailor.experiments.errors import write_command


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ("see `tailor status digits`.", [], "see `tailor status digits`."),
        ("see `tailor status digits`.", ["status", "x", "--store", "a b"], "see `tailor status digits --store 'a b'`."),
        ("see `tailor status digits`.", ["--store=s", "--data", "d"], "see `tailor status digits --store s`."),
        ("`tailor promote a --to b` does", ["--data", "d"], "`tailor promote a --to b --data d` does"),
        ('eval "$(tailor env)", then', ["--store", "s"], 'eval "$(tailor env --store s)", then'),
        ("`tailor check a.toml`, `tailor gc`", ["--store", "s"], "`tailor check a.toml`, `tailor gc --store s`"),
        ("`tailor pull a -o 'b (c)'` does", ["--store", "s"], "`tailor pull a -o 'b (c)' --store s` does"),
        ("`tailor gc --store s`", ["--store", "s"], "`tailor gc --store s`"),
        ("`tailor ui a`", ["--studies", "postgresql://me:secret@host/db"], "`tailor ui a --studies postgresql://me:***@host/db`"),
        ("a tailor of `suits`", ["--store", "s"], "a tailor of `suits`"),
    ],
)
def test_a_command_in_a_message_names_the_same_store(text: str, arguments: list[str], said: str) -> None:
    assert add_options(text, arguments) == said


def test_each_command_gets_only_the_options_that_it_takes() -> None:
    taken = {
        name: {one.name for one in importlib.import_module(f"tailor.experiments.cli.{name.replace('-', '_')}").command.params}
        for name in COMMANDS
    }
    assert {name for name, options in taken.items() if "store" not in options} == STORELESS
    assert {name for name, options in taken.items() if "data" in options} - {"doctor", "init"} == WITH_DATA


def test_the_last_value_of_an_option_counts() -> None:
    assert find_option("--store", ["--store", "a", "--store=b"]) == "b"
    assert find_option("--store", ["x", "--", "--store", "a"]) is None and find_option("--store", ["--store"]) is None


def test_a_name_with_spaces_is_quoted() -> None:
    assert write_command("status", "my study") == "`tailor status 'my study'`"


def test_an_error_names_the_store_that_it_is_about(recorded: Shell) -> None:
    store = str(recorded.folder / "mlruns")
    done = recorded("compare", "0123456789abcdef0123456789abcdef", "--store", store)
    hint = f"name another trial: `tailor compare STUDY:best STUDY:TRIAL --store '{store}'`."
    assert done.returncode == 2 and hint in done.stderr
