"""Audit: which pruned trials are taken, and that their overrides say what the table says."""

import pytest

from trivet import copied
from trivet.phases import audit

ROWS = [
    {"number": str(i), "state": state, "value": value}
    for i, (state, value) in enumerate(
        [("COMPLETE", "0.9"), ("PRUNED", "0.2"), ("PRUNED", "0.6"), ("FAIL", ""), ("PRUNED", "0.4"), ("PRUNED", ""), ("PRUNED", "0.1")]
    )
]


@pytest.mark.parametrize(
    ("n", "maximize", "expected"),
    [(9, True, ["2", "4", "1", "6"]), (2, True, ["2", "6"]), (2, False, ["6", "2"]), (1, True, ["2"]), (3, True, ["2", "1", "6"])],
)
def test_sample_spans_the_pruned_trials(n, maximize, expected):
    again = [{**row, "number": "9", "reason": copied.reason(int(row["number"]))} for row in ROWS]
    assert [row["number"] for row in audit.sample([*ROWS, *again], n, maximize)] == expected


def test_overrides_hold_the_active_parameters_only():
    study = {
        "space": [
            {"key": "optimizer", "spec": "choice(sgd, adamw)", "when": {}},
            {"key": "optimizer.lr", "spec": "tag(log, interval(0.001, 1.0))", "when": {"optimizer": "sgd"}},
            {"key": "optimizer.beta1", "spec": "interval(0.8, 0.95)", "when": {"optimizer": "adamw"}},
            {"key": "schedule.warmup", "spec": "null, 0.1", "when": {}},
        ]
    }
    row = {"number": "7", "optimizer": "sgd", "optimizer.lr": "0.05", "optimizer.beta1": "", "schedule.warmup": "null"}
    overrides = ["optimizer=sgd", "optimizer.lr=0.05", "schedule.warmup=null"]
    assert audit.entry(row, study) == {"overrides": overrides, "user_attrs": {"audited": 7}}
