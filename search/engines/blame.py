"""The error of a sampler or pruner that fails in use, in one line that names it: it may be a custom class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from .. import references
from ..errors import StoreError, StudyError, quote
from ..study.sections import SearchPlan


@contextmanager
def blaming(key: Literal["sampler", "pruner"], plan: SearchPlan, passing: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Raise StudyError for what the plan's sampler or pruner raises in the block; StudyError, StoreError and `passing` pass."""
    try:
        yield
    except (StudyError, StoreError):
        raise
    except passing:
        raise
    except Exception as error:  # of a library on a value that it did not expect, or of custom code
        field, component = f"search.{key}", {"sampler": plan.sampler, "pruner": plan.pruner}[key]
        custom, given = ":" in component.name, f" with {dict(component.arguments)}" if component.arguments else ""
        where = references.find_line(error, references.find(field, component.name)[1]) if custom else ""
        todo = "correct its arguments" if given and not custom else f"repair it, or resume with another {key}"
        raise StudyError(
            f"{field}: {component.name} fails{where}{given} ({type(error).__name__}: {quote(error)}); {todo}."
        ) from error
