"""A learning-rate range test of a job's model, in the process that loads models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...models.errors import ModelError
from ..errors import InputError
from .failure import describe_error
from .process import at_work
from .run import build, open_data

if TYPE_CHECKING:
    from ...models.training.rate_curve import RateCurve, RatePlan
    from .job import TrialJob


def measure_rates(job: TrialJob, plan: RatePlan) -> RateCurve:
    """Build the job's model and train it through the plan's rates. Raises InputError, ModelError."""
    from ...models.training.lr_range import measure_losses

    try:
        with at_work(job):
            model, options = build(job)
            return measure_losses(model, open_data(job.data, job.in_memory), options, plan, job.seed)
    except (ModelError, InputError):
        raise
    except Exception as error:  # an error of the user's code; its traceback cannot cross to the other process
        raise InputError(f"model {job.model!r} cannot be trained: {describe_error(error)}") from error
