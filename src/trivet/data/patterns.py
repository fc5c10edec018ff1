"""How people write what is no plain number: a missing value, a date, a number with marks or with a sign or unit beside it."""

from __future__ import annotations

import re

from trivet.data.mends import marks

EXCEL_ERRORS = frozenset(["#n/a", "#na", "#null!", "#value!", "#div/0!", "#ref!"])
MARKERS = EXCEL_ERRORS.union(
    ["?", "-", "--", "---", ".", "*", "na", "n/a", "n.a.", "n/k", "nan", "null", "none", "nil", "missing", "unknown", "<na>", "\\n"],
    ["(null)", "<null>", "(missing)", "(blank)", "(none)", "(unknown)", "not available", "not applicable", "no answer", "no data", "tbd"],
)
"""Small letters of what stands for a missing value."""

DAY = r"(?:[^\W\d_]{2,10}\.?,?\s+)?"  # of a week
YEAR, MONTH_NUMBER = r"(?:1[89]|20)\d\d", r"(?:0?[1-9]|1[0-2])"
MONTHS = (
    "jan|ene|gen|feb|f\u00e9v|fev|mar|m\u00e4r|mrz|apr|abr|avr|mai|may|mag|mei|maj|jun|juin|giu|jul|juil|lug|aug|ago|ao\u00fb|aou"
    "|sep|set|oct|okt|out|ott|nov|dec|dez|dic|d\u00e9c"
)
MONTH = rf"(?:{MONTHS})[^\W\d_]{{0,6}}"  # by their first letters, in languages of Europe
CLOCK = r"\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d+)?(?:\s*[ap]\.?m\.?)?"
ORDINAL = "(?:st|nd|rd|th)?"
DATE = re.compile(
    rf"{DAY}\d{{1,4}}[-/.]\d{{1,2}}[-/.]\d{{1,4}}(?:(?:T|,?\s+){CLOCK}.*)?"  # 2024-05-01, 1.5.24, 5/1/2024 10:30
    rf"|{CLOCK}"
    rf"|{YEAR}[-/]{MONTH_NUMBER}|{MONTH_NUMBER}[-/]{YEAR}|{YEAR}[-/ ]?[QW]\d{{1,2}}|[QW]\d{{1,2}}[-/ ]?{YEAR}"  # 2024-05, 05/2024, 2024Q1
    rf"|{DAY}(?:\d{{1,2}}{ORDINAL}[ .-]+)?(?:de\s+)?{MONTH}[ .,-]+(?:de\s+)?\d{{1,4}}{ORDINAL}(?:[ ,]+\d{{4}})?(?:,?\s+{CLOCK}.*)?",
    re.IGNORECASE,
)
OTHER_WAYS = (  # numbers written in another way than with a decimal point, and what to do
    (re.compile(r"[+-]?\d{1,3}(\.\d{3})+,\d+"), "set " + marks(".", ",")),
    (re.compile(r"[+-]?\d{1,3}(,\d{3})+\.\d+"), "set " + marks(",")),
    (re.compile(r"[+-]?\d{1,3}(,\d{3})+"), f"set {marks(',')} (or {marks(decimal=',')})"),
    (re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?"), "set " + marks(decimal=",")),
    (re.compile(r"[+-]?\d{1,3}('\d{3})+(\.\d+)?"), "set " + marks("'")),
    (re.compile(r"[+-]?\d{1,3}(\u2019\d{3})+(\.\d+)?"), "set " + marks("\u2019")),
    (re.compile(r"[+-]?\d{1,3}( \d{3})+(\.\d+)?"), "set " + marks(" ")),
    (re.compile(r"[+-]?\d{1,3}(_\d{3})+(\.\d+)?"), "set " + marks("_")),
    (re.compile(r"[+-]?\d{1,3}(\.\d{3}){2,}"), "set " + marks(".", ",")),
    (re.compile(r"[+-]?\d{1,2}(,\d{2})+,\d{3}(\.\d+)?"), "write them without marks between the digits"),
    (re.compile(r"[+-]?(\d+\.\d*|\.\d+)[dD][+-]?\d+"), "write e for the exponent"),
)
POINT = re.compile(r"[+-]?(\d+\.\d*|\.\d+)([eE][+-]?\d+)?")
NUMBER = r"[+-]?\d[\d.,'\u2019_ ]*(?:[eE][+-]?\d+)?"
SIGN = r"[$\u20ac\u00a3\u00a5\u20b9\u20bd]"
UNIT = rf"{SIGN}|[%\u2030\u00b0]|\u00b0?[^\W\d_]{{1,8}}[\u00b2\u00b3]?(?:/[^\W\d_]{{1,8}}[\u00b2\u00b3]?)?"
DECORATED = re.compile(rf"[+-]?(?P<before>{SIGN}|[A-Z]{{2,3}}(?=\s)|['<>~=\u2264\u2265])\s?{NUMBER}|{NUMBER}\s?(?P<after>{UNIT})")
