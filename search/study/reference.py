"""The tables of docs/study.md, from the sections' declarations: `python -m tailor.search.study.reference docs/study.md`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from .sections import SECTIONS
from .validate import section

HEAD = "| key | default | what it is |\n| --- | --- | --- |\n"


def table(kind: type) -> str:
    """A section's keys as a Markdown table."""
    schema = section(kind)
    rows = [f"| `{name}` | {_show(name, schema)} | {one['description']} |\n" for name, one in schema["properties"].items()]
    return HEAD + "".join(rows)


def _show(name: str, schema: dict[str, Any]) -> str:
    """The key's default, as the table shows it."""
    key = schema["properties"][name]
    if name in schema.get("required", ()):
        return "must be there"
    if "shown" in key:
        return str(key["shown"])
    return "–" if key["default"] in (None, []) else f"`{json.dumps(key['default'])}`"


def rewrite(page: str) -> str:
    """The page with a new first table after each section's heading."""
    for name, kind in SECTIONS.items():
        head, heading, rest = page.partition(f"\n## [{name}]\n")
        page = head + heading + re.sub(r"(?m)(^\|.*\n)+", lambda _, kind=kind: table(kind), rest, count=1)  # type: ignore[misc]
    return page


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(rewrite(path.read_text(encoding="utf-8")), encoding="utf-8")
