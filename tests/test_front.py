"""What a report says of a search with two objectives, of which a parameter may move one alone."""

import re

import numpy as np
import pandas as pd
import pytest
from report_stories import alone, said, trials

from trivet import space
from trivet.diagnosis import EVERY, LAST, asked, diagnose, search_flags, space_flags
from trivet.diagnosis.front import beaten, between, candidates, front
from trivet.diagnosis.importance import idle
from trivet.diagnosis.sweep import Entry, Sweep

RATES = 10 ** np.random.default_rng(0).uniform(-3, 0, 60)
WIDTHS = np.random.default_rng(1).uniform(0, 1, 60)


def searched(accuracy, latency, **study) -> Sweep:
    """Of a rate and a width."""
    frame = trials(np.asarray(accuracy, dtype=float), lr=RATES[: len(accuracy)]).rename(columns={"value": "value_0"})
    frame = frame.assign(value_1=latency, width=WIDTHS[: len(accuracy)])
    entries = [Entry("lr", space.parse("tag(log, interval(0.001, 1.0))", "lr")), Entry("width", space.parse("interval(0.0, 1.0)", "width"))]
    known = {"metric": ["val/accuracy", "latency"], "config": {"epochs": 20}, "command": "python app.py -m", "seconds": 60.0} | study
    curves = pd.DataFrame({"number": pd.Series(dtype=int), "step": pd.Series(dtype=float)})
    return Sweep("coarse", frame, curves, ["lr", "width"], ["value_0", "value_1"], ["maximize", "minimize"], entries, known)


ACCURACY = 0.9 - 0.1 * np.log10(RATES) ** 2
APART = searched(ACCURACY, 10 * WIDTHS)  # the rate moves the accuracy, the width the latency
ON_THE_MOVE = searched([*np.linspace(0.5, 0.9, 8), 0.95, 0.95], [*np.linspace(1.0, 8.0, 8), 0.5, 0.5])
TOGETHER = searched(ACCURACY, 5 - 2 * np.log10(RATES))  # the width moves nothing


def test_a_parameter_that_moves_one_objective_is_not_idle():
    assert idle(APART) == [] and idle(TOGETHER) == ["width"]
    assert [one.objectives for one in APART.views] == [["value_0", "value_1"], ["value_1", "value_0"]]
    assert [one.names[0] for one in APART.views] == ["val/accuracy", "latency"] and not APART.views[1].maximize
    text = said(alone(APART))
    assert "Fix: " not in text and "changed nothing" not in text
    text = said(alone(TOGETHER))
    assert "- Fix: width, which made no visible difference" in text
    assert "worth no more than a column of random numbers, and so for the other objectives." in text


def test_nobody_asks_of_several_objectives_for_the_best_of_all():
    left = {search_flags.default_best, space_flags.edge, search_flags.improving, search_flags.flat}
    assert set(EVERY + LAST) - set(asked(APART)) == left and set(EVERY) == set(asked(APART, last=False))
    edge = searched(np.sort(ACCURACY), np.arange(60.0))
    edge.trials["width"] = np.linspace(0.01, 0.999, 60)
    assert not {"edge", "improving", "flat", "default_beats"} & {flag.key for flag in diagnose([edge])}
    assert "16 kinds of trouble were looked for" in said(alone(edge))


DEFAULTS = {"lr": RATES[0], "width": WIDTHS[0]}
FOUR = searched([0.5, 0.9, 0.8, 0.6, np.nan], [1.0, 9.0, 2.0, 5.0, 1.0], defaults=DEFAULTS)


def test_the_front_and_what_lies_between():
    assert candidates(FOUR)["number"].tolist() == [0, 1, 2, 3]
    assert front(FOUR)["number"].tolist() == [0, 2, 1] and between(FOUR)["number"] == 2
    assert [beaten(FOUR, number) for number in range(5)] == [0, 0, 0, 1, None]
    none = searched([np.nan, np.nan], [1.0, 2.0])
    assert between(none) is None and not len(front(none))


def test_the_headline_of_several_objectives():
    text = said(alone(FOUR))
    assert "With 2 objectives, 3 of 4 completed trials are beaten by no other in every one." in text
    assert "Best by each: val/accuracy 0.9 (trial 1) and latency 1 (trial 0)." in text
    assert "In between: Trial 2, the knee of the front: val/accuracy 0.8 and latency 2." in text
    assert "The default configuration is trial 0: no trial is better than it in every objective." in text
    assert f"lr={RATES[2]}" in re.search("Train the one in between again:.*", text, re.DOTALL)[0]
    assert "objectives val/accuracy (higher is better) and latency (lower is better)" not in text  # the subtitle is no section
    worse = searched([0.5, 0.9, 0.8], [9.0, 3.0, 2.0], defaults=DEFAULTS)
    assert "The default configuration is trial 0: 2 trials are better than it in every objective." in said(alone(worse))
    assert "1 trial is better than it" in said(alone(searched([0.8, 0.9, 0.7], [9.0, 3.0, 2.0], defaults=DEFAULTS)))
    assert "Against the default" not in said(alone(APART))
    one = said(alone(searched([0.9, 0.8], [1.0, 2.0])))
    assert one.count("1 of 2 completed trials is beaten by no other") == 4  # the headline twice, what next and the checklist


@pytest.mark.parametrize(
    ("last", "told"),
    [
        ([(0.95, 0.5)] * 2, "The last 2 trials moved the front: "),
        ([(0.6, 9.0)] * 2, "The last 2 trials did not move the front."),
    ],
)
def test_whether_the_front_still_moves(last, told):
    accuracy, latency = np.linspace(0.5, 0.9, 8), np.linspace(1.0, 8.0, 8)
    text = said(alone(searched([*accuracy, *(a for a, _ in last)], [*latency, *(b for _, b in last)])))
    assert told in text and "improved the best" not in text and "One more per" not in text
