"""The report's charts as SVG: every trial a mark, which the page's script names and lights up in all charts. Pure.

Plotly's script alone has 4.8 MB; these charts have some 50 bytes a trial, and follow the page's colours in the dark.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from markupsafe import Markup

from ...search.analysis.plots import Told
from ...search.space.parameters import Choice, Fixed, Float, Int, Parameter
from ...search.study.goal import Objective
from ...search.study.spec import StudySpec
from .axes import LETTER, LINE, Axis, arrange, clip, measure, thin

FEWEST = 5  # trials; with fewer, a chart of a hyperparameter says nothing
MOST = 1500  # trials that a chart draws
MOST_SLICES = 12  # charts of one hyperparameter each
MOST_AXES = 8
WIDTH, HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 10, 44
NAME = 16  # pixels from the y axis to the baseline of its name, beside the labels
ROW = 16  # pixels from a row of names to the next
TURN = 40  # degrees


@dataclass(frozen=True)
class Chart:
    """A chart with its title, and a note on what it shows."""

    title: str
    note: str
    svg: Markup


def draw_charts(spec: StudySpec, told: Sequence[Told], shares: Mapping[str, float], best: int | None) -> list[Chart]:
    """The charts that have something to say, of all trials that have a value; `best` is the best trial's number."""
    valued = _choose({one.trial: one for one in told if _value(spec, one) is not None}, best)
    charts = [_draw_history(spec, valued, best)] if len(valued) > 1 else []
    charts += _draw_fronts(spec, told, best)
    curves = [one for one in told if len(one.by_epoch) > 1]
    if len(curves) > 1:
        charts.append(_draw_curves(spec.objective, curves, best, len(told)))
    if len(valued) < FEWEST:
        return charts
    searched = _rank(spec, valued, shares)
    everywhere = [p for p in searched if all(p.name in one.params for one in valued)]
    if len(everywhere) > 1:
        charts.append(_draw_parallel(spec, valued, everywhere[:MOST_AXES], best))
    return charts + [_draw_slice(spec, valued, parameter, best) for parameter in searched[:MOST_SLICES]]


def list_undrawn(spec: StudySpec, told: Sequence[Told], shares: Mapping[str, float]) -> list[str]:
    """The hyperparameters that varied, and have no chart of their own beside those of greater importance."""
    valued = [one for one in told if _value(spec, one) is not None]
    return [parameter.name for parameter in _rank(spec, valued, shares)[MOST_SLICES:]] if len(valued) >= FEWEST else []


def _rank(spec: StudySpec, valued: Sequence[Told], shares: Mapping[str, float]) -> list[Float | Int | Choice]:
    """The hyperparameters that varied, the most important first."""
    searched = [
        p
        for p in spec.space.searched
        if not isinstance(p, Fixed) and len({one.params.get(p.name) for one in valued} - {None}) > 1
    ]
    return sorted(searched, key=lambda parameter: -shares.get(parameter.name, 0.0))


def _value(spec: StudySpec, one: Told) -> float | None:
    """A complete trial's value, or the last one of a trial that did not complete."""
    value = one.values.get(spec.objective.metric, one.last)
    return value if value is not None and math.isfinite(value) else None


