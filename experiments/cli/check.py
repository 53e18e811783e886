"""`tailor check STUDY`: a dry run that resolves the file, builds its smallest and largest model, estimates memory and time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .hints import repeat_command
from .options import data_option, json_option
from .screen import print_json, print_lines, print_table, working
from .study_options import resolve, study_options

if TYPE_CHECKING:
    from ...search.space.parameters import Parameter
    from ...search.study.spec import StudySpec
    from ..datasets.splits import Splits
    from ..planning.estimate import Estimate

OFF = (0, None, "none")  # defaults that leave an option out of use
NEEDS = {  # options that mean something only if another one has a value like these, or any that is not OFF
    **dict.fromkeys(("momentum", "nesterov"), ("optimizer", ("sgd", "rmsprop"))),
    **dict.fromkeys(("plateau_factor", "plateau_patience", "plateau_min_rate"), ("schedule", ("plateau",))),
    **dict.fromkeys(("frozen_share", "fine_tune_share", "fine_tune_factor"), ("frozen_epochs", ())),
}


@click.command("check")
@click.argument("study")
@study_options
@json_option
@data_option
def command(study: str, name: str | None, settings: tuple[str, ...], as_json: bool, data: Path | None, **given: Any) -> None:
    """Check STUDY without training it: resolve the file, build its smallest and largest model, estimate memory and time.

    Takes the options of `search` that set keys of the study file. Shows the space, every budget, and what is fixed or left at
    its default.
    """
    from dataclasses import asdict

    from ..system.forkserver import loading

    with loading():  # TensorFlow, beside the file and the data here
        spec = resolve(study, name, settings, given)
        with working(f"checking {spec.name}: reading the data, and building its smallest and largest model"):
            spec, splits, found = _measure(spec, data)
    if as_json:
        print_json({"study": spec.tables(), **asdict(found), "data_notes": splits.notes})
        return
    sizes = ", ".join(f"{name} {size:,}" for name, size in found.splits.items())
    print_lines(f"{spec.name}: {spec.model} on {spec.dataset} ({sizes}), {found.points}")
    print_lines(*(f"{spec.dataset}: {note}" for note in splits.notes))
    _show_space(spec, found.begins)
    _show_sizes(found)
    _show_plan(spec, found)
    valid = "The study is valid" + (", but for the values above that cannot be built: their trials fail" if found.failing else "")
    click.echo(f"{valid}. Run it:  {repeat_command('search')}")


def _measure(spec: StudySpec, data: Path | None) -> tuple[StudySpec, Splits, Estimate]:
    """The spec with what its model declares, its data, and the sizes of its models."""
    from ...search import engines
    from ..planning.estimate import estimate
    from ..planning.keras_tuner_space import discover
    from ..planning.resolve import open_all
    from ..system.silence import silence

    with silence():
        engines.check(spec)
    splits = open_all(spec, data)
    spec = discover(spec, splits)
    return spec, splits, estimate(spec, splits)


def _show_space(spec: StudySpec, begins: Mapping[str, Any]) -> None:
    """The space as a table, and what is fixed or left at its default. `begins` are the first trial's values."""
    from ...search.space.conditions import write_when
    from ...search.space.describe import describe_default, describe_scale, describe_value, describe_values
    from ...search.study.capabilities import LISTED
    from ..planning.recorded_defaults import list_defaults
    from ..system.words import count

    defaults = list_defaults(spec)

    def describe_first(one: Parameter) -> str:
        """What a search begins with."""
        if one.name in begins:
            return describe_value(begins[one.name])
        if any(condition.name in begins and not condition.holds(begins) for condition in one.when):
            return "–"
        return "drawn" if spec.enqueue else describe_default(one) or describe_value(defaults.get(one.name))

    rows = [
        [
            one.name,
            describe_values(one),
            describe_scale(one),
            describe_first(one),
            write_when(one.when) if one.when else "–",
        ]
        for one in spec.source.searched
    ]
    if rows:
        first = "first trial" if spec.enqueue else "default"
        print_table("The space", ["name", "from–to", "scale", first, "condition"], rows)
    if spec.enqueue:
        points = count(len(spec.enqueue), "point")
        rest = "the list gives" if spec.search.sampler.name in LISTED else "the sampler draws"
        print_lines(f"enqueue: {points} tried first; what a point leaves out, {rest}")
    for what, values in (("fixed", _list_fixed(spec)), ("default", list_left(spec))):
        if values:
            print_lines(f"{what}: {describe_value(values)}")


