"""Errors that reach a user as one line: what is wrong, with which value, and the mend."""

import sys
from collections.abc import Callable

from trivet import secrets


class UserError(ValueError):
    """Wrong input. The message is one line that names the key, the value, what is allowed and the mend.

    Passwords in it are masked, and what cannot be printed is escaped, whoever wrote it.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(secrets.line(message))


class StorageGone(UserError):
    """A study's storage cannot be reached: no fault of a trial, so it makes no row."""


def exit_code(main: Callable[[], int | None]) -> int:
    """What a script's `main` returns, None as 0; where it raises `UserError`, that as one line on stderr, and 2."""
    try:
        return main() or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
