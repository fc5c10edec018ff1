"""What must hold of the report of any run: no figure that is none, one trial and two trials, no advice beside its opposite."""

import pytest
import random_runs
from report_stories import FINE, alone, said, search, trials
from said_stories import STORIES
from test_said import pinned, variations


@pytest.mark.parametrize("seed", [0, 31, 65, 74, 82, 105, 113, 198])
def test_what_holds_of_any_report(seed):
    context = random_runs.draw(seed)
    assert random_runs.broken(context, said(context)) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("The best reaches nan.", "a value that is none"), ("0 of 0 trials", "nothing of nothing"), ("about 1 trials more", "one of many"),
        ("after 3 epoch.", "many of one"), ("reached 101 % of it", "a share above all"), ("a gain of -0.00 points", "minus nought"),
        ("none ()", "an empty bracket"), ("It ended..", "two stops"), ("reached {value}", "a placeholder"), ("1 times: oom", "once"),
        ("95.0 % (95 % interval 96.0 to 97.0)", "an interval without its estimate"), ("Stop searching: no", "Stop searching: beside"),
        ("### Value\n\n### Other\n\ntext", "nothing under ### Value"), ("### Last\n\n", "nothing under ### Last"),
    ],
)  # fmt: skip
def test_what_does_not_hold_is_seen(text, what):
    few = alone(search([0.9, 0.91]))
    assert [line for line in random_runs.broken(few, text) if line.startswith(what)]
    assert random_runs.broken(few, "1 trial of 100 %, 0.1 trials, 2 epochs, 1,001 trials, information (95 % interval 1 to 2)") == []


def test_what_never_stands_in_a_report_stands_in_no_pinned_one():
    texts = {name: pinned(name).split("\nchart ")[0] for name in STORIES} | variations()
    assert {name: found for name, text in texts.items() if (found := random_runs.odd(random_runs.prose(text)))} == {}


ROOM = [*[0.5] * 10, *[0.6] * 5, *[0.7] * 5]


@pytest.mark.parametrize(
    ("values", "metric", "direction", "told"),
    [
        ([*ROOM[:-1], 0.98], "val/accuracy", "maximize", True), ([*ROOM[:-1], 0.995], "val/accuracy", "maximize", False),
        ([*ROOM[:-1], 1.0], "val/accuracy", "maximize", False), ([2 - value for value in [*ROOM[:-1], 0.9]], "val/loss", "minimize", True),
        ([value - 0.7 for value in ROOM], "score", "maximize", False),
        ([*[0.5] * 10, *[0.7] * 6, *[0.6] * 4], "val/accuracy", "maximize", False),  # the last part brought nothing
        ([*[0.5] * 10, *[0.6] * 6, *[0.7] * 4], "val/accuracy", "maximize", True),
    ],
)  # fmt: skip
def test_one_more_point_is_told_where_there_is_room_for_it(values, metric, direction, told):
    text = said(alone(search(values, metric=metric, direction=direction)))
    assert ("One more per" in text) == told


@pytest.mark.parametrize(
    ("n", "sentence"),
    [
        (0, "No trial reported a usable value (0 failed)"),
        (1, "The one trial never reported a usable value (1 failed)"),
        (2, "None of 2 trials reported"),
    ],
)
def test_what_is_said_without_a_value(n, sentence):
    assert sentence in said(alone(search(trials([float("nan")] * n, state="FAIL"))))
    assert "usable value (" not in said(alone(FINE))
