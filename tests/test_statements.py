"""Every sentence of the report that claims something: on a run where it is true, and on one where it must not appear."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from report_stories import FINE, SETTING, alone, said, search, story, trials

from trivet import space
from trivet.diagnosis.sweep import Entry
from trivet.reporting.commands import command
from trivet.reporting.context import Context
from trivet.reporting.sections.went import best_so_far, progress_chart

DEFAULT = [0.900, 0.901, 0.899]
CLEAR = {0: DEFAULT, 1: [0.950, 0.949, 0.951], 2: [0.920, 0.919, 0.921]}  # 5 points apart, seeds 0.1 point
CLOSE = {0: DEFAULT, 1: [0.950, 0.953, 0.947], 2: [0.951, 0.954, 0.948], 3: [0.949, 0.952, 0.946]}  # means 0.1 point apart, seeds 0.3
WORSE = {0: [0.950, 0.951, 0.949], 1: [0.930, 0.931, 0.929], 2: [0.940, 0.942, 0.938]}
NOISY = {0: [0.90, 0.93, 0.88], 1: [0.91, 0.90, 0.93]}
STOPPED = {"state": ["COMPLETE"] * 11 + ["PRUNED"] * 9, "step": [20.0] * 11 + [2.0] * 9}


def curves(frame: pd.DataFrame, first: float, last: float) -> pd.DataFrame:
    """Every trial rises from `first` of its value to `last` of it, straight."""
    rows = [
        (number, step, value * (first + (last - first) * step / 20))
        for number, steps, value in zip(frame["number"], frame["step"], frame["value"], strict=True)
        for step in range(1, int(steps) + 1)
    ]
    return pd.DataFrame(rows, columns=["number", "step", "value"])


def pruned(best: float = 0.95, stopped: float = 0.7, rise: float = 0.5):
    """Eleven completed trials and nine that were stopped at epoch 2 with `stopped`; completed ones start at `rise` of their end."""
    frame = trials([*np.linspace(0.9, best, 11), *[stopped] * 9], **STOPPED)
    return search(frame, curves=curves(frame, rise, 1.0), pruner={"name": "percentile"})


def audit(values: list[float], numbers: list[int] | None = None, **study):
    frame = trials(values, lr=None)
    origin = pruned().trials
    chosen = origin[origin["state"] == "PRUNED"].head(len(values))
    frame = frame.assign(lr=chosen["lr"].to_numpy(), audited=numbers or chosen["number"].to_numpy())
    return search(frame, name="audit", spec=None, **study)


RISING = search(trials(np.linspace(0.5, 0.9, 40), lr=np.tile(np.logspace(-2, -1, 10), 4)))
EDGE = search(trials(np.linspace(0.5, 0.9, 40), lr=np.logspace(-2.99, -0.001, 40)))
LATE = search(
    (
        late := trials(
            np.append(0.95, np.linspace(0.90, 0.945, 39)[::-1]), lr=np.append(0.03, np.tile(np.logspace(-2, -1, 13), 3)), best_step=20.0
        )
    ),
    curves=curves(late, 0.2, 1.0),
)
FLAT = search(trials(np.append(0.95, np.linspace(0.7, 0.94, 39)[::-1]), lr=np.append(0.03, np.tile(np.logspace(-2, -1, 13), 3))))


def first_of_flat(n: int, PRUNED: int = 0, FAIL: int = 0, **study):
    """The first trials of FLAT, whose best came first; of the last of them some were pruned late, some failed."""
    frame = FLAT.trials.head(n).copy()
    for state, last in (("PRUNED", PRUNED), ("FAIL", FAIL)):
        frame.loc[frame.index[n - last :], "state"] = state
    return search(frame, **study)


BEST_DEFAULT = search(
    trials([0.95, *np.linspace(0.7, 0.94, 39)[::-1]], lr=np.append(0.03, np.tile(np.logspace(-2, -1, 13), 3))), defaults={"lr": 0.03}
)
FIRST_WRONG = {"finalists": {0: DEFAULT, 1: [0.920, 0.921, 0.919], 2: [0.950, 0.951, 0.949]}, "shown": {1: 0.96, 2: 0.955}}

STATEMENTS = [
    # what the sentence claims, a run where it is true, one where it must not appear
    (
        "the tuned configuration won",
        r"The tuned configuration reaches test/accuracy 95\.00 %",
        story(CLEAR, tested=([0.95] * 3, [0.9] * 3)),
        story(WORSE, tested=([0.95] * 3, [0.95] * 3)),
    ),
    (
        "tuning brought nothing",
        r"Tuning brought nothing here\. The default configuration reaches val/accuracy 95\.00 %",
        story(WORSE),
        story(CLEAR),
    ),
    ("keep the default", r"Keep the default: tuning brought nothing here\. Price: none", story(WORSE), story(CLEAR)),
    (
        "how far behind the tuned ones are",
        r"The best of 2 tuned finalists is 1\.00 percentage points behind it",
        story(WORSE),
        story(CLEAR),
    ),
    ("what a default that won is worth", r"12 configurations were tried within these ranges and none held up", story(WORSE), story(CLEAR)),
    (
        "the default of a single sweep won",
        r"That is the default configuration: no trial of the search was better",
        alone(BEST_DEFAULT),
        alone(RISING),
    ),
    ("test data was used", r"on test data that no search ever saw", story(CLEAR, tested=([0.95] * 3, [0.9] * 3)), story(CLEAR)),
    ("no test was made", r"no test was made", story(CLEAR), story(CLEAR, tested=([0.95] * 3, [0.9] * 3))),
    (
        "sure, with everything",
        r"Yes: more than seed noise .* and the 1,000 test samples add",
        story(CLEAR, tested=([0.95, 0.949, 0.951], DEFAULT)),
        story(NOISY, tested=([0.91, 0.9, 0.93], [0.9, 0.93, 0.88])),
    ),
    (
        "sure but for the test set",
        r"Not quite: more than seed noise",
        story(CLEAR, tested=([0.913, 0.912, 0.914], DEFAULT)),
        story(CLEAR, tested=([0.95, 0.949, 0.951], DEFAULT)),
    ),
    ("not sure", r"No: seed noise alone could explain it", story(NOISY), story(CLEAR)),
    ("one pair says nothing", r"Not known: with one pair of runs", story({0: [0.90], 1: [0.95]}), story(CLEAR)),
    (
        "not sure where the seeds change nothing",
        r"Not known: each configuration gave the same with every seed",
        story({0: [0.8] * 3, 1: [0.9] * 3}),
        story(CLEAR),
    ),
    (
        "not sure where each seed differs by the same",
        r"Not known: each of 3 pairs of seeds differs by the same",
        story(CLEAR, tested=([0.95, 0.951, 0.949], DEFAULT)),
        story(CLEAR, tested=([0.95, 0.949, 0.951], DEFAULT)),
    ),
    (
        "no interval where all seeds gave the same",
        r"95\.00 % on test data .* \(the same with each of 3 seeds, so no interval can be told\)",
        story(CLEAR, tested=([0.95] * 3, DEFAULT)),
        story(CLEAR, tested=([0.95, 0.949, 0.951], DEFAULT)),
    ),
    ("sure by seeds where no test set is known", r"Yes, it is more than seed noise", story(CLEAR), story(NOISY)),
    (
        "the interval is corrected",
        r"corrected for choosing the best of 2 \(Bonferroni\)",
        story(CLEAR),
        story({0: DEFAULT, 1: [0.95, 0.949, 0.951]}),
    ),
    ("p values are corrected", r"times 2 because 2 finalists were compared", story(CLEAR), story({0: DEFAULT, 1: [0.95, 0.949, 0.951]})),
    (
        "the error of the test set",
        r"95\.00 % itself has a sampling error of 0\.69 percentage points",
        story(CLEAR, tested=([0.95] * 3, [0.9] * 3)),
        story(CLEAR, tested=([0.95] * 3, [0.9] * 3), n_test=None),
    ),
    (
        "the first was luck",
        r"\(finalist 1\) had shown 96\.00 % in the search and reaches 92\.00 % over fresh seeds: 4\.00 .* was luck",
        story(**FIRST_WRONG),
        story(CLEAR),
    ),
    (
        "the winner's mean is partly luck",
        r"chosen as the best of 3 means, and the best of several is partly luck: 0\.\d\d percentage points",
        story(CLOSE),
        story({0: DEFAULT, 1: [0.95, 0.949, 0.951]}),
    ),
    (
        "nothing was chosen",
        r"It was the only finalist, so there was nothing to choose",
        story({0: DEFAULT, 1: [0.95, 0.949, 0.951]}),
        story(CLOSE),
    ),
    ("the choice is a lot", r"no better than drawing lots \(1 in 3\)", story(CLOSE), story(CLEAR)),
    (
        "how often the best is found",
        r"3 seeds each pick the truly best of these 2 finalists in about 100 of 100 cases",
        story(CLEAR),
        story(CLOSE),
    ),
    ("with one seed nothing is known", r"With one seed each nothing is known of the noise", story({0: [0.9], 1: [0.95]}), story(CLEAR)),
    (
        "phase 2 paid",
        r"the second search paid",
        story(CLEAR, phases={1: "fine"}, fine=FINE, shown={1: 0.955}),
        story(CLEAR, phases={2: "fine"}, fine=FINE),
    ),
    (
        "phase 2 brought noise",
        r"which noise between seeds would make .* The second search did not pay",
        story(CLOSE, phases={2: "fine"}, fine=FINE),
        story(CLEAR, phases={1: "fine"}, fine=FINE),
    ),
    (
        "phase 2 ended worse",
        r"so the fine search ended 3\.00 percentage points worse",
        story(CLEAR, phases={2: "fine"}, fine=FINE),
        story(CLEAR, phases={1: "fine"}, fine=FINE),
    ),
    (
        "no finalist of phase 2",
        r"so the second search did not pay: none of its trials",
        story(CLEAR, fine=FINE),
        story(CLEAR, phases={1: "fine"}, fine=FINE),
    ),
    (
        "single runs cannot tell",
        r"Whether those 0\.50 percentage points are more than luck, single runs cannot tell",
        story(fine=FINE),
        story(fine=search([0.94], name="fine")),
    ),
    ("phase 2 brought nothing", r"By that the fine search brought nothing", story(fine=search([0.94], name="fine")), story(fine=FINE)),
    ("trials were saved", r"Stopping trials early saved 162 of 400 epochs", story(coarse=pruned()), story()),
    ("nothing was pruned", r"No trial was stopped early", story(), story(coarse=pruned())),
    (
        "hopeless trials",
        r"none of 9 pruned trials would have passed the best",
        story(coarse=pruned(stopped=0.1)),
        story(coarse=pruned(stopped=0.9)),
    ),
    (
        "trials that may have won",
        r"9 of 9 pruned trials could have passed the best",
        story(coarse=pruned(stopped=0.9)),
        story(coarse=pruned(stopped=0.1)),
    ),
    (
        "the audit found none",
        r"3 pruned trials were trained to the end afterwards: none of them would have been the best \(95\.00 %\)",
        story(coarse=pruned(), audit=audit([0.9, 0.91, 0.92])),
        story(coarse=pruned(), audit=audit([0.9, 0.91, 0.96])),
    ),
    (
        "the audit found one",
        r"1 of them came out better than the best \(95\.00 %\)\. The best of them reached 96\.00 %",
        story(coarse=pruned(), audit=audit([0.9, 0.91, 0.96])),
        story(coarse=pruned(), audit=audit([0.9, 0.91, 0.92])),
    ),
    (
        "prune less",
        r"Prune less: 1 of 3 pruned trials that were trained to the end came out better",
        story(coarse=pruned(), audit=audit([0.9, 0.91, 0.96])),
        story(coarse=pruned(), audit=audit([0.9, 0.91, 0.92])),
    ),
    (
        "a stale audit",
        r"The audit is left out: its trials are none that the searches pruned",
        story(coarse=pruned(), audit=audit([0.9, 0.91], [1, 2])),
        story(coarse=pruned(), audit=audit([0.9, 0.91])),
    ),
    (
        "an audit on other data",
        r"The audit is left out: it was run with other data than the coarse search",
        story(coarse=pruned(), audit=audit([0.9], identity={**SETTING, "called": {"data": "other"}})),
        story(coarse=pruned(), audit=audit([0.9])),
    ),
    (
        "go on",
        r"Go on: the last trials still brought a worthwhile improvement\. Price: about 800 epochs, .* for 40 trials more",
        alone(RISING),
        alone(FLAT),
    ),
    ("widen", r"Go on, in a wider space: .* Price: about", alone(EDGE), alone(RISING)),
    ("train longer", r"Train longer rather than search more: .* Price: about 1,600 epochs", alone(LATE), alone(FLAT)),
    ("stop", r"Stop searching: more trials of this kind would bring little", alone(FLAT), alone(RISING)),
    (
        "not to stop after few",
        r"Run more before you judge: 19 trials are too few .* for 19 trials more",
        alone(first_of_flat(19)),
        alone(FLAT),
    ),
    ("to stop after enough", r"Stop searching: more trials", alone(first_of_flat(20)), alone(first_of_flat(19))),
    (
        "failed ones are no judgement",
        r"Run more before you judge: 19 trials are",
        alone(first_of_flat(20, FAIL=1)),
        alone(first_of_flat(20)),
    ),
    ("pruned ones are", r"Stop searching: more trials", alone(first_of_flat(20, PRUNED=15)), alone(first_of_flat(20, PRUNED=16))),
    ("few completed", r"before you judge: 4 completed trials are too few", alone(first_of_flat(20, PRUNED=16)), alone(first_of_flat(20))),
    ("a rule has ended", r"Nothing more of this kind: the rule", alone(first_of_flat(30, stopped_by="rule")), alone(first_of_flat(30))),
    ("out of reach", r"One more percentage point is out of reach", alone(FLAT), alone(RISING)),
    ("luck of one run", r"this is what one run with one seed showed", alone(RISING), story(CLEAR)),
    ("one parameter", r"only 1 parameter was searched, so there is nothing to rank", alone(RISING), alone(search(trials([]), spec=None))),
    (
        "the check is stale",
        r"The check of the space is left out: it tried lr=7",
        story(check={"extremes": [{"key": "lr", "value": 7.0}]}),
        story(check={"extremes": [{"key": "lr", "value": 1.0}]}),
    ),
    (
        "the check saw other data",
        r"The check of the space is left out: it looked at other data",
        story(check={"data": "other"}),
        story(check={"data": "9b1c"}),
    ),
    (
        "fine was run with other code",
        r"The fine search is left out: it was run with other code",
        story(fine=search([0.95], name="fine", identity={**SETTING, "files": {"src/train.py": "00"}})),
        story(fine=FINE),
    ),
    (
        "the tests belong to others",
        r"The test figures are left out: they are of finalist 2",
        story(CLEAR, test={"winner": {"finalist": 2}}),
        story(CLEAR, test={"winner": {"finalist": 1}}),
    ),
    (
        "a test over other seeds",
        r"the winner was tested with seeds that it was not trained with",
        story(CLEAR, test={"winner": {"seeds": {7: 0.9}}}),
        story(CLEAR, test={"winner": {"seeds": {101: 0.9}}}),
    ),
    (
        "a test with other values",
        r"the validation value of the winner with seed 101 is another",
        story(CLEAR, test={"val": {"winner": {101: 0.8}}}),
        story(CLEAR, test={"val": {"winner": {101: 0.95}}}),
    ),
]


@pytest.mark.parametrize(("sentence", "true", "false"), [row[1:] for row in STATEMENTS], ids=[row[0] for row in STATEMENTS])
def test_a_sentence_appears_where_it_is_true_and_only_there(sentence, true, false):
    text = said(true)
    assert re.search(sentence, text), text[: text.find("## What mattered")]
    assert not re.search(sentence, said(false))


def test_advice_agrees_everywhere():
    """One decision: the headline, What next, the mends of the flags and the checklist say the same, each with its price."""
    for context in (story(CLEAR), story(WORSE), story(coarse=pruned()), alone(RISING), alone(EDGE), alone(LATE), alone(FLAT)):
        text = said(context)
        verdict = re.search(r"- What to do: (.*)", text).group(1)
        assert f"## What next\n\n{verdict}\n" in text and "Price:" in verdict
        if verdict.startswith(("Stop", "Keep", "Train longer")):
            assert not re.search(r"- Mend: Run about", text)


def test_a_mend_against_the_decision_is_for_another_search():
    wide = search(trials(np.append(0.95, np.linspace(0.7, 0.94, 24)[::-1]), lr=np.append(0.03, np.logspace(-2, -1, 24)), a=3, b=4))
    wide.params = ["lr", "a", "b"]
    text = said(alone(wide))  # 25 trials are too few for three parameters, but the best stands since the first
    assert "Stop searching" in text and re.search(r"In another search .*: Run about 30 trials", text)
    more = said(alone(search(trials(np.linspace(0.5, 0.9, 20), lr=np.append(np.logspace(-2, -1, 10), np.logspace(-1.9, -1.1, 10))))))
    assert "Go on:" in more and "In another search" not in more


def test_the_checklist_is_not_complete_beside_red_flags_or_unchecked_pruning():
    row = r"\| (\w+) \| Pruning checked \| (.*) \|"
    assert re.search(row, said(story(coarse=pruned()))).group(1) == "no"
    assert re.search(row, said(story(coarse=pruned(), audit=audit([0.9, 0.91])))).groups() == (
        "yes",
        "0 of 2 audited trials came out better than the best",
    )
    assert re.search(row, said(story())).groups() == ("yes", "nothing was pruned")
    assert "| no | No serious red flag and no warning | The default beats the tuned configuration |" in said(story(WORSE))
    assert "| yes | No serious red flag and no warning |" in said(story(CLEAR))
    assert "| no | Nothing left to do first | Go on:" in said(alone(RISING))
    assert "| yes | Nothing left to do first | Stop searching:" in said(alone(FLAT))


def test_a_rate_that_is_tied_to_the_batch_size_is_said_to_be():
    def of(**config):
        frame = trials(np.linspace(0.5, 0.9, 12)).assign(batch_size=np.tile([16.0, 32.0, 64.0], 4))
        sweep = search(frame, config={"epochs": 20, "seed": 0, **config})
        sweep.params = ["lr", "batch_size"]
        return said(alone(sweep))

    sentence = "lr is meant for a batch of 64; the rate that was used grew with {} (lr_scaling={})."
    assert sentence.format("the batch size", "linear") in of(lr_scaling="linear", reference_batch_size=64)
    assert sentence.format("the square root of the batch size", "sqrt") in of(lr_scaling="sqrt", reference_batch_size=64)
    assert "is meant for a batch" not in of() and "is meant for a batch" not in of(lr_scaling="none", reference_batch_size=64)


def test_a_widened_size_has_its_price():
    text = said(alone(_sized("model.channels", "tag(log, int(interval(16, 64)))")))
    assert "from tag(log, int(interval(16, 64))) to tag(log, int(interval(16, 128)))" in text
    assert "Larger sizes cost more time and memory" in text and "the cost of an epoch grows with model.channels" in text
    assert "Larger sizes" not in said(alone(_sized("lr", "tag(log, interval(16, 64))")))


def _sized(key: str, spec: str):
    sweep = search(trials(np.linspace(0.5, 0.9, 40), lr=np.linspace(16, 64, 40)), spec=spec)
    sweep.trials = sweep.trials.rename(columns={"lr": key})
    sweep.params, sweep.space = [key], [Entry(key, space.parse(spec, key))]
    return sweep


def test_the_best_so_far_goes_on_in_the_second_search():
    context = story(fine=search([0.93, 0.94, 0.96], name="fine"))  # the coarse search has 0.95
    assert best_so_far(context.searches[1])["best"].tolist() == [0.93, 0.94, 0.96]
    first, second = [layer for layer in progress_chart(context).panels[0].layers if layer.kind == "steps"]
    assert max(first.y) == pytest.approx(95) and list(second.y) == pytest.approx([95, 95, 96])


@pytest.mark.parametrize("key", ["src/train.py", "app.py"])
def test_commands_are_those_of_the_app(key):
    sweep = search([0.9, 0.91], command=f"python {key} -m +trivet=coarse a=1", overrides=["+trivet=coarse", "a=1"])
    assert command(sweep, ["lr=0.1"]) == f"python {key} a=1 lr=0.1"
    foreign = said(alone(sweep))
    assert "pipelines/" not in foreign and "dvc " not in foreign


def test_knobs_that_the_project_does_not_have_are_not_named():
    context = story(coarse=RISING)
    assert "dvc exp run -S coarse.n_trials=80" in said(context)
    context.results.params = {"seed": 0}
    assert "dvc exp run" not in said(Context(context.searches, context.results))


def test_finalists_need_no_column_of_their_own():
    labelled = story(CLEAR)
    bare = story(CLEAR)
    bare.results.seeds.trials = bare.results.seeds.trials.drop(columns="finalist")
    bare.results.seeds.params = ["seed", "lr"]
    again = Context(bare.searches, bare.results)
    assert again.seeds.values == labelled.seeds.values and again.winner_settings == labelled.winner_settings


@pytest.mark.parametrize(("n", "every", "dots", "partly"), [(700, 1, 700, False), (2000, 20, 100, False), (2000, 1, 800, True)])
def test_of_many_trials_those_that_ended_are_drawn(n, every, dots, partly):
    """Most may have been pruned, and a part of all trials would leave hardly one of the others."""
    frame = trials(np.sin(np.arange(n)) / 10 + 0.8, state=np.where(np.arange(n) % every, "PRUNED", "COMPLETE"))
    chart = progress_chart(alone(search(frame)))
    points, line = chart.panels[0].layers
    assert np.isfinite(np.asarray(points.y, dtype=float)).sum() == pytest.approx(dots, abs=20 if partly else 0)
    assert ("only a part is drawn" in chart.note) == partly and list(line.x)[-1] == n - 1


def test_figures_and_titles_of_the_checklist_read_well():
    many = trials(np.linspace(0.5, 0.9, 1200), state=np.append(["COMPLETE"] * 100, ["PRUNED"] * 1100), best_step=20.0)
    text = said(alone(search(many)))
    assert "1,200.0 trials per parameter in play" in text
    assert not re.search(r"\w and [A-Z]\w+ ", re.search(r"No serious red flag and no warning \| (.*) \|", text).group(1))
