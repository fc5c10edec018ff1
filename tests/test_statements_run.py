"""Sentences of the report on a run of the pipeline, on a run where each is true and on one where it must not appear: headline, learning
rate, phases and seeds. Neighbours: test_statements.py, test_statements_search.py."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from report_stories import COARSE, FINE, alone, hold, search, story, told, trials

from trivet.diagnosis.sweep import Sweep
from trivet.reporting.context import Context
from trivet.reporting.sections.phases import STOPPED

DEFAULT = [0.900, 0.901, 0.899]
CLEAR = {0: DEFAULT, 1: [0.950, 0.949, 0.951], 2: [0.920, 0.919, 0.921]}
WORSE = {0: [0.950, 0.951, 0.949], 1: [0.930, 0.931, 0.929], 2: [0.940, 0.942, 0.938]}
ONCE = {0: [0.90], 1: [0.95], 2: [0.93]}
NAN = np.nan
PLAIN, PROVED, BEATEN, SINGLE = story(), story(CLEAR), story(WORSE), story(ONCE)
TESTED = story(CLEAR, tested=([0.95, 0.949, 0.951], DEFAULT))
BROKEN = alone(search(trials([NAN] * 3, state="FAIL", reason="out of memory", best_step=NAN)))
RISEN = alone(search(trials(np.linspace(0.5, 0.7, 12), lr=np.append(0.03, np.logspace(-2, -1, 11))), defaults={"lr": 0.03}))


def two_objectives(names: list[str] | None) -> Sweep:
    frame = trials(np.linspace(0.5, 0.9, 12)).rename(columns={"value": "value_0"}).assign(value_1=np.linspace(10, 21, 12))
    one = search(trials([]))
    study = one.study | {"metric": names or "val/accuracy"}
    return Sweep("coarse", frame, one.curves, ["lr"], ["value_0", "value_1"], ["maximize", "minimize"], one.space, study)


def found_by_test(**more):
    """Test values of the winner, 95 %, and the default, 90 %; besides, what else the test stage found."""
    seeds = dict(zip((101, 102, 103), [0.95, 0.949, 0.951], strict=True))
    base = dict(zip((101, 102, 103), DEFAULT, strict=True))
    return {"metric": "test/accuracy", "n_test": 1000, "winner": {"seeds": seeds}, "default": {"seeds": base}} | more


RATES = pd.DataFrame({"lr": np.logspace(-5, 0, 20), "loss": np.linspace(2.0, 0.5, 20), "smoothed": np.linspace(2.0, 0.5, 20)})
RANGE = {
    "low": 0.001,
    "high": 0.1,
    "suggested": 0.03,
    "default": 0.002,
    "optimizer": "adam",
    "searched": "interval(1e-4, 1)",
    "covered": True,
}


def ranged(**found):
    return story(lr_range=RATES, check={"lr_range": RANGE | found})


def with_failed_run():
    context = story(CLEAR)
    frame = context.results.seeds.trials
    frame.loc[frame.index[-1], ["state", "value"]] = ["FAIL", NAN]
    return Context(context.searches, context.results)


def infeasible():
    """Of twelve trials three broke a constraint, one of them after it was stopped at epoch 5."""
    frame = trials(np.linspace(0.8, 0.9, 12))
    frame.loc[9:, "state"] = "INFEASIBLE"
    frame.loc[9:, "reason"] = "infeasible: size is 3, must be <= 2"
    frame.loc[11, ["reason", "step"]] = ["pruned; infeasible: size is 3, must be <= 2", 5.0]
    return search(frame, constraints={"size": "<= 2"})


NARROW = {0: DEFAULT, 1: [0.950, 0.953, 0.947], 2: [0.951, 0.954, 0.948]}
STATEMENTS = [
    ("no value at all", r"None of 3 trials reported a usable value \(3 failed\), so there is no best one", BROKEN, RISEN),
    (
        "the best was pruned",
        r"although it was pruned \(no trial ran to its end\)",
        alone(search(trials([0.5, 0.6], state="PRUNED"))),
        RISEN,
    ),
    (
        "two objectives by name",
        r"Best by each: val/accuracy 0\.9 \(trial 11\) and latency 10 \(trial 0\)",
        alone(two_objectives(["val/accuracy", "latency"])),
        alone(two_objectives(None)),
    ),
    (
        "two objectives without names",
        r"Best by each: value_0 0\.9 \(trial 11\) and value_1 10 \(trial 0\)",
        alone(two_objectives(None)),
        alone(two_objectives(["val/accuracy", "latency"])),
    ),
    (
        "several objectives have no best",
        r"With 2 objectives, 12 of 12 completed trials are beaten by no other in every one\.\n",
        alone(two_objectives(None)),
        RISEN,
    ),
    (
        "several objectives are chosen from",
        r"Choose from the front: 12 of 12 completed trials are beaten by no other in every objective, and which is best depends",
        alone(two_objectives(None)),
        RISEN,
    ),
    ("of several objectives the one in between is trained", r"Train the one in between again:", alone(two_objectives(None)), RISEN),
    (
        "how much better than the default",
        r"20\.00 percentage points better than the default configuration \(trial 0, 50\.00 %\)",
        RISEN,
        alone(search(trials(np.linspace(0.7, 0.5, 12), lr=np.append(0.03, np.logspace(-2, -1, 11))), defaults={"lr": 0.03})),
    ),
    ("the default is the winner", r"The winner is the default configuration, as the app's own config has it", BEATEN, PROVED),
    ("the winner's values", r"The winning configuration: lr=0\.1", PROVED, BEATEN),
    ("level with the default", r"The best of 1 tuned finalist is equal to it over", story({0: DEFAULT, 1: DEFAULT}), BEATEN),
    ("what is ruled out", r"a gain of more than 0\.00 percentage points by the best of them is ruled out at 95 %", BEATEN, PROVED),
    ("what one seed may have missed", r"with one seed each, a small gain could have been missed", story({0: [0.95], 1: [0.93]}), BEATEN),
    (
        "worse on test data",
        r"Seed by seed the tuned one is 2\.00 percentage points worse\. The default configuration reaches 90\.00 %",
        story(CLEAR, tested=([0.88, 0.879, 0.881], DEFAULT)),
        TESTED,
    ),
    (
        "better on test data",
        r"Seed by seed the tuned one is 5\.00 percentage points better\.",
        TESTED,
        story(CLEAR, tested=(DEFAULT, DEFAULT)),
    ),
    ("no difference", r"Seed by seed the two are equal\..*\n.*No difference was seen", story(CLEAR, tested=(DEFAULT, DEFAULT)), TESTED),
    (
        "the mean and its spread",
        r"95\.00 % on test data .* deviation 0\.10 percentage points, 95 % interval of the mean 94\.75 % to 95\.25 %",
        TESTED,
        PROVED,
    ),
    ("no spread", r"\(one seed, so nothing is known of its spread\)", SINGLE, PROVED),
    (
        "an ensemble helps",
        r"gives 96\.00 % for the winner's seeds and 95\.50 % for all finalists; the better of the two is 1\.00 percentage points",
        story(CLEAR, test=found_by_test(ensemble_winner=0.96, ensemble_finalists=0.955)),
        story(CLEAR, test=found_by_test(ensemble_winner=0.94)),
    ),
    (
        "an ensemble does not help",
        r"gives 94\.00 % for the winner's seeds, no better than one model",
        story(CLEAR, test=found_by_test(ensemble_winner=0.94)),
        story(CLEAR, test=found_by_test(ensemble_winner=0.96)),
    ),
    (
        "published figures",
        r"Published figures for this data, for comparison: CNN: 94\.00 %; person: 96\.00 %\.",
        story(CLEAR, test=found_by_test(), data={"published": {"CNN": 94.0, "person": 0.96}}),
        TESTED,
    ),
    ("no range test", r"The check stage has published no learning-rate range test", PLAIN, ranged()),
    ("the loss never fell", r"The loss fell at no learning rate", ranged(found=False), ranged()),
    (
        "what the range test found",
        r"Rates from 0\.001 to 0\.1 train \(with adam\); the test suggests 0\.03, the default is 0\.002\.",
        ranged(),
        ranged(found=False),
    ),
    ("the range covers it", r"The range interval\(1e-4, 1\) covers this region", ranged(), ranged(covered=False)),
    ("the range does not", r"interval\(1e-4, 1\) does not cover all of this region: widen it", ranged(covered=False), ranged()),
    ("only whether it was searched", r"The range interval\(1e-4, 1\) was searched", ranged(covered=None), ranged()),
    ("the rate was not searched", r"The learning rate was not searched", ranged(searched=None), ranged()),
    (
        "remarks of the check",
        r"had these remarks:\n\n- lr is narrow; widen it\.\n- lr=1 at the end of its range: it diverges\.",
        story(
            check={
                "findings": [{"message": "lr is narrow", "mend": "widen it"}],
                "extremes": [{"key": "lr", "value": 1.0, "result": "failed", "message": "it diverges"}],
            }
        ),
        story(check={"extremes": [{"key": "lr", "value": 1.0, "result": "ok"}]}),
    ),
    (
        "no remarks",
        r"had no remarks: 1 end of ranges and options were tried in short, and all of them train",
        story(check={"extremes": [{"key": "lr", "value": 1.0, "result": "ok"}]}),
        story(check={"extremes": [{"key": "lr", "value": 1.0, "result": "failed"}]}),
    ),
    (
        "what was expected",
        r"The first search was expected to take 1\.5 min with pruning",
        story(check={"estimate": {"seconds": 90.0}}),
        PLAIN,
    ),
    ("no fine search", r"The fine stage has not been run", PLAIN, story(fine=FINE)),
    ("no coarse search", r"The coarse stage has not been run", story(coarse=None, fine=FINE), PLAIN),
    (
        "planned and run",
        r"12 trials were planned and 12 were run: 12 ran to the end, 0 were stopped early \(pruned\), 0 failed\. They took",
        PLAIN,
        BROKEN,
    ),
    ("one was", r"1 trial was planned and 1 was run: 1 ran to the end", alone(search([0.9])), PLAIN),
    ("fewer than planned", r"20 trials were planned and 12 were run", alone(search(COARSE.trials, n_trials=20)), PLAIN),
    (
        "what broke a constraint",
        r"9 ran to the end, .* 0 failed, 3 broke a constraint \(1 of them stopped early\)\.",
        alone(infeasible()),
        PLAIN,
    ),
    ("what was saved by stopping the infeasible", r"Stopping trials early saved 15 of 240 epochs \(6 %\)", alone(infeasible()), PLAIN),
    (
        "the coarse search is gone",
        r"The coarse search is not here, so how the ranges moved is not known",
        story(coarse=None, fine=FINE),
        story(fine=FINE),
    ),
    (
        "no spaces are named",
        r"The studies do not name the spaces that they searched",
        story(coarse=search(COARSE.trials, spec=None), fine=FINE),
        story(fine=FINE),
    ),
    (
        "a search without a value",
        r"One of the searches has no trial with a value, so whether the second paid is not known\. It cost",
        story(fine=search(trials([NAN, NAN], state="FAIL"), name="fine")),
        story(fine=FINE),
    ),
    (
        "none of the coarse search",
        r"0 come from the coarse search and 2 from the fine one, so there is no mean over seeds to hold its gain against",
        story(CLEAR, phases={1: "fine", 2: "fine"}, fine=FINE),
        story(CLEAR, phases={1: "fine"}, fine=FINE),
    ),
    (
        "one seed cannot tell",
        r"With one seed each nobody can say whether that is more than noise",
        story(ONCE, phases={1: "fine"}, fine=FINE),
        story(CLEAR, phases={1: "fine"}, fine=FINE),
    ),
    ("no seeds", r"The seeds stage has not been run \(or no run of it finished\)", PLAIN, PROVED),
    (
        "all runs finished",
        r"2 finalists and the default were trained with 3 fresh seeds each: all 9 runs finished",
        PROVED,
        with_failed_run(),
    ),
    ("a run did not finish", r"8 runs finished, 1 did not", with_failed_run(), PROVED),
    ("noise between seeds", r"the value varies with a standard deviation of 0\.10 percentage points", PROVED, SINGLE),
    (
        "one seed says nothing of luck",
        r"; with one seed nobody can say whether the first value was luck",
        story({0: [0.9], 1: [0.92], 2: [0.95]}, shown={1: 0.96, 2: 0.955}),
        story(CLEAR, shown={1: 0.955}),
    ),
    (
        "less, but not to be told from none",
        r"had shown 95\.20 %.*: 0\.2\d percentage points worse, no more than 3 seeds can tell from none",
        story({0: DEFAULT, 1: [0.950, 0.954, 0.946]}, shown={1: 0.952}),
        story(CLEAR, shown={1: 0.94}),
    ),
    (
        "it was no luck",
        r"had shown 94\.00 %: nothing says that the first value was luck",
        story(CLEAR, shown={1: 0.94}),
        story(CLEAR, shown={1: 0.96}),
    ),
    ("at most by chance", r"at most 0\.\d\d percentage points \(the expected maximum of 2 equally good means\)", story(NARROW), SINGLE),
]


@pytest.mark.parametrize(("sentence", "true", "false"), [row[1:] for row in STATEMENTS], ids=[row[0] for row in STATEMENTS])
def test_a_sentence_appears_where_it_is_true_and_only_there(sentence, true, false):
    hold(sentence, true, false)


@pytest.mark.parametrize("reason", [*STOPPED, "n_trials"])
def test_why_a_search_ended(reason):
    """That all planned trials were run goes without saying."""
    words = told(alone(search(COARSE.trials, stopped_by=reason)))
    assert re.findall("the search ended because (.*?)[.]", words) == ([STOPPED[reason]] if reason in STOPPED else [])


def test_what_a_configuration_had_to_hold_and_how_it_was_run():
    study = {
        "constraints": {"size": "<= 2"},
        "weights": {"weights": [1, 2], "directions": ["maximize", "minimize"], "scales": [1, 100]},
        "replicates": {"key": "seed", "values": [0, 1, 2], "aggregate": "mean"},
    }
    text = told(alone(search(COARSE.trials, **study)))
    for row in (
        "| Must hold (constraints) | size <= 2 |",
        "| Objectives made one (weights) | 1 per 1 (maximize); 2 per 100 (minimize) |",
        "| Runs of each trial (replicates) | one for seed=0, 1 and 2; the value of a trial is their mean |",
    ):
        assert row.replace("<", "&lt;") in text and row.replace("<", "&lt;") not in told(PLAIN)
