"""How people name a version, NAME, NAME@ALIAS or NAME/VERSION, and the tags that predictions read. Imports no MLflow."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...search.study.key_values import LONGEST_RECORDED_NAME, check_name
from ..errors import InputError

CHAMPION = "champion"
SHA256, CODE_SHA256 = "tailor.sha256", "tailor.code_sha256"  # of a model's files
INPUT_SHAPE = "tailor.input_shape"
LOOKS = "tailor.looks"  # of the training images; older versions lack it


@dataclass(frozen=True)
class Reference:
    """A version by its alias or its number; the other is None."""

    name: str
    alias: str | None
    version: str | None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """NAME is its champion. Raises InputError."""
        match = re.fullmatch(r"(?P<name>[^@/]+)(?:@(?P<alias>[^@/]+)|/(?P<version>[^@/]+))?", text)
        if match is None:
            raise InputError(f"NAME: expected NAME, NAME@ALIAS or NAME/VERSION, got {text!r}.")
        alias = match["alias"] or (None if match["version"] else CHAMPION)
        return cls(check_name("NAME", match["name"], LONGEST_RECORDED_NAME), alias, match["version"])
