"""Ctrl-C, SIGTERM and a closed terminal: once, twice, at a moment when Python drops what is raised, and in a host's process."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import TAILOR

from tailor.experiments.cli import env, run
from tailor.experiments.system.signals import Ending, stopping


@pytest.fixture
def command() -> Iterator[None]:
    """As in a command's process."""
    with Ending().installed():
        yield


@pytest.mark.usefixtures("command")
def test_the_first_signal_stops_and_the_second_interrupts() -> None:
    stopped: list[bool] = []
    with pytest.raises(KeyboardInterrupt), stopping(lambda: stopped.append(True)) as caught:
        signal.raise_signal(signal.SIGTERM)
        assert stopped == [True]
        assert caught == [signal.SIGTERM]
        signal.raise_signal(signal.SIGINT)
    assert stopped == [True]
    assert caught == [signal.SIGTERM, signal.SIGINT]


@pytest.mark.usefixtures("command")
def test_a_second_signal_that_falls_into_a_finalizer_is_neither_lost_nor_shown(capfd: pytest.CaptureFixture[str]) -> None:
    class Collected:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), stopping(lambda: None):
        signal.raise_signal(signal.SIGINT)
        collected = Collected()
        del collected
        time.sleep(10)  # as the coordinator waits; the signal that is sent again ends it
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_exit_code_is_the_last_signals(monkeypatch: pytest.MonkeyPatch, number: int, code: int) -> None:
    def twice(**_: object) -> None:
        with stopping(lambda: None):
            signal.raise_signal(number)
            signal.raise_signal(number)

    monkeypatch.setattr(env.command, "callback", twice)
    assert run(["env"]) == code


def test_a_command_that_no_search_runs_in_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def ends(**_: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(env.command, "callback", ends)
    assert run(["env"]) == 143
    assert capfd.readouterr().err == "tailor: terminated\n"


def test_what_an_import_makes_of_a_signal_is_the_signal(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def imports(**_: object) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            raise ImportError("cannot load module more than once per process") from error

    monkeypatch.setattr(env.command, "callback", imports)
    assert run(["env"]) == 130
    assert capfd.readouterr().err == "tailor: interrupted\n"


def test_handlers_and_hook_are_what_they_were_afterwards() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers], sys.unraisablehook
    with Ending().installed(), stopping(lambda: None):
        assert signal.getsignal(signal.SIGINT) is not before[0][0]
        assert sys.unraisablehook is not before[1]
    assert ([signal.getsignal(number) for number in numbers], sys.unraisablehook) == before


def test_from_python_ctrl_c_alone_is_ours_and_only_where_it_is_pythons() -> None:
    hook, heard = sys.unraisablehook, []

    def own(number: int, frame: types.FrameType | None) -> None:
        heard.append(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    plain = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with stopping(lambda: heard.append("stop")) as caught:
            assert {number: signal.getsignal(number) for number in before} == before
            assert sys.unraisablehook is hook
            signal.raise_signal(signal.SIGINT)
        assert (heard, caught) == (["stop"], [signal.SIGINT])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        signal.signal(signal.SIGINT, own)
        with stopping(lambda: heard.append("stop")) as caught:
            signal.raise_signal(signal.SIGINT)
        assert (heard, caught) == (["stop", signal.SIGINT], [])
    finally:
        signal.signal(signal.SIGINT, plain)


def test_under_nohup_a_closed_terminal_is_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Ending().installed(), stopping(lambda: None) as caught:
            signal.raise_signal(signal.SIGHUP)
        assert caught == []
    finally:
        signal.signal(signal.SIGHUP, before)


ASKED = """
import sys
from tailor.experiments.cli import env, main
def wait(**_):
    print("waits", flush=True)
    sys.stdin.readline()
env.command.callback = wait
main(["env"])
"""


def test_a_terminal_that_is_closed_ends_the_command() -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", ASKED], stdin=subprocess.PIPE, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    while b"\n" not in said:  # the terminal may hand out the line in pieces, and a write to a closed one fails
        said += os.read(ours, 100)
    assert b"waits" in said
    os.close(ours)
    process.send_signal(signal.SIGHUP)  # the system sends it to what the terminal was of
    assert process.wait(60) == 129


@pytest.mark.parametrize(("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")])
def test_a_search_that_is_still_starting_ends_in_one_line(tmp_path: Path, number: int, code: int, word: str) -> None:
    search = subprocess.Popen(
        [str(TAILOR), "search", "quickstart"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert search.stdout is not None and "quickstart" in search.stdout.readline()  # what workers are forked from is loading
    os.killpg(search.pid, number)  # as a terminal does
    _, said = search.communicate(timeout=60)
    assert (search.returncode, said) == (code, f"tailor: {word}\n")
    assert not list(tmp_path.iterdir())
