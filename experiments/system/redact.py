"""Keeps passwords off the screen: those that stand in URLs."""

from __future__ import annotations

import re


def mask_passwords(text: str) -> str:
    """The text with the password of every URL in it replaced by ***, before its host or in its query."""
    text = re.sub(r"(\w://[^\s/:@]*):(?!\d+/)\S*@", r"\1:***@", text)  # digits and a slash are a port
    return re.sub(r"([?&]\w*password=)[^&\s]*", r"\1***", text)