def _choose(valued: Mapping[int, Told], best: int | None) -> list[Told]:
    """The trials in order; of more than MOST, evenly chosen ones and the best."""
    numbers = sorted(valued)
    step = -(-len(numbers) // MOST) if numbers else 1
    return [valued[number] for i, number in enumerate(numbers) if i % step == 0 or number == best]


def _span(values: Sequence[float], label: str, whole: bool = False) -> Axis:
    return Axis(label, min(values), max(values), whole=whole)


def _axis_of(parameter: Parameter, trials: Sequence[Told]) -> Axis:
    if isinstance(parameter, Choice):
        return Axis(parameter.name, names=tuple(str(choice) for choice in parameter.choices))
    values = [float(one.params[parameter.name]) for one in trials if parameter.name in one.params]
    assert isinstance(parameter, (Float, Int))
    return Axis(
        parameter.name, min(values), max(values), bool(parameter.log) and min(values) > 0, whole=isinstance(parameter, Int)
    )


def _at(parameter: Parameter, axis: Axis, one: Told) -> float:
    text = one.params[parameter.name]
    return axis.place(axis.names.index(text) if axis.names else float(text))


def _kind(one: Told, best: int | None) -> str:
    return "best" if one.trial == best else "done" if one.status == "complete" else "cut"


def _draw_history(spec: StudySpec, valued: Sequence[Told], best: int | None) -> Chart:
    objective, values = spec.objective, [_value(spec, one) or 0.0 for one in valued]
    x, y = _span([one.trial for one in valued], "trial", whole=True), _span(values, objective.metric)
    steps, so_far = [], None
    for one, value in zip(valued, values, strict=True):
        counts = one.status == "complete" and one.values and spec.goal.feasible(one.values)
        if counts and (so_far is None or objective.better(value, so_far)):
            so_far = value
        if so_far is not None:
            steps.append((x.place(one.trial), y.place(so_far)))
    line = (
        _path([p for a, b in zip(steps, [*steps[1:], steps[-1]], strict=True) for p in (a, (b[0], a[1]))], "sofar")
        if steps
        else ""
    )
    marks = [_dot(one, (x.place(one.trial), y.place(value)), best) for one, value in zip(valued, values, strict=True)]
    return Chart("How the search went", "The line is the best complete trial so far.", _frame(x, y, line + "".join(marks)))


def _draw_fronts(spec: StudySpec, told: Sequence[Told], best: int | None) -> list[Chart]:
    """The first objective against each other one."""
    complete = [one for one in told if all(o.metric in one.values for o in spec.goal.objectives)]
    if len(complete) < 2:
        return []
    y, charts = _span([one.values[spec.objective.metric] for one in complete], spec.objective.metric), []
    for other in spec.others:
        x = _span([one.values[other.metric] for one in complete], other.metric)
        marks = [_dot(one, (x.place(one.values[x.label]), y.place(one.values[y.label])), best) for one in complete[:MOST]]
        note = f"{spec.objective.direction} {y.label}, {other.direction} {x.label}"
        charts.append(Chart(f"{y.label} against {x.label}", f"Complete trials: {note}.", _frame(x, y, "".join(marks))))
    return charts


def _draw_curves(objective: Objective, curves: Sequence[Told], best: int | None, trials: int) -> Chart:
    x = _span([epoch for one in curves for epoch in one.by_epoch], "epoch", whole=True)
    y = _span([value for one in curves for value in one.by_epoch.values() if math.isfinite(value)], objective.metric)
    body = ""
    for one in sorted(curves, key=lambda one: one.trial == best):  # the best on top
        points = [(x.place(e), y.place(v)) for e, v in sorted(one.by_epoch.items()) if math.isfinite(v)]
        body += _path(points, f"l {_kind(one, best)}", one.trial)
    left = " The others ended after one epoch, or are not among the best." if len(curves) < trials else ""
    note = f"Each line is a trial: {len(curves)} of {trials}.{left}" if left else "Each line is a trial."
    return Chart("By epoch", note, _frame(x, y, body))


def _draw_slice(spec: StudySpec, valued: Sequence[Told], parameter: Parameter, best: int | None) -> Chart:
    having = [one for one in valued if parameter.name in one.params]
    x, y = _axis_of(parameter, having), _span([_value(spec, one) or 0.0 for one in having], spec.objective.metric)
    marks = [_dot(one, (_at(parameter, x, one), y.place(_value(spec, one) or 0.0)), best) for one in having]
    note = f"{len(having)} of {len(valued)} trials have it." if len(having) < len(valued) else ""
    return Chart(parameter.name, note, _frame(x, y, "".join(marks)))


def _draw_parallel(spec: StudySpec, valued: Sequence[Told], parameters: Sequence[Parameter], best: int | None) -> Chart:
    axes = [_axis_of(parameter, valued) for parameter in parameters]
    value = _span([_value(spec, one) or 0.0 for one in valued], spec.objective.metric)
    places = [i / len(axes) for i in range(len(axes) + 1)]
    body = ""
    for one in sorted(valued, key=lambda one: one.trial == best):
        at = [_at(parameter, axis, one) for parameter, axis in zip(parameters, axes, strict=True)]
        good = value.place(_value(spec, one) or 0.0)
        shade = good if spec.objective.direction == "maximize" else 1 - good
        body += _path(
            list(zip(places, [*at, good], strict=True)), f"l {_kind(one, best)}", one.trial, 0.12 + 0.88 * shade**3, WIDE
        )
    drawn, apart = [*axes, value], (WIDE - LEFT - RIGHT) / len(axes)
    rows = 1 if all(measure(a.label) + measure(b.label) / 2 < apart for a, b in pairwise(drawn)) else 2
    for i, (place, axis) in enumerate(zip(places, drawn, strict=True)):
        x, name_at = _x(place, WIDE), HEIGHT - 12 + ROW * (i % rows)
        body += f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        anchor = "start" if place == 0 else "end" if place == 1 else "middle"
        body += f'<text class="name" x="{x:.1f}" y="{name_at:g}" text-anchor="{anchor}">{escape(axis.label)}</text>'
        side, shift = ("end", -5) if place == 1 else ("start", 5)
        ticks = [(_y(up), label) for up, label in axis.ticks()]
        beside = max(measure(label) for _, label in value.ticks()) if axis is axes[-1] else 0.0  # of the value's axis
        letters = int((apart - 2 * abs(shift) - beside) / LETTER)
        for up, label in thin(ticks, LINE) if axis.names else ticks:
            body += f'<text x="{x + shift:.1f}" y="{up + 4:.1f}" text-anchor="{side}">{escape(clip(label, letters))}</text>'
    left = [one.name for one in spec.space.searched if one not in parameters and any(one.name in t.params for t in valued)]
    note = "Each line is a trial; the darker, the better." + (f" Without {', '.join(left)}." if left else "")
    return Chart("All hyperparameters", note, _svg(body, "All hyperparameters", (0.0, WIDE, HEIGHT + ROW * (rows - 1))))


WIDE = 2 * WIDTH


def draw_lines(lines: Mapping[str, Sequence[tuple[float, float]]], x_label: str, y_label: str) -> Markup:
    """Lines by name on common axes: the best so far of several studies."""
    points = [point for line in lines.values() for point in line]
    x, y = _span([p[0] for p in points], x_label, whole=True), _span([p[1] for p in points], y_label)
    body = ""
    for i, line in enumerate(lines.values()):
        kind = f"study s{i % 6}" + " point" * (len(line) == 1)
        ends = [*line, *line] if len(line) == 1 else line  # a line of one point has no length, and is drawn as a dot
        body += _path([(x.place(a), y.place(b)) for a, b in ends], kind) if line else ""
    return _frame(x, y, body)


def _x(place: float, width: int = WIDTH) -> float:
    return LEFT + place * (width - LEFT - RIGHT)


def _y(place: float) -> float:
    return HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM)


