"""How a command ends: its exit codes, and the last line on standard error."""

from __future__ import annotations

import signal
import sys

from ..system.signals import Interrupted

DONE, FAILED, WRONG_INPUT = 0, 1, 2
SAID: dict[int, str] = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "terminated: the terminal was closed",
}


def say_interrupted(error: BaseException | None) -> int:
    """Say that a signal ended the command. Returns its exit code."""
    number = error.number if isinstance(error, Interrupted) else signal.SIGINT
    if number == signal.SIGINT and sys.stderr.isatty():
        say("", mark="")  # below the terminal's ^C
    say(SAID[number])
    return choose_exit_code(number)


def choose_exit_code(number: int) -> int:
    """The exit code of a command that a signal ended; 0 without a signal."""
    return 128 + number if number else DONE


def say(text: str, mark: str = "tailor: ") -> None:
    from ..system.redact import mask_passwords

    print(f"{mark}{mask_passwords(text)}", file=sys.stderr, flush=True)
