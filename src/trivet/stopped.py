"""How a table says of a trial that a pruner stopped it: by its state, or, where it broke a constraint besides, by its reason.

>>> was_stopped("INFEASIBLE", reason("infeasible: size is 3, must be <= 2"))
True
"""

from __future__ import annotations

import re

_MARK = "pruned; "
_BROKEN = re.compile(rf"(?:^|; ?)({_MARK})?infeasible: .*", re.DOTALL)


def reason(broken: str) -> str:
    """What the row of a trial has as its reason that was stopped early and broke a constraint; `broken` says which."""
    return _MARK + broken


def was_stopped(state: str, reason: object) -> bool:
    """Whether a row of trials.csv with this state and reason is that of a trial that a pruner stopped."""
    found = _BROKEN.search(str(reason)) if state == "INFEASIBLE" else None
    return state == "PRUNED" or (found is not None and found[1] is not None)


def other_reason(reason: str) -> str:
    """The reason of an infeasible trial's row without what makes it infeasible: "" unless it is a copy."""
    return _BROKEN.sub("", reason)
