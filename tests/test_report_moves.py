"""How the ranges moved between the two searches, read from the spaces that were searched."""

from __future__ import annotations

import pandas as pd
import pytest
from report_stories import COARSE, LR, said, search, story

from trivet import space
from trivet.reporting.sections.moves import change, moves


def test_the_space_that_was_searched_is_reported():
    proposed = pd.DataFrame([("lr", "", LR, "tag(log, interval(0.01, 0.1))", "narrowed", "The best lie there.")], columns=MOVES)
    as_proposed = search([0.95], name="fine", spec="tag(log, interval(0.01, 0.1))")
    edited = search([0.95], name="fine", spec="tag(log, interval(0.0001, 0.1))")
    text = said(story(fine=as_proposed, moves=proposed))
    assert "of 1 range: 1 narrowed." in text and "The best lie there." in text and "not what the narrow stage" not in text
    text = said(story(fine=edited, moves=proposed))
    assert "of 1 range: 1 widened. 1 range is not what the narrow stage had proposed." in text
    assert "tag(log, interval(0.0001, 0.1))" in text and "The best lie there." not in text
    stale = proposed.assign(coarse="tag(log, interval(0.1, 1))")
    assert "The table of moves is left out: it starts from another range of lr" in said(story(fine=edited, moves=stale))


MOVES = ["key", "when", "coarse", "fine", "change", "why"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (LR, LR, "kept"),
        (LR, "tag(log, interval(0.01, 1.0))", "narrowed"),
        (LR, "tag(log, interval(0.001, 0.9))", "narrowed"),
        (LR, "tag(log, interval(0.001, 2.0))", "widened"),
        (LR, "tag(log, interval(0.0001, 0.5))", "widened"),
        (LR, "tag(log, interval(2.0, 3.0))", "changed"),
        (LR, "interval(0.001, 1.0)", "changed"),
        ("choice(1, 2, 3)", "choice(2, 1)", "narrowed"),
        ("choice(1, 2, 3)", "choice(2)", "fixed"),
        ("choice(1, 2)", "choice(1, 2, 4)", "widened"),
        ("choice(1, 2)", "choice(1, 4)", "changed"),
        ("choice(1, 2)", None, "dropped"),
        (None, "choice(1, 2)", "added"),
    ],
)
def test_what_became_of_a_range(old, new, expected):
    assert change(*(text and space.parse(text, "key") for text in (old, new))) == expected


def test_a_range_that_the_command_fixed_is_fixed_not_dropped():
    fine = search([0.95], name="fine", spec=None, overrides=["hparams=fine", "lr=0.05"])
    (move,) = moves(COARSE, fine, None)
    assert (move.change, move.fine) == ("fixed", "0.05")
    (move,) = moves(COARSE, search([0.95], name="fine", spec=None), None)
    assert (move.change, move.fine) == ("dropped", None)
