"""The one error that `models` raises for a wrong model, factory or training option."""

from __future__ import annotations


class ModelError(ValueError):
    """A model, factory or training option is wrong; the message names the field, what was expected, what came, what to do."""
