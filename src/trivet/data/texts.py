"""Texts of a table as a person sees them: what looks the same is the same, however it was typed or exported.

Cells: composed letters (an o with two dots is one letter, not two), spaces that do not break as plain ones, none at either end, the minus
of typesetters as a hyphen, and no text for an empty one. Names of columns: composed, with one space where there are several or a line ends.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

import pandas as pd

from trivet import options

SPACES = "[\u00a0\u2007\u202f]"  # those that do not break, between the thousands of a number or after it
MINUS = r"^\u2212(?=[\d.,])"  # as typesetters write it


def cleaned(column: pd.Series) -> pd.Series:
    """A column of texts, NA where nothing is left of one."""
    texts = column.str.replace(SPACES, " ", regex=True).str.strip().str.replace(MINUS, "-", regex=True)
    if not texts.str.isascii().all(skipna=True):
        texts = texts.str.normalize("NFC")
    return texts.mask(texts == "")


def name(text: object) -> str:
    """A column's name."""
    return " ".join(unicodedata.normalize("NFC", str(text)).split())


def nearest(given: str, names: Iterable[object]) -> str:
    """A word for a name that is another one's but for small and capital letters, or nearly; "" where none is."""
    known = list(map(str, names))
    alike = [one for one in known if folded(one) == folded(given)]
    return f"; did you mean {alike[0]}?" if alike else options.nearest(given, known)


def folded(text: str) -> str:
    """What two texts have in common that differ only in small and capital letters, or in spaces."""
    return re.sub(r"\s+", " ", text).strip().casefold()
