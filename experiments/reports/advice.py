"""What to try next, by plain rules over a study's trials. Pure: each rule names what it saw."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress

from ...models.errors import ModelError
from ...models.training import options
from ...search.space.parameters import Float, Int, Parameter
from ...search.study.capabilities import LISTED, continues, known_as
from ...search.study.spec import StudySpec
from ..system.words import count
from ..tracking.leaderboard import Row

EDGE = 0.05  # of a range, from either end
TOP = 5  # trials that a rule looks at together
FEWEST = 10  # complete trials, from which on the best five are a choice among them
OFTEN = 3  # complete trials with, and without, a value; fewer do not show whether it matters
TRIALS_A_PARAMETER = 10
UNIMPORTANT = 0.02


def advise(
    spec: StudySpec, rows: Sequence[Row], importance: Mapping[str, float], val_size: int, last_epochs: Mapping[int, int]
) -> list[str]:
    """One sentence for each rule that applies. `rows` are best first; `importance` is empty if there are too few trials.

    `last_epochs` has the last epoch that each of the best trials trained.
    """
    if all(row.value is None for row in rows):
        if any(row.status == "failed" for row in rows):
            return ["No trial completed: read on its run why the first one failed."]
        return ["No trial has completed yet."]
    complete = [row for row in rows if row.front is not None]
    if not complete:
        kept = " and ".join(map(str, spec.goal.constraints))
        them = "them" if len(spec.goal.constraints) > 1 else "it"
        return [f"No complete trial keeps {kept}: widen the space to points that keep {them}, or loosen {them}."]
    enough = len(complete) >= FEWEST
    found = [
        _edge(parameter, complete[:TOP]) for parameter in spec.source.searched if enough and _was_tried(parameter.name, complete)
    ]
    found += [_epochs(spec, complete[0], last_epochs.get(complete[0].trial, 0)), _budget(spec, len(rows))]
    found += [_unimportant(importance, complete) if enough else "", _noise(spec, complete, val_size)]
    failed = sum(row.status == "failed" for row in rows)
    if failed > len(rows) / 5:
        found.append(f"{failed} of {len(rows)} trials failed: read the reasons; the space may be too wide.")
    return [sentence for sentence in found if sentence]


def _edge(parameter: Parameter, top: Sequence[Row]) -> str:
    values = [row.params[parameter.name] for row in top if parameter.name in row.params]
    if not isinstance(parameter, (Float, Int)) or len(values) < 3 or parameter.high == parameter.low:
        return ""
    if isinstance(parameter, Int) and parameter.high - parameter.low < 3:
        return ""
    scale = math.log if parameter.log else float
    places = [(scale(float(v)) - scale(parameter.low)) / (scale(parameter.high) - scale(parameter.low)) for v in values]
    middle = statistics.median(places)
    if middle > 1 - EDGE and _may_be(parameter, beyond=True):
        return f"The best trials have {parameter.name} near its upper end, {parameter.high:g}: raise it."
    if middle < EDGE and _may_be(parameter, beyond=False):
        return f"The best trials have {parameter.name} near its lower end, {parameter.low:g}: lower it."
    return ""


def _may_be(parameter: Float | Int, beyond: bool) -> bool:
    """Whether the range may go on at its upper end (`beyond`), or at its lower one: options and counts have limits."""
    if not beyond and (parameter.low == 0 or (isinstance(parameter, Int) and parameter.low == 1)):
        return False
    if parameter.name not in options.NAMES:
        return True
    step = 1 if isinstance(parameter, Int) else EDGE * (parameter.high - parameter.low)
    below = parameter.low / 2 if isinstance(parameter, Float) and parameter.log else parameter.low - step
    with suppress(ModelError):
        options.check(parameter.name, parameter.high + step if beyond else below)
        return True
    return False


def _epochs(spec: StudySpec, best: Row, last: int) -> str:
    if not spec.objective.by_epoch or best.epoch < max(last, spec.search.max_epochs):  # max_epochs may have been larger before
        return ""
    where = ", in a new study: --name" if continues(spec) else ""  # its rounds are planned for that many
    return f"The best trial was still improving in its last epoch, {best.epoch}: give trials more (search.max_epochs{where})."


def _budget(spec: StudySpec, trials: int) -> str:
    searched, points = len(spec.space.searched), spec.source.count()
    wanted = min(TRIALS_A_PARAMETER * searched, points or math.inf)
    ends = (spec.search.target, spec.search.patience, spec.search.total_epochs)  # a resumed search would end by these at once
    fixed = known_as(spec.search.sampler.name) in LISTED or ends != (None, None, None)
    if fixed or not max(trials, spec.search.trials) < wanted:
        return ""
    said = f"{count(trials, 'trial')} {'is' if trials == 1 else 'are'} few for {count(searched, 'searched parameter')}"
    return f"{said}: resume it, with --trials {wanted}."


def _unimportant(importance: Mapping[str, float], complete: Sequence[Row]) -> str:
    names = [name for name, share in importance.items() if share < UNIMPORTANT and _was_tried(name, complete)]
    if names and len(importance) > 2:
        return f"Hardly anything depended on {', '.join(names)}: fix {'it' if len(names) == 1 else 'them'} and search the rest."
    return ""


def _was_tried(name: str, complete: Sequence[Row]) -> bool:
    """Whether enough complete trials had another value than the most frequent one."""
    values = Counter(row.params[name] for row in complete if name in row.params)
    return values.total() - max(values.values(), default=0) >= OFTEN


def _noise(spec: StudySpec, complete: Sequence[Row], val_size: int) -> str:
    """Whether the first places differ by less than two standard errors of an accuracy on `val_size` images."""
    if spec.objective.metric != "val_accuracy" or len(complete) < 2 or not val_size:
        return ""
    best = complete[0].value or 0.0
    error = math.sqrt(max(best * (1 - best), 0.0) / val_size)
    close = sum((row.value or 0.0) > best - 2 * error for row in complete)
    if close < 2:
        return ""
    return (
        f"The best {close} trials lie within two standard errors of the best (±{200 * error:.2f} points on {val_size:,} "
        "images): their order may be luck."
    )
