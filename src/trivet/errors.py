"""Errors that reach a user as one line: what is wrong, with which value, and the mend."""

import errno
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


def place(error: OSError) -> str | None:
    """What is wrong with a path that cannot be read or written, in one line; None where the error names none, so it is no user's matter."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "there is no room left on the disk: make some, and run the same command again"
    if error.filename is None:
        return None
    if isinstance(error, FileExistsError | NotADirectoryError):
        why = "there is a file where a folder belongs; name another folder"
    elif isinstance(error, IsADirectoryError):
        why = "there is a folder where a file belongs; name another file"
    else:
        why = f"{error.strerror}; name another place, or mend this one"
    return str(UserError(f"{error.filename}: {why}"))


def exit_code(main: Callable[[], int | None]) -> int:
    """What a script's `main` returns, None as 0; where it raises `UserError`, or cannot read or write a path, that as one line, and 2."""
    try:
        return main() or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if (line := place(error)) is None:
            raise
        print(f"error: {line}", file=sys.stderr)
        return 2
