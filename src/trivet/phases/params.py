"""params.yaml before a stage's command: DVC puts its values into a shell, where `seed: "0; rm -rf x"` would run.

python pipelines/params.py          # says nothing, or which value is refused, and why
trivet params                       # the same for the knobs of an app of one's own: what else is in the file is the user's

The first command of each stage that is given one. What passes is a number, a boolean, null, or a text that is one plain word to any shell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from trivet.errors import UserError
from trivet.options import Flag, Real, Whole, show

PLAIN = re.compile(r"[A-Za-z0-9_+./:@%][A-Za-z0-9_+./:@%=,-]*")  # nothing that a shell takes for more than text, and no option
NAME = re.compile(r"[A-Za-z0-9_]\w*([.-]\w+)*")
NAMES = ("data", "model")  # files of conf/
KNOBS: dict[str, Whole | Real | Flag] = {
    "seed": Whole(0),
    "epochs": Whole(1),
    "coarse.n_trials": Whole(1),
    "narrow.top": Real(0, 1, open="low"),
    "fine.n_trials": Whole(1),
    "seeds.finalists": Whole(1),
    "seeds.n": Whole(1),
    "seeds.race": Flag(),
    "report.price_per_hour": Real(0),
    "report.spot_price_per_hour": Real(0),
}


def check(params: Any) -> None:
    """UserError for a known knob of the wrong kind, or any other value that a shell could take for more than a word."""
    if not isinstance(params, Mapping):
        raise UserError(f"params.yaml={show(params)}: must be a mapping from knobs to values")
    check_knobs(params)
    for key, value in leaves(params):
        if key in NAMES and not (isinstance(value, str) and NAME.fullmatch(value)):
            raise UserError(f"params.yaml: {key}={printed(value)}: must be the name of a file of conf/{key}/, without .yaml")
        if not (value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and PLAIN.fullmatch(value))):
            raise UserError(
                f"params.yaml: {key}={printed(value)}: must be a number or one word of letters, digits and _ + . / : @ % = , -, "
                "as it is put into a shell's command"
            )


def check_knobs(params: Any, name: str = "params.yaml") -> None:
    """UserError for a known knob of the wrong kind in the file of this name, which may be empty; other keys are not looked at."""
    if not isinstance(params, Mapping | None):
        raise UserError(f"{name}={printed(params)}: must be a mapping from knobs to values")
    for key, value in leaves(params or {}):
        if key in KNOBS and not KNOBS[key].accepts(value):
            raise UserError(f"{name}: {key}={printed(value)}: must be {KNOBS[key].allowed()}")


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of nested mappings and lists with its dotted key; an empty one counts as a value."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from leaves(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and value:
        for place, item in enumerate(value):
            yield from leaves(item, f"{key}[{place}]")
    elif value not in ({}, []):
        yield key, value


def printed(value: Any) -> str:
    """On one line, without what steers a terminal."""
    return show(value).encode("unicode_escape").decode()


def main(path: Path = Path("params.yaml"), ask: Callable[[Any], None] = check) -> None:
    """Check the file. UserError, in one line, also where it cannot be read."""
    try:
        params = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that is none
        raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())[:200]})") from error
    try:
        ask(params)
    except RecursionError as error:
        raise UserError(f"{path}: refers to itself; write its values out") from error
