"""MLflow as its small package, mlflow-skinny, has it: without pandas, a sixth of the time of a command that only reads."""

from __future__ import annotations

import sys


def load_mlflow() -> None:
    """Import MLflow, for a process that needs none of its data sets. Does nothing if MLflow or pandas is imported already."""
    if "mlflow" in sys.modules or "pandas" in sys.modules:
        return
    sys.modules["pandas"] = None  # type: ignore[assignment]  # importing it now raises ImportError, as if it was not installed
    try:
        import mlflow  # noqa: F401
    finally:
        del sys.modules["pandas"]
