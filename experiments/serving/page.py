"""The page for people: one file without a network, which runs no script but its own."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from pathlib import Path

import numpy as np
from PIL import Image

PAGE = Path(__file__).with_name("page.html")


def read_page() -> tuple[bytes, dict[str, str]]:
    """The page and its headers: a policy by which the browser takes scripts and styles by their checksums only."""
    text = PAGE.read_text(encoding="utf-8")
    script, style = (_digest(text, tag) for tag in ("script", "style"))
    policy = (
        f"default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src 'self'; img-src blob: data:; "
        "media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text.encode(), {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}


def as_data_url(image: np.ndarray) -> str:
    """A raw uint8 image (height, width, channels) as text that a page shows."""
    file = io.BytesIO()
    Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(file, "png")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _digest(text: str, tag: str) -> str:
    (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    return "sha256-" + base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
