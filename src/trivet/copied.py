"""How a table says of a trial that nothing was trained for it: its row is a copy of an earlier one with the same configuration.

Such a row cost nothing, and it is no evidence of its own.

>>> is_copy("COMPLETE", reason(3))
True
"""

from __future__ import annotations

_START = "copied from trial "


def reason(number: int) -> str:
    """What the row of a copy has as its reason."""
    return f"{_START}{number}: the same configuration"


def is_copy(state: str, reason: object) -> bool:
    """Whether a row of trials.csv with this state and reason is a copy. A failed trial is none, whatever its reason says."""
    return state != "FAIL" and str(reason).startswith(_START)
