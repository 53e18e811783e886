"""Ctrl-C and SIGTERM: once, twice, and at a moment when Python drops what is raised."""

from __future__ import annotations

import signal
import time

import pytest

from tailor.experiments.cli import env, run
from tailor.experiments.system.signals import stopping


def test_the_first_signal_stops_and_the_second_interrupts() -> None:
    stopped: list[bool] = []
    with pytest.raises(KeyboardInterrupt), stopping(lambda: stopped.append(True)) as caught:
        signal.raise_signal(signal.SIGTERM)
        assert stopped == [True]
        assert caught == [signal.SIGTERM]
        signal.raise_signal(signal.SIGINT)
    assert stopped == [True]
    assert caught == [signal.SIGTERM, signal.SIGINT]


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


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_exit_code_is_the_last_signals(monkeypatch: pytest.MonkeyPatch, number: int, code: int) -> None:
    def twice(**_: object) -> None:
        with stopping(lambda: None):
            signal.raise_signal(number)
            signal.raise_signal(number)

    monkeypatch.setattr(env.command, "callback", twice)
    assert run(["env"]) == code


def test_handlers_and_hook_are_what_they_were_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with stopping(lambda: None):
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
