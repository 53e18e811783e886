"""A space that is defined by running: your function suggests with Optuna's trial and returns the trial's values."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import references
from ..errors import StudyError, quote
from .conditions import is_value
from .names import explain_name
from .numbers import read_number
from .parameters import Choice, Float, Int, Parameter
from .rules import draw, largest, smallest
from .source import Values
from .space import Space, Suggester

if TYPE_CHECKING:
    import optuna

FIELD = "study.space"
DRY = 32  # random draws, to see what the function returns before a search begins
LOG_SPAN = 100.0  # values that span more are drawn on a log scale


@dataclass(frozen=True)
class FunctionSpace:
    """The function that the reference names; `sha256` is its file's digest in the study."""

    reference: str
    sha256: str = ""
    declared = False
    known = varies = True
    searched: tuple[Parameter, ...] = ()  # the values seen have no ends that you could raise
    field = FIELD

    @property
    def role(self) -> str:
        return f"is returned by {self.reference!r}"

    def describe(self) -> str:
        return f"a space by {self.reference}"

    def digest(self) -> str:
        return references.digest(FIELD, self.reference)

    def names(self) -> set[str]:
        return {name for values in self.samples() for name in values}

    def ends(self) -> tuple[Values, Values]:
        """What it returns for the smallest and for the largest values; if it forbids an end, an allowed draw instead."""
        small, large = self.pick(smallest), self.pick(largest)
        if small is None or large is None:
            allowed = list(self.samples())
            small, large = allowed[0] if small is None else small, allowed[-1] if large is None else large
        return small, large

    def samples(self) -> Iterator[Values]:
        """What it returns at both ends and at random, as trials of one study: the same at each call.

        Raises StudyError if it forbids them all.
        """
        from .dry_run import new_study

        rng, study = random.Random(0), new_study()
        rules: list[Suggester] = [smallest, largest, *[lambda parameter: draw(parameter, rng)] * DRY]
        allowed = 0
        for rule in rules:
            if (values := self.pick(rule, study)) is not None:
                allowed += 1
                yield values
        if not allowed:
            raise forbids_all(self.reference, len(rules))

    def count(self) -> int | None:
        return None

    def pick(self, rule: Suggester, study: optuna.Study | None = None) -> Values | None:
        """What `draw` returns when a rule, such as `smallest`, picks each value; as a trial of the study, if given."""
        from .dry_run import ask, new_study

        return self.draw(ask(study or new_study(), rule))

    def draw(self, trial: optuna.Trial) -> Values | None:
        """The values that the function returns for a trial; None if it raises TrialPruned.

        Raises StudyError if it fails or returns something else; what the function raised is the cause.
        """
        import optuna

        function, path = references.find(FIELD, self.reference, self.sha256)
        try:
            with chdir("."):  # restores the current folder: other paths are relative to it
                values = function(trial)
        except optuna.TrialPruned:
            return None
        except StudyError:  # about what it suggests
            raise
        except Exception as error:
            where = references.find_line(error, path)
            raise StudyError(f"{FIELD}: {self.reference!r} failed{where}: {type(error).__name__}: {quote(error)}.") from error
        self._check(values)
        return dict(values)

    def _check(self, values: object) -> None:
        plain = isinstance(values, Mapping) and all(isinstance(name, str) and is_value(value) for name, value in values.items())
        if not plain:
            raise StudyError(
                f"{FIELD}: expected {self.reference!r} to return a dict of finite numbers, texts and true/false by name, "
                f"got {repr(values)[:200]}."
            )
        assert isinstance(values, Mapping)
        for name in values:
            if why := explain_name(name):
                raise StudyError(f"{FIELD}: expected {self.reference!r} to return {why}.")

    def show(self, trials: Sequence[Mapping[str, str]]) -> Space:
        """The parameters that varied among the trials, over the values that they took."""
        names = dict.fromkeys(name for params in trials for name in params)
        values = {name: list(dict.fromkeys(params[name] for params in trials if name in params)) for name in names}
        return Space(tuple(_infer(name, texts) for name, texts in values.items() if len(texts) > 1))


def forbids_all(reference: str, times: int) -> StudyError:
    """The error for a function that forbids every draw."""
    return StudyError(
        f"{FIELD}: {reference!r} raised TrialPruned for {times} draws in a row; let it forbid less, or suggest only what is "
        "allowed, by if and else."
    )


def _infer(name: str, texts: Sequence[str]) -> Parameter:
    numbers = [number for text in texts if (number := read_number(text)) is not None]
    if len(numbers) < len(texts):
        return Choice(name, tuple(texts))
    low, high = min(numbers), max(numbers)
    log = low > 0 and high > LOG_SPAN * low
    if all(isinstance(number, int) for number in numbers):
        return Int(name, int(low), int(high), log)
    return Float(name, low, high, log)
