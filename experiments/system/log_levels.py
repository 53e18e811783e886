"""The levels of Python's loggers, set for a while."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def levels(wanted: Mapping[str, int]) -> Iterator[None]:
    """Give loggers, by their names, these levels for the block, and back what they had: their handlers too."""
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
