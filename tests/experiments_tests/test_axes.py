"""The axes of the report's charts: every label is true for its place, and none lies on another."""

from __future__ import annotations

import pytest

from tailor.experiments.reports.axes import Axis

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
