"""What the report says of spot machines: the price, what an interruption repeats, and how many of them are worth it."""

import pytest
import report_stories
from report_stories import COARSE

from trivet.reporting.context import Context
from trivet.reporting.sections import spot, went
from trivet.reporting.tables import Results


def context(**prices):
    """12 trials of 20 epochs, 1 second each: an epoch takes 0.05 s, the search 12 s."""
    from pathlib import Path

    return Context([COARSE], Results(Path(), coarse=COARSE, params={"report": prices}))


@pytest.mark.parametrize(
    ("prices", "parts"),
    [
        (
            {"price_per_hour": 3600, "spot_price_per_hour": 1200},
            ["1,200.00 per hour", "cost 4,000.00 instead of 12,000.00", "480 interruptions"],
        ),
        ({"spot_price_per_hour": 1200}, ["it would have cost 4,000.00. An interruption repeats at most one epoch"]),
        ({"price_per_hour": 600, "spot_price_per_hour": 1200}, ["spot machines save nothing"]),
        ({"price_per_hour": 1201, "spot_price_per_hour": 1200}, ["which is more than they save"]),
    ],
)
def test_spot_machines_are_priced(prices, parts):
    prices = {name: value * 1000 for name, value in prices.items()}
    said = "".join(spot.words(context(**prices)))
    for part in parts:
        assert part.replace("1,200.00 per", "1,200,000.00 per") in said


@pytest.mark.parametrize("price", [0, None, "many", -1, float("nan"), True])
def test_without_a_price_nothing_is_said(price):
    assert spot.words(context(spot_price_per_hour=price)) == []


def test_it_stands_with_what_the_search_cost():
    assert "On spot machines" in report_stories.markdown.render(
        report_stories.Report("t", "", [went.build(context(spot_price_per_hour=2.5))])
    )
