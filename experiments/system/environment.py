"""Variables of this process's environment, set for a while."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager


@contextmanager
def environment(defaults: Mapping[str, str], also: Sequence[str] = ()) -> Iterator[None]:
    """Set those of the variables that are not set, for the block; settings that are there already stand.

    All of them are put back afterwards, and the ones in `also`, which somebody else sets meanwhile.
    """
    before = {name: os.environ.get(name) for name in (*defaults, *also)}
    os.environ.update({name: value for name, value in defaults.items() if name not in os.environ})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
