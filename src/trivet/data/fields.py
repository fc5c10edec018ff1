"""The settings of each source, as conf/data gives them, and which of them do not change what is prepared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trivet.options import REQUIRED, Described, Either, Flag, ListOf, MapOf, Maybe, OneOf, Real, Text, Whole

PLACE_ONLY = frozenset({"path", "published", "folder", "download", "url", "folds", "fold", "outer_folds", "outer_fold"})
"""Settings that do not change what is prepared."""
FILE_KEYS = {"arrays": ("file",), "table": ("file", "test_file")}  # settings that name a file of the user's, by source
LAYOUTS = ("auto", "nhw", "nhwc", "nchw", "nlc", "ncl")


@dataclass(frozen=True)
class Character:
    r"""One character that is no line end and no quote; `\t` and `tab` mean the tab, which a shell does not pass on easily."""

    default: Any = REQUIRED

    def allowed(self) -> str:
        return "one character, or tab"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str) and (value in ("\\t", "tab") or (len(value) == 1 and value not in '\r\n"'))


FRACTION = Real(0, 1, open="both")
COMMON: dict[str, Any] = {
    "path": Text(default="data/prepared"),
    "val_fraction": FRACTION,
    "seed": Whole(0, default=0),
    "folds": Maybe(Whole(2, 10**6)),
    "fold": Whole(0, default=0),
    "outer_folds": Maybe(Whole(2, 10**6)),
    "outer_fold": Whole(0, default=0),
    "published": MapOf(Real(), default={}),
}
HELD_OUT = {**COMMON, "test_fraction": FRACTION}
TASK = OneOf(("classification", "regression"))
NAME = Either((Text(), Real()))  # of a column; a number names it as it is written
NAMES = Described(Either((NAME, ListOf(NAME, low=0))), "a list of columns", default=[])
READING: dict[str, Any] = {
    "sep": Maybe(Character()),
    "decimal": Character(default="."),
    "thousands": Maybe(Character()),
    "encoding": Maybe(Text()),
    "na_values": Maybe(
        Described(Either((NAME, ListOf(NAME, low=0), MapOf(Either((NAME, ListOf(NAME)))))), 'cells, such as ["?", -999], or {age: [-999]}')
    ),
}

FIELDS: dict[str, dict[str, Any]] = {
    "mnist1d": COMMON,
    "digits": HELD_OUT,
    "mnist5k": HELD_OUT,
    "cifar10": {**COMMON, "folder": Text(), "download": Flag(default=False), "url": Maybe(Text()), "md5": Maybe(Text())},
    "arrays": {**HELD_OUT, "file": Maybe(Text()), "task": TASK, "layout": OneOf(LAYOUTS, default="auto")},
    "table": {
        **HELD_OUT,
        **READING,
        "file": Maybe(Text()),
        "test_file": Maybe(Text()),
        "target": Maybe(NAME),
        "task": TASK,
        "drop_missing_target": Flag(default=False),
        "categorical": NAMES,
        "drop": NAMES,
        "impute": OneOf((None, "mean", "median"), default=None),
        "max_categories": Whole(2, default=256),
        "many_categories": OneOf((None, "target", "frequency"), default=None),
    },
}


def canonical(values: dict[str, Any]) -> dict[str, Any]:
    """Checked settings as the readers take them: columns by texts, and one alone in a list."""
    if values["name"] != "table":
        return values
    target = values["target"]
    named = {key: [str(one) for one in _listed(values[key])] for key in ("categorical", "drop")}
    more = {"target": None if target is None else str(target), "na_values": _marks(values["na_values"])}
    return {**values, **named, **more}


def _marks(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(column): _listed(cells) for column, cells in value.items()}
    return None if value is None else _listed(value)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
