"""Completion for bash, by the line as it was typed: bash splits words at the `:` of STUDY:TRIAL and the `@` of NAME@ALIAS."""

from __future__ import annotations

import os
import re

from click.shell_completion import BashComplete, CompletionItem, add_completion_class, split_arg_string

SCRIPT = """\
%(complete_func)s() {
    local IFS=$'\\n' response completion type value
    response=$(env COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" %(complete_var)s=bash_complete $1)
    compopt -o filenames  # a space in a name is escaped
    for completion in $response; do
        IFS=',' read type value <<< "$completion"
        if [[ $type == 'dir' ]]; then
            compopt -o dirnames
        elif [[ $type == 'file' ]]; then
            compopt -o default
        elif [[ $type == 'plain' ]]; then
            COMPREPLY+=("$value")
        fi
    done
    return 0
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""
TYPED = re.compile(r"""(?:[^\s"'\\]|\\.|"[^"]*"?|'[^']*'?)*$""")  # the last word, as it stands in the line
BREAK = re.compile(r"^(?:[^\"'\\]|\\.)*(?<!\\)[:@=]")  # what of it bash takes for words of their own


class BashLine(BashComplete):
    """Click's completion of the last word of the line; it answers with what bash replaces."""

    source_template = SCRIPT

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ["COMP_LINE"].encode()[: int(os.environ["COMP_POINT"])].decode(errors="ignore")
        typed = _find_typed(line)
        return split_arg_string(line.removesuffix(typed))[1:], "".join(split_arg_string(typed)[:1])

    def format_completion(self, item: CompletionItem) -> str:
        typed = _find_typed(os.environ["COMP_LINE"].encode()[: int(os.environ["COMP_POINT"])].decode(errors="ignore"))
        begun = BREAK.match(typed)
        left = "" if begun is None else "".join(split_arg_string(begun[0])[:1])
        return f"{item.type},{item.value.removeprefix(left)}"


def _find_typed(line: str) -> str:
    found = TYPED.search(line)
    return "" if found is None else found[0]


def register() -> None:
    """Take the place of click's completion for bash."""
    add_completion_class(BashLine, "bash")