def _dot(one: Told, place: tuple[float, float], best: int | None) -> str:
    return f'<circle class="{_kind(one, best)}" data-t="{one.trial}" cx="{_x(place[0]):.1f}" cy="{_y(place[1]):.1f}" r="4.5"/>'


def _path(
    points: Sequence[tuple[float, float]], kind: str, trial: int | None = None, shade: float = 1.0, width: int = WIDTH
) -> str:
    way = " ".join(f"{_x(x, width):.1f},{_y(y):.1f}" for x, y in points)
    name = "" if trial is None else f' data-t="{trial}"'
    pale = "" if shade == 1.0 else f' style="opacity:{shade:.2f}"'
    return f'<polyline class="{kind}"{name}{pale} points="{way}"/>'


def _frame(x: Axis, y: Axis, marks: str) -> Markup:
    """The chart of these marks. What long labels need is added at its left and at its bottom, so that the marks stay in place."""
    ups, bottom = y.ticks(), HEIGHT - BOTTOM
    name_at = min(13.0, LEFT - NAME - max((measure(label) for _, label in ups), default=0.0))
    body = ""
    for place, label in ups:
        body += f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{_y(place):.1f}" y2="{_y(place):.1f}"/>'
        body += f'<text x="{LEFT - 6}" y="{_y(place) + 4:.1f}" text-anchor="end">{escape(label)}</text>'
    labels, turned = arrange([(_x(place), label) for place, label in x.ticks()], WIDTH, bool(x.names))
    left, drop = min(0.0, name_at - 13), 0.0
    for at, label in labels:
        way = f'x="{at:.1f}" y="{bottom + 16}" text-anchor="middle"'
        if turned:
            way = f'transform="translate({at + 4:.1f} {bottom + 14}) rotate({-TURN})" text-anchor="end"'
            left = min(left, at - measure(label) * math.cos(math.radians(TURN)))
            drop = max(drop, measure(label) * math.sin(math.radians(TURN)))
        body += f"<text {way}>{escape(label)}</text>"
    body += f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>'
    middle, below = (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6 + drop
    body += f'<text class="name" x="{middle}" y="{below:.1f}" text-anchor="middle">{escape(x.label)}</text>'
    way = f"translate({name_at:.1f} {(TOP + bottom) / 2}) rotate(-90)"
    body += f'<text class="name" transform="{way}" text-anchor="middle">{escape(y.label)}</text>'
    return _svg(body + marks, f"{y.label} by {x.label}", (left, WIDTH, HEIGHT + drop))


def _svg(body: str, label: str, box: tuple[float, float, float]) -> Markup:
    """`box` is (left, right, bottom)."""
    left, right, bottom = box
    view = f"{left:g} 0 {right - left:g} {bottom:g}"
    return Markup(f'<svg viewBox="{view}" role="img" aria-label="{escape(label)}">{body}</svg>')
