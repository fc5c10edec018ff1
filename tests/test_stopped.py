"""How a table says that a trial was stopped early, of feasible trials and of those that broke a constraint."""

import pytest

from trivet.stopped import other_reason, reason, was_stopped

BROKEN = "infeasible: size is 3, must be <= 2; one is 2, must be <= 1"
COPY = "copied from trial 3: the same configuration"


@pytest.mark.parametrize(
    ("state", "why", "stopped", "rest"),
    [
        ("PRUNED", "", True, ""),
        ("COMPLETE", "", False, ""),
        ("FAIL", "pruned; " + BROKEN, False, ""),
        ("INFEASIBLE", BROKEN, False, ""),
        ("INFEASIBLE", reason(BROKEN), True, ""),
        ("INFEASIBLE", f"{COPY}; {BROKEN}", False, COPY),
        ("INFEASIBLE", f"{COPY}; {reason(BROKEN)}", True, COPY),
        ("INFEASIBLE", "", False, ""),
        ("PRUNED", COPY, True, COPY),
    ],
)
def test_what_a_row_says(state, why, stopped, rest):
    assert was_stopped(state, why) == stopped and other_reason(why) == rest
