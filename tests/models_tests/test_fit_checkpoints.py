"""A fit goes on from its checkpoint to the same numbers, and only from one that is whole and its own."""

from __future__ import annotations

import pytest
from fits import digits, model

from tailor.models.training import trainer
from tailor.models.training.fit import Data, FitHooks, FitPlan, fit
from tailor.models.training.options import TrainOptions


@pytest.fixture(scope="module")
def data() -> Data:
    return digits()


class Killed(Exception):
    """Stands for whatever ends a trial from outside."""


@pytest.mark.parametrize("where", ["in an epoch", "at a report"])
@pytest.mark.parametrize(
    "options",
    [
        TrainOptions(schedule="cosine"),
        TrainOptions(optimizer="sgd", learning_rate=0.05),
        TrainOptions(optimizer="muon", ema=0.95),
        TrainOptions(optimizer="schedule_free_adamw", schedule="constant"),
        TrainOptions(optimizer="sgd", learning_rate=0.6, schedule="plateau", plateau_patience=1, plateau_factor=0.5),
    ],
)
def test_a_fit_goes_on_from_its_checkpoint_to_the_same_numbers(
    data: Data, monkeypatch: pytest.MonkeyPatch, where: str, options: TrainOptions
) -> None:
    monkeypatch.setattr(trainer, "FIRST_UNIT", 7)
    monkeypatch.setattr(trainer, "UNIT_SECONDS", 0.0)  # a step a unit
    plan = FitPlan(4, seed=6)
    whole = fit(model(dropout=0.3, batch_norm=True), data, options, plan)
    calls, saved, told, replayed = [], [], [], []

    def between() -> None:
        calls.append(1)
        if where == "in an epoch" and len(calls) == 45:  # 32 steps an epoch
            raise Killed

    def report(epoch: int, metrics: object) -> bool:
        told.append(epoch)
        if where == "at a report" and told == [1, 2]:
            raise Killed
        return False

    with pytest.raises(Killed):
        fit(model(dropout=0.3, batch_norm=True), data, options, plan, FitHooks(report, between, save=saved.append))
    again = FitHooks(report, replay=lambda epoch, metrics: replayed.append(epoch), checkpoint=saved[-1])
    resumed = fit(model(dropout=0.3, batch_norm=True, seed=99), data, options, plan, again)
    assert resumed.history == whole.history
    assert (resumed.best_epoch, resumed.validation.loss) == (whole.best_epoch, whole.validation.loss)
    assert replayed == [1]
    assert told == ([1, 2, 3, 4] if where == "in an epoch" else [1, 2, 2, 3, 4])


def test_a_checkpoint_of_another_fit_is_not_taken(data: Data) -> None:
    saved: list[bytes] = []
    fit(model(), data, TrainOptions(), FitPlan(1, seed=6), FitHooks(save=saved.append, save_seconds=0.0))
    for net, plan in ((model(), FitPlan(2, seed=6)), (model(units=12), FitPlan(1, seed=6))):
        fresh = fit(net, data, TrainOptions(), plan, FitHooks(checkpoint=saved[-1]))
        assert len(fresh.history) == plan.epochs


def test_a_damaged_checkpoint_is_told_and_the_fit_begins_anew(data: Data) -> None:
    saved: list[bytes] = []
    plan = FitPlan(1, seed=6)
    whole = fit(model(), data, TrainOptions(), plan, FitHooks(save=saved.append, save_seconds=0.0))
    told: list[int] = []
    for i in range(10):  # cut short anywhere, from nothing at all on
        cut = saved[-1][: i * len(saved[-1]) // 10]
        fresh = fit(model(), data, TrainOptions(), plan, FitHooks(checkpoint=cut, restarted=lambda i=i: told.append(i)))
        assert fresh.history == whole.history
    assert told == list(range(10))
    fit(model(), data, TrainOptions(), plan, FitHooks(checkpoint=saved[-1], restarted=lambda: told.append(10)))
    assert 10 not in told
