"""Keeps the passwords in URLs off the screen."""

from __future__ import annotations

import re


def mask_passwords(text: str) -> str:
    """Replace the password of every URL in the text by ***, before the host or in the query."""
    text = re.sub(r"(\w://[^\s/:@]*):(?!\d+/)\S*@", r"\1:***@", text)  # digits and a slash are a port
    return re.sub(r"([?&]\w*password=)[^&\s]*", r"\1***", text)