def _list_fixed(spec: StudySpec) -> dict[str, Any]:
    return {**spec.training, **{p.name: p.value for p in spec.space.parameters if p not in spec.source.searched}}  # type: ignore[union-attr]


def list_left(spec: StudySpec) -> dict[str, Any]:
    """What is left at its default, and changes something."""
    from ...search.space.describe import describe_values
    from ..planning.recorded_defaults import list_defaults

    defaults, fixed = list_defaults(spec), _list_fixed(spec)
    given = {**defaults, **{one.name: describe_values(one) for one in spec.source.searched}, **fixed}
    left = {name: value for name, value in defaults.items() if name not in fixed and name not in spec.source.names()}
    return {name: value for name, value in left.items() if value not in OFF and _matters(name, given)}


def _matters(name: str, given: Mapping[str, Any]) -> bool:
    """Whether an option changes anything, by the values, or their descriptions, of all."""
    if name not in NEEDS:
        return True
    other, words = NEEDS[name]
    value = given.get(other)
    return any(word in str(value) for word in words) if words else value not in OFF


def _show_sizes(found: Estimate) -> None:
    """The smallest and the largest model: a table, and the values of each."""
    from ...search.space.describe import describe_value

    sizes = {"smallest": found.smallest, "largest": found.largest}
    rows = [
        [label, f"{s.parameters:,}", f"{s.megabytes:,.0f}", f"{s.batch_ms:.1f}", f"{s.epoch_seconds:.1f}"]
        for label, s in sizes.items()
    ]
    print_table("The models", ["model", "parameters", "memory, MB", "ms a batch", "s an epoch"], rows)
    for label, size in sizes.items():
        print_lines(f"{label}: {describe_value(size.values) or 'the defaults'}")


def _show_plan(spec: StudySpec, found: Estimate) -> None:
    """How it is searched, every budget in force, and how long it may take."""
    from ...search.study.capabilities import explain_pruner, explain_repeats
    from ..coordinator.display import format_duration
    from ..planning.resolve import ask_about
    from ..system.words import count

    search = spec.search
    more = {
        "in all": None if search.total_epochs is None else count(search.total_epochs, "epoch"),
        "timeout": None if search.timeout is None else format_duration(search.timeout),
        "patience": None if search.patience is None else count(search.patience, "trial"),
        "target": None if search.target is None else f"{spec.objective.metric} {search.target:g}",
    }
    trials = f"{count(found.trials, 'trial')} of at most {count(search.max_epochs, 'epoch')}"
    budgets = [trials, *(f"{k} {v}" for k, v in more.items() if v)]
    goal = ", ".join(f"{one.direction} {one.metric}" for one in (spec.objective, *spec.others))
    print_lines(f"search: {goal}; {search.engine}, {search.sampler.name}, seed {search.seed}; budget: {'; '.join(budgets)}")
    spans = " to ".join(dict.fromkeys(format_duration(max(seconds, 1)) for seconds in found.search_seconds))
    pruned = "less if trials stop early or are pruned"
    print_lines(f"time: {spans} of training on {count(found.workers, 'worker')} ({pruned}); the start and the report come on top")
    asked = [*ask_about(spec), *found.failing]
    if found.unread:
        names = ", ".join(found.unread)
        asked.append(f"{names}: {spec.model} read no hyperparameter of such a name in either model; is it misspelt?")
    lines = (explain_pruner(spec), explain_repeats(spec), found.note, *asked)
    print_lines(*(line for line in lines if line))
