"""Errors that reach a user as one line: what is wrong, with which value, and the mend."""

import re
import sys
from collections.abc import Callable

from trivet import secrets

LONGEST = 2000  # characters of a message: a value in it may be of any length


class UserError(ValueError):
    """Wrong input. The message is one line that names the key, the value, what is allowed and the mend.

    Passwords in it are masked, what cannot be printed is escaped, whoever wrote it, and of a very long one the middle is left out.
    """

    def __init__(self, message: object = "") -> None:
        line = secrets.line(message)
        super().__init__(line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}")


class StorageGone(UserError):
    """A study's storage cannot be reached: no fault of a trial, so it makes no row."""


_NAMED = re.compile(r"[\w.]*(Error|Exception|Exit|Interrupt)\b")


def is_hint(line: str) -> bool:
    """Whether a line is what Hydra prints after every error, which says nothing of it."""
    return "HYDRA_FULL_ERROR" in line


def last_words(text: str, otherwise: str) -> str:
    """The line of a failed program's output that says why: the last one that names an exception, else the last; `otherwise` for none."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not is_hint(line)]
    return ([line for line in lines if _NAMED.match(line)] or lines or [otherwise])[-1]


def exit_code(main: Callable[[], int | None]) -> int:
    """What a script's `main` returns, None as 0; where it raises `UserError`, that as one line on stderr, and 2."""
    try:
        return main() or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
