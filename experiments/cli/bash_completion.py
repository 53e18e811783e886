"""Completion for bash, by the line as it was typed: bash splits words at the `:` of STUDY:TRIAL and the `@` of NAME@ALIAS."""

from __future__ import annotations

import os
import re

from click.shell_completion import BashComplete, CompletionItem, add_completion_class, split_arg_string

SCRIPT = """\
%(complete_func)s() {
    local IFS=$'\\n' response completion type value
    response=$(env COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" %(complete_var)s=bash_complete $1)
    for completion in $response; do
        IFS=',' read type value <<< "$completion"
        if [[ $type == 'dir' ]]; then
            compopt -o dirnames
        elif [[ $type == 'file' ]]; then
            compopt -o default
        elif [[ $type == 'plain' ]]; then
            COMPREPLY+=("$value")
            [[ $value == *' '* ]] && compopt -o filenames  # a space is escaped
        fi
    done
    return 0
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""
# A word as it stands in the line; its end may be missing.
WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*(?:"|$)|'[^']*(?:'|$))+""")
BREAK = re.compile(r"^(?:[^\"'\\]|\\.)*(?<!\\)[:@=]")  # what of it bash takes for words of their own


class BashLine(BashComplete):
    """Click's completion of the last word of the line; it answers with what bash replaces."""

    source_template = SCRIPT

    def get_completion_args(self) -> tuple[list[str], str]:
        if "COMP_LINE" not in os.environ:  # asked by the script of an earlier version
            return super().get_completion_args()
        line, typed = _read_line()
        return split_arg_string(line.removesuffix(typed))[1:], "".join(split_arg_string(typed)[:1])

    def format_completion(self, item: CompletionItem) -> str:
        begun = BREAK.match(_read_line()[1])
        left = "" if begun is None else "".join(split_arg_string(begun[0])[:1])
        return f"{item.type},{item.value.removeprefix(left)}"


def _read_line() -> tuple[str, str]:
    """The line up to the cursor, and its last word; that is empty after a space."""
    line = os.environ.get("COMP_LINE", "")
    line = line[: int(os.environ.get("COMP_POINT", len(line)))]
    *_, last = [None, *WORD.finditer(line)]
    return line, last[0] if last is not None and last.end() == len(line) else ""


def register() -> None:
    """Take the place of click's completion for bash."""
    add_completion_class(BashLine, "bash")
