"""Set the levels of Python's loggers for a block."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def levels(wanted: Mapping[str, int]) -> Iterator[None]:
    """Give the named loggers these levels for the block; then put back their levels and handlers."""
    loggers = {logging.getLogger(name): level for name, level in wanted.items()}
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    for logger, level in loggers.items():
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, level, handlers in before:
            logger.setLevel(level)
            logger.handlers[:] = handlers
