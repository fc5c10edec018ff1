"""What a person may write on a command line to mend what a line says: quoted where Hydra or a shell would take it for something else."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

PLAIN = re.compile(r"(?!(?:null|true|false|nan|inf)$)[A-Za-z_]\w*", re.IGNORECASE | re.ASCII)


def mark(key: str, character: str) -> str:
    """The word that sets `key` to one character.

    >>> mark("data.decimal", ",")
    '\\'data.decimal=","\\''
    """
    plain = {"\t": "tab"}.get(character, character)
    return f"{key}={plain}" if re.fullmatch(r"tab|[._]", plain) else text(key, character)


def marks(thousands: str | None = None, decimal: str | None = None) -> str:
    """What to set where numbers are written with these marks."""
    given = {"thousands": thousands, "decimal": decimal}
    return " and ".join(mark(f"data.{key}", character) for key, character in given.items() if character is not None)


def text(key: str, value: str) -> str:
    """The word that sets `key` to a text, quoted for a shell and for Hydra.

    >>> text("data.target", "height (cm)")
    '\\'data.target="height (cm)"\\''
    """
    return shlex.quote(f"{key}={_quoted(value)}")


def listed(key: str, values: Iterable[str], quoted: bool = False) -> str:
    """The word that sets `key` to a list of texts.

    >>> listed("data.drop", ["id"])
    'data.drop=[id]'
    >>> listed("data.drop", ["height (cm)"])
    '\\'data.drop=["height (cm)"]\\''
    """
    values = list(values)
    if not quoted and all(PLAIN.fullmatch(value) for value in values):
        return f"{key}=[{','.join(values)}]"
    return shlex.quote(f"{key}=[{','.join(map(_quoted, values))}]")


def missing(column: str, value: str) -> str:
    """The word that names a mark of missing values of a column; of all columns where Hydra has no way to write the column's name.

    >>> missing("age", "-999")
    '\\'data.na_values={age: ["-999"]}\\''
    """
    if PLAIN.fullmatch(column):
        return shlex.quote(f"data.na_values={{{column}: [{_quoted(value)}]}}")
    return f"{listed('data.na_values', [value], quoted=True)}, which holds in every column"


def _quoted(text: str) -> str:
    """In Hydra's quotes: a quote is escaped, and so are the backslashes before one, or before the end."""
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', text)
    return '"' + re.sub(r"(\\+)$", r"\1\1", escaped) + '"'
