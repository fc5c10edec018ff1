"""Where narrowing begins and ends: both sides of every threshold, and what is said there, word for word."""

import pytest

from trivet.errors import UserError
from trivet.space import Choice, Fixed, Float, Int, Param, narrow, to_text

X = Float(0, 99)  # ends are rounded to whole numbers: a hundredth of it
AB = Choice(("a", "b"))
ABCD = Choice(("a", "b", "c", "d"))
SIZES = Choice((16, 32, 64, 128))


def even(low, high, n):
    return [low + (high - low) * i / (n - 1) for i in range(n)]


def outside(n):
    """As many bad trials at both ends."""
    return [0.0, 99.0] * (n // 2)


def move(spec, complete, *, key="a.x", pruned=(), failed=(), when=(), direction="maximize", **thresholds):
    """(change, fine, why) where trials complete with these values, the best first; pruned ones look better, and count for less."""
    values = [*((v, "COMPLETE") for v in complete), *((v, "PRUNED") for v in pruned), *((v, "FAIL") for v in failed)]
    scores = {"COMPLETE": -1.0, "PRUNED": 0.0, "FAIL": 0.0}
    trials = [
        {"number": i, "state": state, "value": scores[state] * i if state != "FAIL" else None, "params": {key: value, **dict(when)}}
        for i, (value, state) in enumerate(values)
    ]
    (found,) = narrow(trials, [Param(key, spec, when)], direction, **thresholds).moves
    return found.change, found.fine, found.why


# How many trials it takes ----------


@pytest.mark.parametrize(
    ("n", "when", "why"),
    [
        (0, (), "There are no complete trials."),
        (1, (), "Only 1 complete trial, and it takes 10 to tell."),
        (9, (), "Only 9 complete trials, and it takes 10 to tell."),
        (0, (("o", "sgd"),), "There are no complete trials with o=sgd."),
        (9, (("o", "sgd"),), "Only 9 complete trials with o=sgd, and it takes 10 to tell."),
        (10, (), "The best 5 trials lie between 50 and 52.2, spread as chance would have it."),
    ],
)
def test_it_takes_ten_complete_trials(n, when, why):
    assert move(X, even(50, 55, 10)[:n], when=when) == ("kept", to_text(X), why)


@pytest.mark.parametrize(
    ("complete", "n_pruned", "k"),
    [(30, 0, 6), (60, 0, 12), (61, 0, 13), (60, 5, 13), (60, 6, 14), (11, 0, 5), (12, 60, 6)],  # a fifth, rounded up; half of the complete
)
def test_how_many_are_the_best(complete, n_pruned, k):
    values = (["a", "b"] * complete)[:complete]
    leads = -(-k // 2)
    assert move(AB, values, pruned=["a"] * n_pruned)[2] == f"No option is clearly out; a leads with {leads} of the best {k} trials."


@pytest.mark.parametrize("spec", [Fixed(3), Int(3, 3), Float(2.0, 2.0), Choice(("a",))])
def test_a_single_value_says_so(spec):
    assert move(spec, [3] * 40) == ("kept", to_text(spec), "It has a single value.")


@pytest.mark.parametrize(
    ("thresholds", "said"),
    [
        ({"top": 0.5}, None),
        ({"top": 1e-9}, None),
        ({"min_share": 1}, None),
        ({"widen": 0}, None),
        ({"widen": 1}, None),
        ({"level": 0.5}, None),
        ({"min_good": 3}, None),
        ({"top": 0.51}, "narrow.top=0.51: write a number above 0 up to 0.5"),
        ({"top": 0}, "narrow.top=0: write a number above 0 up to 0.5"),
        ({"top": True}, "narrow.top=True: write a number above 0 up to 0.5"),
        ({"min_share": 0}, "narrow.min_share=0: write a number above 0 up to 1"),
        ({"min_share": 1.01}, "narrow.min_share=1.01: write a number above 0 up to 1"),
        ({"widen": 1.01}, "narrow.widen=1.01: write a number from 0 up to 1"),
        ({"level": 0.51}, "narrow.level=0.51: write a number above 0 up to 0.5"),
        ({"level": 0.0}, "narrow.level=0.0: write a number above 0 up to 0.5"),
        ({"min_good": 2}, "narrow.min_good=2: write a whole number from 3 on"),
        ({"min_good": True}, "narrow.min_good=True: write a whole number from 3 on"),
        ({"min_good": 3.0}, "narrow.min_good=3.0: write a whole number from 3 on"),
        ({"direction": "up"}, "direction='up': write maximize or minimize"),
    ],
)
def test_thresholds_that_may_be_set(thresholds, said):
    given = {"direction": "minimize", **thresholds}
    if said is None:
        assert narrow([], [], **given).moves == []
        return
    with pytest.raises(UserError) as error:
        narrow([], [], **given)
    assert str(error.value) == said


# Options ----------


@pytest.mark.parametrize(
    ("spec", "complete", "more", "expected"),
    [
        # half of the trials have b, and none of the best five: by chance in one of 2**5 = 32 cases
        (AB, ["a"] * 5 + ["b"] * 5, {"level": 0.0313}, ("fixed", "choice(a)", "All of the best 5 trials have a; b tried 5 times in vain.")),
        (
            AB,
            ["a"] * 5 + ["b"] * 5,
            {"level": 1 / 32},
            ("kept", "choice(a, b)", "No option is clearly out; a leads with 5 of the best 5 trials."),
        ),
        # five tries are enough, four are not
        (
            AB,
            ["a"] * 7 + ["b"] * 5,
            {"level": 0.1, "top": 0.5},
            ("fixed", "choice(a)", "All of the best 6 trials have a; b tried 5 times in vain."),
        ),
        (
            AB,
            ["a"] * 6 + ["b"] * 4,
            {"level": 0.1, "top": 0.5},
            ("kept", "choice(a, b)", "No option is clearly out; a leads with 5 of the best 5 trials."),
        ),
        # ten pruned trials weigh as five of fifteen: (2/3)**5 = 0.13169
        (
            AB,
            ["a"] * 10,
            {"level": 0.1317, "pruned": ["b"] * 10},
            ("fixed", "choice(a)", "All of the best 5 trials have a; b tried 10 times in vain."),
        ),
        (
            AB,
            ["a"] * 10,
            {"level": 0.1316, "pruned": ["b"] * 10},
            ("kept", "choice(a, b)", "No option is clearly out; a leads with 5 of the best 5 trials."),
        ),
        # one of the best with it keeps it
        (
            AB,
            ["a"] * 9 + ["b"] + ["a", "b"] * 20,
            {},
            ("kept", "choice(a, b)", "No option is clearly out; a leads with 9 of the best 10 trials."),
        ),
        (
            ABCD,
            ["a"] * 10 + ["b"] * 10 + ["c"] * 20,
            {},
            ("narrowed", "choice(a, b, d)", "None of the best 8 trials has c, tried 20 times."),
        ),
        (
            ABCD,
            ["a"] * 20 + ["b", "c"] * 20 + ["d"] * 4,
            {},
            ("narrowed", "choice(a, d)", "None of the best 13 trials has b or c, tried 40 times."),
        ),
        (
            ABCD,
            ["a"] * 20 + ["b", "c", "d"] * 20,
            {},
            ("fixed", "choice(a)", "All of the best 16 trials have a; b, c or d tried 60 times in vain."),
        ),
        (Choice((None, 1, True)), [None] * 30 + [1, True] * 20, {}, ("fixed", "choice(null)", "All of the best 14 trials have null; 1 or")),
    ],
)
def test_when_an_option_goes(spec, complete, more, expected):
    change, fine, why = move(spec, complete, **more)
    assert (change, why[: len(expected[2])]) == (expected[0], expected[2])
    assert fine == expected[1]


@pytest.mark.parametrize(
    ("spec", "complete", "more", "expected"),
    [
        # more than half of the best at the end, not half of them
        (
            SIZES,
            [128] * 6 + [64] * 4 + [16, 32] * 20,
            {},
            (
                "widened",
                "choice(64, 128, 256)",
                "6 of the best 10 trials have 128, the upper end, so 256 is tried too; 16 or 32 dropped.",
            ),
        ),
        (
            SIZES,
            [128] * 5 + [64] * 5 + [16, 32] * 20,
            {},
            ("narrowed", "choice(64, 128)", "None of the best 10 trials has 16 or 32, tried 40 times."),
        ),
        # half of the trials there failed, or fewer
        (
            SIZES,
            [128] * 6 + [64] * 4 + [16, 32] * 20,
            {"failed": [128] * 5},
            (
                "widened",
                "choice(64, 128, 256)",
                "6 of the best 10 trials have 128, the upper end, so 256 is tried too; 16 or 32 dropped.",
            ),
        ),
        (
            SIZES,
            [128] * 6 + [64] * 4 + [16, 32] * 20,
            {"failed": [128] * 6},
            ("narrowed", "choice(64, 128)", "None of the best 10 trials has 16 or 32, tried 40 times."),
        ),
        # no hole and never fewer than two
        (
            SIZES,
            [64] * 5 + [32] * 5 + [16, 128] * 20,
            {},
            ("narrowed", "choice(32, 64)", "None of the best 10 trials has 16 or 128, tried 40 times."),
        ),
        (Choice((1, 3, 4)), [1] * 10 + [3, 4] * 20, {}, ("narrowed", "choice(1, 3)", "None of the best 10 trials has 4, tried 20 times.")),
        # nothing is dropped, so nothing is said of it; two of three at one end of sixteen are no chance
        (
            Choice(tuple(range(2, 18))),
            [2, 2, 9, *range(3, 13)],
            {"min_good": 3},
            (
                "widened",
                f"choice({', '.join(map(str, range(1, 18)))})",
                "2 of the best 3 trials have 2, the lower end, so 1 is tried too.",
            ),
        ),
        # of three options each has a third by chance: five of eight are no sign, seven are
        (
            Choice((2, 4, 8)),
            [8] * 5 + [2] * 2 + [4] + [2, 4, 8, 4] * 8,
            {},
            ("kept", "choice(2, 4, 8)", "No option is clearly out; 8 leads with 5 of the best 8 trials."),
        ),
        (
            Choice((2, 4, 8)),
            [8] * 6 + [2, 4] + [2, 4, 8, 4] * 8,
            {},
            ("widened", "choice(2, 4, 8, 16)", "6 of the best 8 trials have 8, the upper end, so 16 is tried too."),
        ),
        # beyond: in its own step, to six digits; not to a fraction of a whole number, nor past what the name allows
        (
            Choice((0.1, 0.2, 0.3)),
            [0.3] * 40,
            {"key": "a.dropout"},
            ("widened", "choice(0.1, 0.2, 0.3, 0.4)", "8 of the best 8 trials have 0.3, the upper end, so 0.4 is tried too."),
        ),
        (
            Choice((0.3, 0.6, 0.9)),
            [0.9] * 40,
            {"key": "a.dropout"},
            ("kept", "choice(0.3, 0.6, 0.9)", "No option is clearly out; 0.9 leads with 8 of the best 8 trials."),
        ),
        (
            Choice((1, 2, 4)),
            [1] * 40,
            {},
            ("kept", "choice(1, 2, 4)", "No option is clearly out; 1 leads with 8 of the best 8 trials."),
        ),
        (
            Choice((0, 1, 2)),
            [2] * 40,
            {},
            ("widened", "choice(0, 1, 2, 3)", "8 of the best 8 trials have 2, the upper end, so 3 is tried too."),
        ),
        (
            Choice((-2, 0, 2)),
            [-2] * 40,
            {},
            ("widened", "choice(-4, -2, 0, 2)", "8 of the best 8 trials have -2, the lower end, so -4 is tried too."),
        ),
        (Choice((1, 2, 5)), [5] * 40, {}, ("kept", "choice(1, 2, 5)", "No option is clearly out; 5 leads with 8 of the best 8 trials.")),
    ],
)
def test_when_a_ladder_gets_a_rung(spec, complete, more, expected):
    assert move(spec, complete, **more) == expected


# Ranges ----------


@pytest.mark.parametrize(
    ("complete", "more", "expected"),
    [
        # The eight best span .50 and .52 of the range: seven even draws more within that are rarer than one in twenty (tail .035 and
        # .044), not within .54 (.057). The margin is the mean gap, a seventh of the span: .071 and .074.
        ([*even(30, 79.5, 8), *outside(32)], {}, ("narrowed", "interval(22.0, 87.0)", "The best 8 trials lie between 30 and 79.5.")),
        ([*even(30, 81.48, 8), *outside(32)], {}, ("narrowed", "interval(22.0, 89.0)", "The best 8 trials lie between 30 and 81.5.")),
        (
            [*even(30, 83.46, 8), *outside(32)],
            {},
            ("kept", "interval(0.0, 99.0)", "The best 8 trials lie between 30 and 83.5, spread as chance would have it."),
        ),
        # nine keep half of the range, ten a third; and of ten the outermost on either side are left out, the best never
        ([*even(45, 50, 9), *outside(36)], {}, ("narrowed", "interval(22.0, 73.0)", "The best 9 trials lie between 45 and 50.")),
        ([*even(45, 50, 10), *outside(40)], {}, ("narrowed", "interval(30.0, 64.0)", "9 of the best 10 trials lie between 45 and 49.4.")),
        ([*even(50, 45, 10), *outside(40)], {}, ("narrowed", "interval(31.0, 65.0)", "9 of the best 10 trials lie between 45.6 and 50.")),
        (
            [47.0, *even(45, 50, 9), *outside(40)],
            {},
            ("narrowed", "interval(31.0, 64.0)", "8 of the best 10 trials lie between 45.6 and 49.4."),
        ),
        # a width that is asked for; .85 of the range and more is none
        ([*even(45, 50, 10), *outside(40)], {"min_share": 0.2}, ("narrowed", "interval(37.0, 58.0)", "9 of the best 10")),
        ([*even(45, 50, 9), *outside(36)], {"min_share": 0.6}, ("narrowed", "interval(17.0, 78.0)", "The best 9")),
        ([*even(45, 50, 10), *outside(40)], {"min_share": 0.84}, ("narrowed", "interval(5.0, 89.0)", "9 of the best 10")),
        (
            [*even(45, 50, 10), *outside(40)],
            {"min_share": 0.86},
            ("kept", "interval(0.0, 99.0)", "9 of the best 10 trials lie between 45 and 49.4, which is most of the range."),
        ),
        # what grows beyond an end is shifted into the range
        ([*even(12, 18, 10), *outside(40)], {}, ("narrowed", "interval(0.0, 33.0)", "9 of the best 10 trials lie between 12 and 17.3.")),
        ([*even(87, 81, 10), *outside(40)], {}, ("narrowed", "interval(66.0, 99.0)", "9 of the best 10 trials lie between 81.7 and 87.")),
        # where most of what was tried lies within the span, that the best do says little: 25 of 40 to begin with, 17 of 40
        (
            [*even(45, 50, 8), *[48.0] * 17, *outside(16)[:15]],
            {},
            ("kept", "interval(0.0, 99.0)", "The best 8 trials lie between 45 and 50, spread as chance would have it."),
        ),
        ([*even(45, 50, 8), *[48.0] * 9, *outside(24)[:23]], {}, ("narrowed", "interval(22.0, 73.0)", "The best 8 trials lie between 45")),
        # pruned trials within count by half: of 30 and 20 it is 15 and 10, so 23 of 55 and 18 of 50 ... and the best are of both
        (
            [*even(45, 50, 8), *outside(32)],
            {"pruned": [48.0] * 60, "top": 0.08},
            ("kept", "interval(0.0, 99.0)", "The best 8 trials lie between 45 and 50, spread as chance would have it."),
        ),
        (
            [*even(45, 50, 8), *outside(32)],
            {"pruned": [48.0] * 30, "top": 0.11},
            ("narrowed", "interval(22.0, 73.0)", "The best 8 trials lie between 45 and 50."),
        ),
    ],
)
def test_when_a_range_narrows_and_to_what(complete, more, expected):
    change, fine, why = move(X, complete, **more)
    assert (change, fine) == expected[:2] and why.startswith(expected[2])


CROWD = [9.9, 9.9, 9.9, 50.0, 60.0, *outside(20)]  # three of five within a tenth of the lower end
SPREAD = "spread as chance would have it."


@pytest.mark.parametrize(
    ("spec", "complete", "more", "fine", "said"),
    [
        (X, CROWD, {}, X, "3 of the best 5 trials crowd at the lower end, 0, which is as far as it goes: its sign does not change."),
        (X, [9.9, 9.9, 10.0, *CROWD[3:]], {}, X, None),
        (X, [9.9, 9.9, 40.0, *CROWD[3:]], {}, X, None),  # two of five: one case in twelve
        (X, [9.9, 9.9, 40.0, *CROWD[3:]], {"level": 0.1}, X, "2 of the best 5 trials crowd at the lower end, 0, which is as far as"),
        (
            X,
            [89.2] * 3 + CROWD[3:],
            {},
            Float(0, 124),
            "3 of the best 5 trials crowd at the upper end, 99, so the range goes on beyond it.",
        ),
        (X, [89.0] * 3 + CROWD[3:], {}, X, None),
        (
            Float(0, 10),
            [9.0, 9.0, 9.0, 5.0, 4.0, *[0.0, 10.0] * 10],
            {},
            Float(0, 13),
            "3 of the best 5 trials crowd at the upper end, 10, so",
        ),
        (X, [89.2] * 3 + CROWD[3:], {"widen": 0.5}, Float(0, 149), "so the range goes on beyond it."),
        (X, [89.2] * 3 + CROWD[3:], {"widen": 0}, X, None),
        # ten of the twenty bad ones are there, too: 13 that finished
        (X, CROWD, {"failed": [1.0] * 12}, X, "which is as far as it goes"),
        (X, CROWD, {"failed": [1.0] * 13 + [50.0]}, X, "crowd at the lower end, 0, but 13 of 26 trials there failed, so not beyond."),
        (X, [89.2] * 3 + CROWD[3:], {"failed": [89.2] * 13}, X, "upper end, 99, but 13 of 26 trials there failed, so not beyond."),
        # of five whole numbers one is a fifth of the range
        (Int(1, 5), [1, 1, 1, 3, 4] + [5, 4, 3, 2] * 5, {}, Int(1, 5), None),
        (Int(1, 5), [1, 1, 1, 1, 4] + [5, 4, 3, 2] * 5, {}, Int(1, 5), "4 of the best 5 trials crowd at the lower end, 1, which is as far"),
        (Int(2000, 3000), [3000] * 3 + [2500, 2400] + [2000, 3000] * 10, {}, Int(2000, 3300), "crowd at the upper end, 3000, so the"),
    ],
)
def test_when_the_best_crowd_at_an_end(spec, complete, more, fine, said):
    change, text, why = move(spec, complete, **more)
    assert text == to_text(fine) and change == ("kept" if fine == spec else "widened")
    if said is None:
        assert "crowd" not in why and why.endswith(SPREAD)
    else:
        assert said in why


def test_widened_at_one_end_and_narrowed_at_the_other_says_both():
    said = move(X, [*even(94, 99, 10), *outside(40)])
    crowd = "10 of the best 10 trials crowd at the upper end, 99, so the range goes on beyond it."
    assert said == ("widened", "interval(66.0, 124.0)", f"{crowd} 9 of the best 10 trials lie between 94 and 98.4.")


def test_a_dropped_option_takes_its_parameters_along_and_says_so():
    params = [Param("o", AB), Param("x", X, (("o", "b"),)), Param("y", X, (("o", "a"),))]
    trials = [
        {"number": i, "state": "COMPLETE", "value": float(i), "params": {"o": o, ("x" if o == "b" else "y"): 50.0}}
        for i, o in enumerate(["a"] * 25 + ["b"] * 25)
    ]
    found = narrow(trials, params, "minimize")
    assert [p.key for p in found.params] == ["o", "y"]
    gone = found.moves[1]
    assert (gone.key, gone.when, gone.coarse, gone.fine, gone.change) == ("x", "o=b", "interval(0.0, 99.0)", "", "dropped")
    assert gone.why == "It counts only with o=b, which is dropped."
