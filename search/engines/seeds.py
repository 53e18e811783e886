"""Seeds that lie apart: those of two studies, or of two trials, share nothing, however close the numbers."""

from __future__ import annotations

import hashlib


def mix(seed: int, trial: int) -> int:
    """A 32-bit seed of (study seed, trial number)."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{trial}".encode()).digest()[:4], "big")
