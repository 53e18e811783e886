"""The axes of the report's charts: every label is true for its place, and none lies on another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from browsers import WITH_BROWSER, open_browser

from tailor.experiments.reports.axes import Axis, arrange, clip, thin
from tailor.experiments.reports.charts import _draw_parallel, _frame
from tailor.search.analysis.plots import Told
from tailor.search.space.parameters import Choice, Float
from tailor.search.study.load import build

NAMES = ("relu", "gelu", "elu", "selu", "tanh", "sigmoid", "swish", "softplus", "leaky_relu", "hard_sigmoid")
LONG = tuple(f"my_package.losses:Variant{i}" for i in range(40))
UNITS = {"k": 1e3, "M": 1e6, "G": 1e9}


@pytest.mark.parametrize(
    ("axis", "labels"),
    [
        (Axis("", 101_000, 109_000), "102k 104k 106k 108k"),
        (Axis("", 1e6, 1.04e6), "1.00M 1.01M 1.02M 1.03M 1.04M"),
        (Axis("", 123_450, 123_460, whole=True), "123,450 123,452 123,454 123,456 123,458 123,460"),
        (Axis("", 10_000, 50_000), "10,000 20,000 30,000 40,000 50,000"),
        (Axis("", 2e9, 8e9), "2G 4G 6G 8G"),
        (Axis("", 1000.12, 1000.19), "1000.12 1000.14 1000.16 1000.18"),
        (Axis("", -0.5, 0.5), "-0.4 -0.2 0 0.2 0.4"),
        (Axis("", 2e-7, 9e-7), "2e-7 4e-7 6e-7 8e-7"),
        (Axis("", 3.0, 3.0, whole=True), "3"),
        (Axis("", 0.0, 0.0), "0"),
        (Axis("", 1e-5, 1e-1, log=True), "1e-5 0.0001 0.001 0.01 0.1"),
        (Axis("", 1e4, 1e8, log=True), "10,000 100k 1M 10M 100M"),
        (Axis("", 0.0012, 0.08, log=True), "0.002 0.005 0.01 0.02 0.05"),
        (Axis("", 130, 190, log=True, whole=True), "140 160 180"),
        (Axis("", names=("True", "0.30000000000000004")), "true 0.3"),
        (Axis("", names=("0.12345", "0.12346")), "0.12345 0.12346"),
    ],
)
def test_a_label_is_true_for_its_place(axis: Axis, labels: str) -> None:
    ticks = axis.ticks()
    for place, label in ticks if not axis.names else []:
        value = float(label.replace(",", "").rstrip("kMG")) * UNITS.get(label[-1], 1)
        assert place == pytest.approx(axis.place(value), abs=1e-3)
    assert " ".join(label for _, label in ticks) == labels


def test_crowded_numbers_are_thinned_and_crowded_names_turned() -> None:
    numbers = [(50.0 * i, f"{i},000,000") for i in range(1, 10)]
    assert arrange(numbers, 560, names=False) == (numbers[::2], False)
    wide, few, many = ([(60 + step * i, name) for i, name in enumerate(LONG[:n])] for n, step in ((3, 130), (5, 100), (40, 12)))
    for ticks, turned in ((wide, False), (few, True)):
        assert arrange(ticks, 560, names=True) == ([(at, clip(name)) for at, name in ticks], turned)
    assert clip(LONG[3]) == "my_packa…ariant3"
    assert len(arrange(many, 560, names=True)[0]) == 20 and thin(few, 14) == few


def draw_eight_axes() -> str:
    names = ("learning_rate", "kernel_regularizer_l2", *(f"a_hyperparameter_{i}" for i in range(5)))
    space = (*(Float(name, 0.0, 1.0) for name in names), Choice("loss", LONG[:3]))
    spec = build({"study": {"name": "s", "dataset": "digits", "model": "mlp"}})
    params = [dict.fromkeys(names, f"{i / 9}") | {"loss": LONG[i % 3]} for i in range(9)]
    told = [Told(i, "complete", one, {}, {1: i / 100}, 0, 1, 0.8 + i / 100) for i, one in enumerate(params)]
    return str(_draw_parallel(spec, told, space, 8).svg)


@WITH_BROWSER
def test_no_text_of_a_chart_lies_on_another_or_is_cut_off(tmp_path: Path) -> None:
    y = Axis("val_accuracy", 0.99972, 0.99981)
    numbers = (Axis("units", 1e6, 1.004e6), Axis("bytes", 1e2, 1e5, log=True))
    axes = (Axis("activation", names=NAMES), Axis("loss", names=LONG), *numbers)
    page = "".join(f"<div style='width: 480px'>{_frame(x, y, '')}</div>" for x in axes)
    page += f"<div style='width: 1080px'>{draw_eight_axes()}</div>"
    style = "<style>svg text { font: 12px sans-serif; } svg text.name { font-size: 13px; }</style>"
    (tmp_path / "page.html").write_text(f"<!doctype html><meta charset=utf-8>{style}{page}", encoding="utf-8")
    with open_browser(tmp_path / "profile") as browser:
        browser.get((tmp_path / "page.html").as_uri())
        # Turned names are parallel lines, whose boxes overlap: the test above tells their distance.
        boxes = browser.execute_script(
            "const box = e => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom, "
            "e.textContent, (e.getAttribute('transform') || '').includes('-40')] };"
            "return [...document.querySelectorAll('svg')].map(s => [box(s), ...[...s.querySelectorAll('text')].map(box)])"
        )
    for whole, *texts in boxes:
        assert len(texts) > 6
        for i, one in enumerate(texts):
            assert one[0] >= whole[0] - 1 and one[2] <= whole[2] + 1 and one[3] <= whole[3] + 1, json.dumps(one)
            for other in texts[:i]:
                apart = one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] or other[1] >= one[3]
                assert apart or (one[5] and other[5]), (one, other)
