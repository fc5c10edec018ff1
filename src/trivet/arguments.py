"""The words of a command, by argparse: whatever is wrong with them is one line, as all that is wrong here is.

>>> Parser(prog="trivet audit").parse_args(["--m"])
Traceback (most recent call last):
trivet.errors.UserError: trivet audit: unrecognized arguments: --m; `trivet audit --help` lists what it takes
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from trivet.errors import UserError
from trivet.options import nearest

MISSING = "the following arguments are required"


class Parser(argparse.ArgumentParser):
    """Raises `UserError`, with the word that was probably meant, where argparse would print its usage and leave."""

    _words: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        self._words = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        flags = self._flags()
        unknown = [word for word in map(_flag, self._words[: _end(self._words)]) if word and not any(f.startswith(word) for f in flags)]
        if unknown and message.startswith(MISSING):  # a flag that is misspelt, and not what it left out
            message = f"unrecognized arguments: {unknown[0]}"
        close = nearest(unknown[0], flags) if unknown and "unrecognized" in message else ""
        if choice := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            close = nearest(choice[1], re.findall(r"'(.*?)'", choice[2]))
        raise UserError(f"{self.prog}: {message}{close}; `{self.prog} --help` lists what it takes")

    def _flags(self) -> list[str]:
        """Its own, and those of the subcommand that is named."""
        flags = [text for action in self._actions for text in action.option_strings]
        for action in self._actions:
            named = action.choices.get(self._words[0]) if isinstance(action.choices, dict) and self._words else None
            flags += named._flags() if isinstance(named, Parser) else []
        return flags


def _flag(word: str) -> str:
    """The flag that a word is, without its value; "" for another, such as a number below 0."""
    return word.partition("=")[0] if re.match(r"--?[A-Za-z]", word) else ""


def _end(words: Sequence[str]) -> int:
    return list(words).index("--") if "--" in words else len(words)
