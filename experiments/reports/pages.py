"""Pages of HTML that need no network: a template of this folder, filled in, with its pictures inside."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, select_autoescape


def render(template: str, **values: Any) -> str:
    """The template filled in; texts are escaped."""
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape())
    return environment.get_template(template).render(**values)


def inline(data: bytes) -> str:
    """A picture as the text that follows `data:image/png;base64,`."""
    return base64.b64encode(data).decode()
