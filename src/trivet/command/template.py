"""A command line with placeholders: `python train.py --lr {lr}`; `{{` and `}}` are braces."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trivet.errors import UserError

GIVEN = ("folder", "seed", "trial", "gpus", "n_gpus")
"""Placeholders that are given: the trial's own folder (the same after every restart), the seed, the trial's number, the devices of the
trial as CUDA_VISIBLE_DEVICES names them (empty without any), and how many they are."""

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_NAME = re.compile(r"[A-Za-z_][\w-]*(\.[\w-]+)*")


@dataclass(frozen=True)
class Template:
    """`words` are the arguments before they are filled in; with `shell` there is one, the whole line for `sh -c`."""

    words: tuple[str, ...]
    shell: bool = False

    @classmethod
    def read(cls, line: str | Sequence[str], shell: bool = False) -> Template:
        """A line is split into arguments as a POSIX shell splits it; no shell runs. A list is taken as it is.

        With `shell` the line goes to `sh -c`, every value quoted. Raises `UserError` for a line that cannot be split, has an odd brace, or
        a placeholder that is no name.
        """
        if shell and not isinstance(line, str):
            raise UserError("command.shell=true: needs command.line as one text, not a list")
        try:
            words = (line,) if shell and isinstance(line, str) else tuple(shlex.split(line) if isinstance(line, str) else map(str, line))
        except ValueError as error:
            raise UserError(f"command.line={line}: cannot be split into arguments ({error}); close the quotes") from None
        if not words or not words[0].strip():
            raise UserError("command.line is empty: give the program and its arguments, such as 'python train.py --lr {lr}'")
        for word in words:
            for match in _PLACEHOLDER.finditer(word):
                if match[0] in ("{", "}"):
                    raise UserError(f"command.line: {word!r} has a brace alone; write {{{{ or }}}} for a brace")
                if match[1] is not None and not _NAME.fullmatch(match[1]):
                    raise UserError(f"command.line: {match[0]} in {word!r} is no placeholder; write {{{{ and }}}} for braces")
                if match[1] is not None and shell and _within_quotes(word[: match.start()]):
                    raise UserError(f"command.line: {match[0]} stands within quotes; its value is quoted itself, so leave them out")
        return cls(words, shell)

    @property
    def parameters(self) -> list[str]:
        """The placeholders that are not given, in their order: dotted names of the config."""
        names = [match[1] for word in self.words for match in _PLACEHOLDER.finditer(word) if match[1] is not None]
        return [name for name in dict.fromkeys(names) if name not in GIVEN]

    def fill(self, values: Mapping[str, Any]) -> list[str]:
        """The arguments of a run, as `subprocess` takes them. `values` by placeholder; texts as they are, the rest as YAML writes it."""

        def value(match: re.Match[str]) -> str:
            if match[1] is None:
                return match[0][0]
            shown = text(values[match[1]])
            return shlex.quote(shown) if self.shell else shown

        filled = [_PLACEHOLDER.sub(value, word) for word in self.words]
        return ["sh", "-c", *filled] if self.shell else filled


def _within_quotes(before: str) -> bool:
    """Whether a shell is inside quotes after reading this much of a line."""
    quote, escaped = "", False
    for character in before:
        if escaped:
            escaped = False
        elif character == "\\" and quote != "'":
            escaped = True
        elif not quote and character in "'\"":
            quote = character
        elif character == quote:
            quote = ""
    return bool(quote)


def text(value: Any) -> str:
    """A parameter as an argument: true, false and null as YAML writes them, lists as [a,b], numbers with all their digits."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ",".join(text(item) for item in value) + "]"
    return str(value)
