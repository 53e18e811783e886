"""The axes of a report's charts: where a value lies, and ticks whose labels are true and leave one another room. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.ticker import MaxNLocator

from ..tracking.leaderboard import shorten

ROUND = (1, 2, 5, 10)  # digits of the distance of two ticks
UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
LARGE, SMALL = 1e5, 1e-4  # from where on, and below which, a number has a unit or an exponent
MOST_DIGITS = 16  # that a float has
LETTER, LINE, SPACE = 7.2, 14.0, 8.0  # pixels of a tick's text: a letter of a wide font, a line, and between two labels
MOST_LETTERS = 16
FINE = 1e-3  # of the distance of two ticks: by so much a label may differ from its place


@dataclass(frozen=True)
class Axis:
    """Values on the way to pixels: from `low` to `high`, or by name if there are `names`."""

    label: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    names: tuple[str, ...] = ()
    whole: bool = False

    def place(self, value: float) -> float:
        """From 0 to 1."""
        if self.names:
            return (value + 0.5) / len(self.names)
        low, high, value = (math.log(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        return 0.5 if high == low else 0.03 + 0.94 * (value - low) / (high - low)

    def ticks(self) -> list[tuple[float, str]]:
        """Places from 0 to 1 with their labels."""
        if self.names:
            short = [shorten(name) for name in self.names]
            labels = short if len({*short}) == len(short) else self.names
            return [(self.place(i), label) for i, label in enumerate(labels)]
        if self.low == self.high:
            values = [self.low]
        elif self.log and len(spread := self._spread()) > 1:
            return [(self.place(value), write_numbers([value])[0]) for value in spread]  # each of its own size
        else:
            round_ones = MaxNLocator(5, steps=ROUND, integer=self.whole).tick_values(self.low, self.high)
            values = self._keep([float(value) for value in round_ones])
        return [(self.place(value), label) for value, label in zip(values, write_numbers(values), strict=True)]

    def _spread(self) -> list[float]:
        """Powers of ten, or 1, 2 and 5 times them if they are few."""
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        tens = self._keep([10.0**power for power in powers])
        if len(tens) > 2:
            return tens[:: max(1, len(tens) // 5)]
        return self._keep([float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5)])

    def _keep(self, values: Sequence[float]) -> list[float]:
        """Those on the axis."""
        slack = 1e-9 * (self.low if self.log else self.high - self.low)
        return [value for value in values if self.low - slack <= value <= self.high + slack]


def write_numbers(values: Sequence[float]) -> list[str]:
    """Numbers in one form, as short as they stay apart: 0.25, 1.02M, 5e-5."""
    largest = max(map(abs, values), default=0.0)
    gap = min((b - a for a, b in pairwise(sorted(values))), default=largest) or 1.0
    forms = [_write(values, 1.0, "", gap)]
    if largest >= LARGE:
        forms.insert(0, _write(values, *next(unit for unit in UNITS if largest >= unit[0]), gap))
    elif 0 < largest < SMALL:
        power = math.floor(math.log10(largest) + 1e-9)
        forms.insert(0, _write(values, 10.0**power, f"e{power}", gap))
    return min(forms, key=lambda form: max(map(len, form), default=0))


def _write(values: Sequence[float], scale: float, unit: str, gap: float) -> list[str]:
    scaled, fine = [value / scale for value in values], FINE * gap / scale
    enough = (digits for digits in range(MOST_DIGITS) if all(abs(round(value, digits) - value) <= fine for value in scaled))
    digits, comma = next(enough, MOST_DIGITS), "," if max(map(abs, scaled), default=0.0) >= 1e4 else ""
    return ["0" if abs(value) <= fine else f"{value:{comma}.{digits}f}{unit}" for value in scaled]


def measure(text: str) -> float:
    """How wide a tick's label is at most, in the chart's pixels."""
    return LETTER * len(text)


def clip(text: str, most: int = MOST_LETTERS) -> str:
    """A label of at most that many letters, and of MOST_LETTERS; both ends stay, for names that begin or end alike."""
    most = min(most, MOST_LETTERS)
    return text if len(text) <= most else f"{text[: most // 2]}…{text[len(text) - (most - 1) // 2 :]}"


def arrange(ticks: Sequence[tuple[float, str]], width: float, names: bool) -> tuple[list[tuple[float, str]], bool]:
    """The labels at pixels of a row of that width that leave one another room, and whether they are to be turned.

    Numbers are thinned: those between are plain. Names are clipped, then turned, and thinned only if they are very many.
    """
    whole, short = [*ticks], [(at, clip(label)) for at, label in ticks]
    for row in (whole, short) if names else [whole[::step] for step in range(1, len(whole) + 1)]:
        if _has_room(row, width):
            return row, False
    return (thin(short, LINE), True) if names else (whole[:1], False)


def thin(ticks: Sequence[tuple[float, str]], line: float) -> list[tuple[float, str]]:
    """As many of evenly spread ticks as have that many pixels each."""
    apart = abs(ticks[1][0] - ticks[0][0]) if len(ticks) > 1 else line
    return [*ticks[:: math.ceil(line / apart - 1e-9)]]


def _has_room(row: Sequence[tuple[float, str]], width: float) -> bool:
    ends = [(at - measure(label) / 2, at + measure(label) / 2) for at, label in row]
    return all(low >= 0 and high <= width for low, high in ends) and all(b[0] - a[1] >= SPACE for a, b in pairwise(ends))
