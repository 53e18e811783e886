"""The study file: what is read, laid over and refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tailor.search.errors import StudyError
from tailor.search.space.parameters import Choice, Fixed, Float, Int
from tailor.search.study.load import build, load, override, read_laid
from tailor.search.study.offers import offers
from tailor.search.study.settings import overlay
from tailor.search.study.spec import Component

Write = Callable[..., Path]


def test_a_file_becomes_records(write_study: Write) -> None:
    spec = load(write_study())
    kinds = [type(parameter) for parameter in spec.space.parameters]
    assert kinds == [Float, Int, Choice]
    assert (spec.objective.metric, spec.objective.key, spec.search.pruner) == (
        "val_accuracy",
        "best_val_accuracy",
        Component("median"),
    )
    assert spec.training == {"units": 32, "batch_norm": True}


def test_the_tables_of_a_spec_make_the_same_spec(write_study: Write) -> None:
    path = write_study(
        ('sampler = "random"', 'sampler = { name = "tpe", n_startup_trials = 3 }\ntimeout = "1h30m"'),
        (
            "batch_norm = true",
            "batch_norm = true\n[space.drop]\nlow = 0.0\nhigh = 0.5\ndefault = 0.2\n[[enqueue]]\ndepth = 2\nunits_2 = 16",
        ),
    )
    spec = load(path)
    assert spec.search.timeout == 5400
    assert build(spec.tables()) == spec
    assert spec.enqueue == ({"depth": 2, "units_2": 16},)
    assert build(spec.tables()).sha256() == spec.sha256()


@pytest.mark.parametrize("setting", ["space.depth=2", "training.depth=2"])
def test_setting_a_searched_parameter_fixes_it_and_conditions_still_see_it(write_study: Write, setting: str) -> None:
    spec = load(write_study(), [setting])
    assert Fixed("depth", 2) in spec.space.parameters
    assert "depth" not in [p.name for p in spec.space.searched]
    assert "depth" not in spec.training


def test_what_a_setting_fixes_is_fixed_in_enqueued_points_too(write_study: Write) -> None:
    path = write_study(("batch_norm = true", "batch_norm = true\n[[enqueue]]\ndepth = 2\nunits_2 = 16\n[[enqueue]]\ndepth = 1"))
    assert load(path, ["space.depth=2"]).enqueue == ({"units_2": 16},)
    assert load(path, ["training.depth=2"]).enqueue == ({"units_2": 16},)
    assert load(path, ["space.depth=[1, 2]"]).enqueue == ({"depth": 2, "units_2": 16}, {"depth": 1})


def test_names_with_dots_slashes_and_spaces_are_set_too(write_study: Write) -> None:
    odd = '"block.width" = [8, 16]\n"block.width.more" = [1, 2]\n"a/b c" = { low = 1, high = 4 }\n'
    path = write_study(("[training]\n", f'{odd}[training]\n"head.units" = 8\n'))
    set_ = (
        "space.block.width=8",
        "training.a/b c=3",
        'training."new.one"=a=b',
        "training.head.units=[8, 9]",
        "space.depth.high=3",
    )
    spec = load(path, set_)
    found = {one.name: one for one in spec.space.parameters}
    assert found["block.width"] == Fixed("block.width", 8) and found["a/b c"] == Fixed("a/b c", 3)
    assert found["block.width.more"] == Choice("block.width.more", (1, 2)) and found["depth"] == Int("depth", 1, 3)
    assert spec.training["new.one"] == "a=b" and spec.training["head.units"] == [8, 9]
    assert load(path, ["space.a/b c.high=2", "training.early_stopping.patience=3"]).training["early_stopping"] == {"patience": 3}
    assert overlay(load(path), {"space.block.width": 16}).space.parameters[3] == Fixed("block.width", 16)


@pytest.mark.parametrize(
    ("setting", "section"), [("search.trials=3", "search"), ("study.name=x", "study"), ("space.a=1", "training")]
)
def test_a_setting_of_a_section_that_is_no_table_is_refused(setting: str, section: str) -> None:
    with pytest.raises(StudyError, match=rf"\[{section}\]: expected a table"):
        override({section: 5}, setting)


def test_an_argument_of_what_is_named_alone_says_how(write_study: Write) -> None:
    with pytest.raises(StudyError, match=r"has no key 'n_startup_trials'; give a table in its place, --set 'search\.sampler="):
        load(write_study(), ["search.sampler.n_startup_trials=8"])


@pytest.mark.parametrize(
    ("engine", "sampler", "offered"),
    [
        ("keras-tuner", "grid", True),
        ("keras-tuner", "", True),
        ("keras-tuner", "tpe", False),
        ("keras-tuner", "optuna.samplers:TPESampler", False),
        ("optuna", "mine.py:Sampler", True),
        ("optuna", "hyperband", False),
    ],
)
def test_what_a_file_names_holds_under_each_engine_that_has_it(engine: str, sampler: str, offered: bool) -> None:
    assert offers(engine, sampler) == offered


def test_options_reach_every_section(write_study: Write) -> None:
    spec = load(write_study(), ["search.trials=7", "data.splits.val=100", "workers.count=3", "space.opt=[1, 2]"], name="other")
    assert (spec.search.trials, spec.data.splits["val"], spec.workers.count, spec.name) == (7, 100, 3, "other")
    assert Choice("opt", (1, 2)) in spec.space.parameters


def test_budgets_do_not_change_what_a_study_is(write_study: Write) -> None:
    spec = load(write_study())
    assert load(write_study(), ["search.trials=99", "workers.count=1"], name="other").identity() == spec.identity()
    assert load(write_study(), ["space.depth=2"]).identity() != spec.identity()
    default = load(write_study(), ["space.depth.default=2", "search.defaults_first=false"])
    assert default.space.searched[1].default == 2 and default.identity() == spec.identity()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("trials = 4", "trials = 0"), "search.trials: expected a whole number from 1 to 1000000, got 0."),
        (("trials = 4", "trials = 2.5"), "search.trials: expected a whole number"),
        (("trials = 4", "trails = 4"), "[search]: no such name 'trails'. Did you mean 'trials'?"),
        (("trials = 4", "batch_size = 4"), "no such name 'batch_size'; a hyperparameter belongs in [space]"),
        (('name = "small"', 'name = "small"\ntrials = 4'), "study.trials: it is a key of [search]; move the line there."),
        (("trials = 4", 'name = "x"'), "search.name: it is a key of [study]; move the line there."),
        (("[space]", "[sapce]"), "[sapce]: there is no such section. Did you mean 'space'?"),
        (("[study]", 'dataset = "digits"\n[study]'), "dataset: it is a key of [study]; move the line below that heading."),
        (("low = 1e-3", "low = 1"), "space.learning_rate: low must be at most high"),
        (("low = 1e-3", "low = 0.0"), "space.learning_rate: a log scale needs low > 0"),
        (("low = 1, high = 2", "low = 1, high = 10, step = 20"), "space.depth.step: expected at most 9, the width of the range"),
        (("low = 1, high = 2", "low = 0.1, high = 0.5, step = 0.5"), "space.depth.step: expected at most 0.4, the width"),
        (("choices = [16, 32]", "choices = []"), "space.units_2: choices is empty"),
        (("choices = [16, 32]", 'choices = ["a\\u0000", "b"]'), "got 'a\\x00', which no store keeps as it is."),
        (("low = 1, high = 2", "low = 1"), "space.depth.high: it is missing; give a number."),
        (('"val_accuracy"', '"val_acuracy"'), "Did you mean 'val_accuracy'? Known: val_accuracy, val_loss"),
        (('direction = "maximize"', ""), "study.direction: it is missing"),
        (('objective = "val_accuracy"', ""), "study.objective: it is missing beside direction"),
        (
            ('objective = "val_accuracy"\ndirection = "maximize"', 'objectives = [{ direction = "maximize" }]'),
            "study.objectives.metric: it is missing",
        ),
        (('sampler = "random"', "sampler = { n_startup_trials = 3 }"), "search.sampler.name: it is missing"),
        (('pruner = "median"', "pruner = { min_resource = 3 }"), "search.pruner.name: it is missing"),
        (('name = "small"', 'name = "../small"'), "study.name: expected 1 to 200 letters"),
        (('name = "small"', 'name = "a/b"'), "study.name: expected"),
        (('name = "small"', 'name = "a\\u0000b"'), "study.name: expected"),
        (('name = "small"', f'name = "{"x" * 201}"'), "study.name: expected 1 to 200 letters"),
        (('sampler = "random"', 'sampler = "randm"'), "Did you mean 'random'?"),
        (('sampler = "random"', 'sampler = "own.py"'), "search.sampler: expected a class of the file, got 'own.py'; name it as"),
        (('"maximize"', '"max"'), "Did you mean 'maximize'?"),
        (("units = 32", "units = 32\ndepth = 2"), "depth: stands in [training] (fixed) and in [space]"),
        (
            ("batch_norm = true", "batch_norm = true\n[[enqueue]]\ndepht = 1"),
            "enqueue[0] (no searched parameter): no such name 'depht'",
        ),
        (
            ("batch_norm = true", "batch_norm = true\n[[enqueue]]\ndepth = 9"),
            "enqueue[0].depth: expected a whole number from 1 to 2, got 9",
        ),
        (
            ("batch_norm = true", "batch_norm = true\n[[enqueue]]\nunits_2 = 20"),
            "enqueue[0].units_2: expected one of [16, 32], got 20",
        ),
        (
            ("batch_norm = true", "batch_norm = true\n[space.drop]\nlow = 0.0\nhigh = 0.5\ndefault = 0.6"),
            "space.drop.default: expected",
        ),
        (("batch_norm = true", 'batch_norm = true\n[space.act]\nvalue = "relu"\ndefault = "tanh"'), "value stands alone"),
        (("trials = 4", "trials = 4\ndefaults_first = 1"), "search.defaults_first: expected true or false, got 1"),
        (("units = 32", "units = "), "not valid TOML: Invalid value (at line 2"),
        (('sampler = "random"', 'sampler = { name = "random", seed = 3 }'), "search.sampler.seed: the seed is search.seed"),
        (('sampler = "random"', 'sampler = { name = "brute-force", seeds = 3 }'), "brute-force takes no arguments, got seeds"),
        (('objective = "val_accuracy"', 'objective = "latency_ms"'), "search.pruner: latency_ms is known at a trial's end only"),
        (("depth = { low = 1, high = 2 }", 'depth = "deep"'), "'depth >= 2' compares a number with a text"),
    ],
)
def test_a_wrong_file_is_answered_by_field(write_study: Write, change: tuple[str, str], says: str) -> None:
    with pytest.raises(StudyError) as error:
        load(write_study(change))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("argument", "meant"),
    [
        ("max_trials", "; search.trials is meant"),
        ("max_epochs", "; search.max_epochs is meant"),
        ("max_retries_per_trial", "; search.retries is meant"),
        ("objective", "; study.objective is meant"),
        ("hyperparameters", "; [space] is meant"),
        ("max_consecutive_failed_trials", ""),
        ("allow_new_entries", ""),
        ("tune_new_entries", ""),
    ],
)
def test_what_tailor_tells_keras_tuner_is_no_argument_of_its_samplers(write_study: Write, argument: str, meant: str) -> None:
    path = write_study(('sampler = "random"', f'sampler = {{ name = "hyperband", {argument} = 3 }}'), ('pruner = "median"', ""))
    with pytest.raises(StudyError) as error:
        load(path, ["search.engine=keras-tuner"])
    assert str(error.value) == f"search.sampler.{argument}: Tailor gives it to Keras Tuner itself{meant}, leave it out."


def test_what_a_keras_tuner_sampler_is_about_is_its_users_to_say(write_study: Write) -> None:
    path = write_study(
        ('sampler = "random"', 'sampler = { name = "hyperband", factor = 2, hyperband_iterations = 1 }'),
        ('pruner = "median"', ""),
    )
    spec = load(path, ["search.engine=keras-tuner"])
    assert spec.search.sampler == Component("hyperband", {"factor": 2, "hyperband_iterations": 1})


@pytest.mark.parametrize("text", ["trials = " + "9" * 5000, "x = " + "[" * 100_000], ids=["a long number", "deep nesting"])
def test_a_file_that_python_cannot_read_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.toml").write_text(text)
    with pytest.raises(StudyError, match=r"odd\.toml: not a"):
        load(tmp_path / "odd.toml")


def test_a_mark_that_windows_puts_before_a_text_is_no_mistake(write_study: Write) -> None:
    path = write_study()
    plain = load(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load(path) == plain


def test_a_file_over_one_mebibyte_is_refused(tmp_path: Path) -> None:
    (tmp_path / "big.toml").write_text("#" * (1 << 20) + "\n")
    with pytest.raises(StudyError, match="at most 1 MiB"):
        load(tmp_path / "big.toml")


@pytest.mark.parametrize("text", ["trials=3", "search.trials", "serch.trials=3"])
def test_a_setting_that_is_no_setting_is_refused(text: str) -> None:
    with pytest.raises(StudyError, match="--set"):
        override({}, text)


def test_code_and_data_are_looked_for_beside_the_file_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside, here = tmp_path / "studies", tmp_path / "here"
    for folder in (beside / "nets", beside / "photos", here / "photos"):
        folder.mkdir(parents=True)
    for name in ("mine.py", "loss.py"):
        (beside / "nets" / name).write_text("")
    monkeypatch.chdir(here)
    file = beside / "own.toml"
    file.write_text(
        '[study]\nname = "own"\ndataset = "npz:photos/a.npz"\nmodel = "nets/mine.py:build"\n'
        '[training]\nloss = "nets/loss.py:one"\n[space]\nkind = ["nets/mine.py:build", "b"]\n'
    )

    def read(*overrides: str) -> dict[str, Any]:
        tables = read_laid(Path("../studies/own.toml"), overrides)
        return {**tables["study"], **tables["training"], **tables["space"]}

    assert read() == {
        "name": "own",
        "dataset": "npz:photos/a.npz",  # it is nowhere: the message names the path as it was typed
        "model": "../studies/nets/mine.py:build",
        "loss": "../studies/nets/loss.py:one",
        "kind": ["nets/mine.py:build", "b"],  # a value of the space is no file
    }
    (beside / "photos" / "a.npz").write_bytes(b"")
    assert read()["dataset"] == "npz:../studies/photos/a.npz"
    (here / "photos" / "a.npz").write_bytes(b"")  # the current folder comes first
    assert read("study.model=other.py:build") | {"loss": 0, "kind": 0} == {
        "name": "own", "dataset": "npz:photos/a.npz", "model": "other.py:build", "loss": 0, "kind": 0,
    }  # fmt: skip
