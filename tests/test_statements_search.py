"""Sentences of the report on a search, on a table where each is true and on one where it must not appear: what mattered, how it went,
flags, advice, checklist, provenance and what to do. Neighbours: test_statements.py, test_statements_run.py."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fake_results import parse
from report_stories import COARSE, alone, hold, search, story, told, trials
from test_statements import CLEAR, EDGE, FLAT, RISING, WORSE, audit, pruned

from trivet import space
from trivet.diagnosis.sweep import Entry
from trivet.reporting.decision import decide
from trivet.reporting.sections import checklist

NAN = np.nan
RNG = np.random.default_rng


def several(n: int, value, entries: dict[str, str], **study):
    """n trials drawn evenly over these ranges; value: of the table of parameters."""
    rng, columns = RNG(0), {}
    for key, spec in entries.items():
        parsed = parse(spec, key)
        if isinstance(parsed, space.Choice):
            columns[key] = rng.choice([float(option) for option in parsed.options], n)
        else:
            low, high = float(parsed.low), float(parsed.high)
            columns[key] = 10 ** rng.uniform(np.log10(low), np.log10(high), n) if parsed.log else rng.uniform(low, high, n)
    drawn = pd.DataFrame(columns)
    frame = trials(value(drawn)).drop(columns="lr")
    place = list(frame.columns).index("best_step") + 1
    for at, key in enumerate(entries):
        frame.insert(place + at, key, drawn[key])
    sweep = search(frame, **study)
    sweep.params, sweep.space = list(entries), [Entry(key, parse(spec, key)) for key, spec in entries.items()]
    return sweep


AB = {"a": "interval(0.0, 1.0)", "b": "interval(0.0, 1.0)"}
ABC = AB | {"c": "interval(0.0, 1.0)"}
BATCH = {"batch_size": "choice(16, 32, 64, 128)", "lr": "tag(log, interval(0.001, 1.0))"}


def go_together(way: float):
    """Fourteen trials, too few for a model, whose rates go with the batch size (1), against it (-1), or their own way (0)."""
    batch, shift = np.tile([16.0, 32.0, 64.0, 128.0], 4)[:14], RNG(3).uniform(-0.4, 0.4, 14)
    sweep = several(14, lambda t: np.linspace(0.9, 0.8, 14), BATCH)
    sweep.trials = sweep.trials.assign(batch_size=batch, lr=10 ** (-1.5 + 0.3 * way * (np.log2(batch) - 5.5) + shift))
    return sweep


NOISE = several(40, lambda t: 0.8 + 0.01 * RNG(5).normal(size=40), AB)
CLEAR_CUT = several(60, lambda t: 0.5 + 0.4 * t["a"] + 0.1 * t["b"], ABC)
PRODUCT = several(60, lambda t: 0.5 + 0.4 * (t["a"] * t["b"]) ** 2, AB)
ONE_RULES = several(60, lambda t: 0.5 + 0.4 * t["a"], AB)
FEW = several(18, lambda t: 0.5 + 0.4 * t["a"], ABC | {"d": "interval(0.0, 1.0)"})
UNNAMED = several(60, lambda t: 0.5 + 0.4 * t["a"], AB)
UNNAMED.space = []
ALL_FAILED = alone(search(trials([NAN] * 30, state="FAIL", reason="out of memory", best_step=NAN)))
ALL_PRUNED = alone(search(trials(np.linspace(0.5, 0.6, 12), state="PRUNED")))
UNENDED = {"n_trials": 60, "stopped_by": None}
STALE = audit([0.9, 0.9])
STALE.trials[["state", "value"]] = ["FAIL", NAN]


def loud(noise: float):
    """The last trials improved by 1 point; seeds of one configuration vary by so much."""
    values = np.append(np.linspace(0.8, 0.93, 30), np.linspace(0.85, 0.94, 10))
    finalists = {0: [0.8, 0.8 + noise, 0.8 - noise], 1: [0.94, 0.94 + noise, 0.94 - noise]}
    return story(finalists, shown={1: 0.94}, coarse=search(trials(values, lr=np.tile(np.logspace(-2, -1, 10), 4))))


COMMIT = {"commit": "0123456789abcdef", "dirty": False}
OF_NOISE, OF_CLEAR_CUT, OF_PRODUCT, OF_ONE_RULES, OF_FEW, OF_UNNAMED, OF_RISING, OF_FLAT, OF_COARSE = map(
    alone, (NOISE, CLEAR_CUT, PRODUCT, ONE_RULES, FEW, UNNAMED, RISING, FLAT, COARSE)
)  # one context each, so that its report is made once
WITH, AGAINST, WITHOUT = (alone(go_together(way)) for way in (1, -1, 0))
STATEMENTS = [
    ("nothing to rank", r"There are not two trials with a value and a searched parameter", alone(search([0.9])), OF_COARSE),
    (
        "too few to compare",
        r"there are too few trials with comparable, different values",
        alone(several(10, lambda t: t["a"], AB)),
        OF_NOISE,
    ),
    (
        "nothing explains it",
        r"nothing can be said about what mattered: from the final values of 40 completed trials",
        OF_NOISE,
        OF_CLEAR_CUT,
    ),
    ("what matters most", r"\d\d % of what the space lets differ comes from a, then b", OF_CLEAR_CUT, OF_NOISE),
    ("only a hint", r"Take the bars as a hint only\. What leads is a", OF_FEW, OF_CLEAR_CUT),
    ("the space is not named", r"Caution: the study does not name its space", OF_UNNAMED, OF_ONE_RULES),
    ("a parameter to fix", r"Fix: .*c, which made no visible difference\. Price: none", OF_CLEAR_CUT, OF_NOISE),
    (
        "a flag for it",
        r"c: to a boosted model that explains \d\d % of the differences between 60 trials, it is",
        OF_CLEAR_CUT,
        OF_PRODUCT,
    ),
    ("one stands out", r"one parameter alone stands out, so there is no interaction", OF_ONE_RULES, OF_CLEAR_CUT),
    ("one of one does not stand out", r"one parameter alone stands out", OF_ONE_RULES, OF_RISING),
    ("three trials have no pace", r"is out of reach for this search", OF_FLAT, alone(search(trials([0.9, 0.8, 0.7])))),
    ("the last one alone", r"The last trial brought no improvement", alone(search(trials([0.9, 0.8, 0.7]))), OF_FLAT),
    (
        "the price of milder pruning is that of what was pruned",
        r"Price: without any pruning the coarse search takes 400 epochs",
        story(coarse=pruned(), audit=audit([0.9, 0.91, 0.96])),
        story(coarse=pruned(), audit=audit([0.9, 0.91, 0.92])),
    ),
    ("independent", r"the parameters that matter act nearly independently", OF_CLEAR_CUT, OF_PRODUCT),
    ("together", r"act together most strongly: \d\d % of their joint effect", OF_PRODUCT, OF_CLEAR_CUT),
    ("not searched together", r"Batch size and learning rate were not searched together", OF_RISING, WITH),
    (
        "with the batch size",
        r"larger batches go with higher learning rates, as expected \(rank correlation 0\.\d\d\)",
        WITH,
        AGAINST,
    ),
    (
        "against it",
        r"larger batches go with lower learning rates \(rank correlation -0\.\d\d\)",
        AGAINST,
        WITH,
    ),
    ("without it", r"among the best 10 trials the one does not follow the other", WITHOUT, WITH),
    (
        "too few good ones",
        r"too few good trials to see whether they go together",
        alone(several(8, lambda t: t["lr"], BATCH)),
        WITH,
    ),
    ("no progress to draw", r"No trial reported a usable value, so there is no progress to draw", ALL_FAILED, OF_RISING),
    ("when the best came", r"the best value came with trial 39 of 40, after 800 of 800 epochs", OF_RISING, OF_FLAT),
    (
        "an audit of failures",
        r"The audit has no completed trial to compare with",
        story(coarse=pruned(), audit=STALE),
        story(coarse=pruned()),
    ),
    (
        "the audit beyond noise",
        r"2 of them came out better than the best .* 1 did so by more than the 0\.30 percentage points that seeds alone make",
        story({0: [0.9, 0.903, 0.897], 1: [0.95, 0.953, 0.947]}, shown={1: 0.95}, coarse=pruned(), audit=audit([0.951, 0.96, 0.9])),
        story(coarse=pruned(), audit=audit([0.951, 0.96, 0.9])),
    ),
    ("the last ones improved", r"The last 8 trials improved the best by 8\.21 percentage points\.", OF_RISING, OF_FLAT),
    ("they brought nothing", r"The last 8 trials brought no improvement", OF_FLAT, OF_RISING),
    ("no more than noise", r"improved the best by 1\.00 .*, no more than the 2\.00 percentage points by which", loud(0.02), loud(0.001)),
    ("how long it stands", r"The best value has stood for 39 trials \(trial 0\)", OF_FLAT, OF_RISING),
    ("it came last", r"The best value came with the last trial \(trial 39\)", OF_RISING, OF_FLAT),
    ("what a point costs", r"One more percentage point would take about \d+ trials more", OF_RISING, OF_FLAT),
    (
        "a point of what is no share",
        r"One more per cent ",
        alone(search(trials(np.linspace(3.0, 1.0, 12)), direction="minimize", metric="val/rmse")),
        OF_FLAT,
    ),
    ("a clean bill", r"A clean bill: none of 23 checks found anything wrong", story(CLEAR), OF_FLAT),
    (
        "flags counted",
        r"20 kinds of trouble were looked for and 2 red flags were raised: 0 serious, 0 warning and 2 worth",
        OF_FLAT,
        story(CLEAR),
    ),
    ("no commit", r"No git commit is recorded", OF_COARSE, alone(search(COARSE.trials, git=COMMIT))),
    (
        "a clean tree",
        r"Everything was run from commit 0123456789ab, with a clean tree",
        alone(search(COARSE.trials, git=COMMIT)),
        OF_COARSE,
    ),
    (
        "a dirty tree",
        r"from commit 0123456789ab, with changes that were not committed",
        alone(search(COARSE.trials, git=COMMIT | {"dirty": True})),
        alone(search(COARSE.trials, git=COMMIT)),
    ),
    (
        "several commits",
        r"run from different commits or states of the tree: 0123456789ab and fff\.",
        story(coarse=search(COARSE.trials, git=COMMIT), fine=search([0.9, 0.91], name="fine", git={"commit": "fff"})),
        story(coarse=search(COARSE.trials, git=COMMIT), fine=search([0.9, 0.91], name="fine", git=COMMIT)),
    ),
    ("no trial yet", r"No trial has ended yet", alone(search(trials([]))), OF_COARSE),
    ("let some finish", r"Let some finish: all 12 trials of the sweep coarse were pruned", ALL_PRUNED, OF_COARSE),
    ("find out why", r"Find out why first: no trial of the sweep coarse ran to its end with a value", ALL_FAILED, ALL_PRUNED),
    ("mend first", r"Mend first: all trials are alike", alone(search(trials(np.full(40, 0.9)))), OF_FLAT),
    (
        "let it end",
        r"Let it end first: 40 of 60 planned trials have ended.* Price: about 400 epochs, .* for the other 20\.",
        alone(search(RISING.trials, **UNENDED)),
        alone(search(RISING.trials, n_trials=60, stopped_by="plateau")),
    ),
    (
        "how to continue it",
        r"If it no longer runs, the same command continues it:\n\n```sh\npython src/train\.py -m hparams=coarse",
        alone(search(RISING.trials, **UNENDED)),
        alone(search(RISING.trials, n_trials=40, stopped_by=None)),
    ),
]


@pytest.mark.parametrize(("sentence", "true", "false"), [row[1:] for row in STATEMENTS], ids=[row[0] for row in STATEMENTS])
def test_a_sentence_appears_where_it_is_true_and_only_there(sentence, true, false):
    sentence = sentence.replace("```", "")  # what is said has no marks of Markdown
    hold(sentence, true, false)


def with_params(**specs):
    return alone(several(20, lambda t: t.iloc[:, 0], specs))


SPREAD = "interval(0.1, 0.5)"
POINTS = [
    # the point, a story where it is met, its evidence, one where it is not, its evidence
    (checklist.lr_log, OF_COARSE, "every range of a learning rate is logarithmic", with_params(lr=SPREAD), "linear range: lr"),
    (checklist.schedule, with_params(schedule="choice(1, 2, 3)"), "searched: schedule", OF_COARSE, "no schedule was searched"),
    (checklist.sizes, with_params(width=SPREAD), "searched: width", with_params(batch_size="choice(1, 2, 3)"), "no size was searched"),
    (checklist.batch, WITH, "both are parameters of the sweep coarse", OF_COARSE, "batch size was not searched"),
    (checklist.batch, WITH, "both are", with_params(batch_size="choice(1, 2, 3)"), "batch size was searched with a fixed"),
    (checklist.regularisation, with_params(dropout=SPREAD), "searched: dropout", OF_COARSE, "no regulariser was searched"),
    (
        checklist.enough,
        OF_COARSE,
        "12.0 trials per parameter in play (coarse)",
        alone(search(trials([0.5] * 9))),
        "9.0 trials per parameter",
    ),
    (
        checklist.seeds,
        story(CLEAR),
        "3 fresh seeds for each of 3 configurations",
        OF_COARSE,
        "every configuration was run with one seed",
    ),
    (checklist.seeds, story(CLEAR), "3 fresh seeds", story({0: [0.9], 1: [0.95]}), "1 fresh seed for each of 2 configurations"),
    (checklist.baseline, story(CLEAR), "ran with the same seeds as the finalists", OF_COARSE, "the default configuration was not run"),
    (checklist.healthy, story(CLEAR), "see Red flags", story(WORSE), "The default beats the tuned configuration"),
    (
        checklist.committed,
        alone(search([0.9], git=COMMIT)),
        "the tree was clean",
        alone(search([0.9], git=COMMIT | {"dirty": True})),
        "not committed",
    ),
    (checklist.pruning_checked, OF_COARSE, "nothing was pruned", alone(pruned()), "what pruning lost is not known"),
]


@pytest.mark.parametrize(
    ("item", "met", "why", "unmet", "why_not"), POINTS, ids=[f"{row[0].__name__}-{at}" for at, row in enumerate(POINTS)]
)
def test_a_point_is_met_by_its_evidence(item, met, why, unmet, why_not):
    yes, no = item(met), item(unmet)
    assert (yes.done, no.done) == (True, False) and yes.what == no.what
    assert why in yes.evidence and why_not in no.evidence


@pytest.mark.parametrize(
    ("item", "context", "evidence"),
    [
        (checklist.lr_first, OF_COARSE, "no learning-rate range test is published"),
        (checklist.lr_log, alone(search(COARSE.trials, spec=None)), "no range of a learning rate is recorded"),
        (checklist.test_once, OF_COARSE, "a single sweep; there is no pipeline graph to prove it from"),
        (checklist.test_once, story(), "no stage of the pipeline graph (dvc.yaml) depends on the test file"),
        (checklist.committed, OF_COARSE, "no commit is recorded"),
    ],
)
def test_what_no_table_shows_is_not_known(item, context, evidence):
    found = item(context)
    assert found.done is None and found.evidence == evidence


def test_the_checklist_counts_what_it_ticks():
    text = told(OF_COARSE)
    met = text.count("\n| yes |")
    assert f"{met} of {len(checklist.ITEMS) + 1} points are met, by the evidence beside them." in text and 0 < met < 10


def test_what_was_logged_is_named():
    full = dict.fromkeys(("fingerprint", "seed", "versions", "space"), "x")
    curve = pd.DataFrame({"number": [0], "step": [1.0], "value": [0.9]})
    assert checklist.logged(alone(search([0.9], curves=curve, **full))).done
    assert checklist.logged(alone(search([0.9], **full))).evidence == "missing: learning curves (coarse)"
    assert "fingerprint (coarse), versions (coarse), space (coarse)" in checklist.logged(OF_COARSE).evidence


@pytest.mark.parametrize(
    ("context", "action"),
    [
        (ALL_FAILED, "look"), (alone(search(trials(np.full(40, 0.9)))), "mend"), (story(WORSE), "keep"), (alone(EDGE), "widen"),
        (story(coarse=pruned(), audit=audit([0.9, 0.96])), "milder"), (OF_RISING, "go_on"), (OF_FLAT, "stop"),
        (alone(search(RISING.trials, **UNENDED)), "wait"), (alone(search(RISING.trials, n_trials=60, stopped_by="interrupted")), "wait"),
        (alone(search(RISING.trials, n_trials=60)), "go_on"), (story(coarse=search(RISING.trials, **UNENDED)), "go_on"),
    ],
)  # fmt: skip
def test_what_is_decided(context, action):
    assert decide(context).action == action
