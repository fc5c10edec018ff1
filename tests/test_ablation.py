"""What an ablation says: effects with a known answer, each sentence where it is true and where it is not, and the command that runs it."""

import re

import numpy as np
import pandas as pd
import pytest
import yaml
from report_stories import alone, said, search, story, trials

from trivet import changes
from trivet.diagnosis import ablation
from trivet.errors import UserError
from trivet.phases import ablation as phase

NAMES = ["optimizer=sgd", "optimizer.lr=0.1", "batch_size=32"]
FINALISTS = {0: [0.900, 0.901, 0.899], 1: [0.950, 0.951, 0.949], 2: [0.920, 0.921, 0.919]}


def apart(value, n=3, seeds=(101,), noise=0.0, direction="maximize", fail=(), **study):
    """The sweep of an ablation of n changes with `value(mask)`; each run is off by `noise` times a fixed draw. `fail`: labels of masks."""
    means = {mask: value(mask) * (1 if direction == "maximize" else -1) for mask in changes.ends_and_singles(n)}
    means = {mask: mean for mask, mean in means.items() if changes.label(mask) not in fail}
    masks = dict.fromkeys([*changes.ends_and_singles(n), *changes.path(changes.order_of(means, n)), *changes.undone(n)])
    rng = np.random.default_rng(0)
    rows = [(changes.label(mask), seed, value(mask) + noise * rng.normal()) for mask in masks for seed in seeds]
    frame = trials([value for *_, value in rows], lr=None)
    frame.insert(6, "changes", [label for label, *_ in rows])
    frame.insert(7, "seed", [float(seed) for _, seed, _ in rows])
    frame.loc[frame["changes"].isin(fail), ["state", "value"]] = ["FAIL", np.nan]
    sampler = {"name": "ablation", "changes": [{"name": name, "overrides": [name]} for name in NAMES[:n]]}
    sweep = search(frame, name="ablation", spec=None, sampler=sampler, direction=direction, **study)
    sweep.params = []
    return sweep


def additive(*weights, start=0.9):
    return lambda mask: start + sum(w for w, on in zip(weights, mask, strict=True) if on)


def gains(effects):
    return {NAMES[effect.change]: round(effect.gain, 9) for effect in effects}


def test_of_additive_changes_the_path_and_undoing_say_the_same():
    found = ablation.read(apart(additive(0.01, 0.04, 0.0)))
    assert [NAMES[effect.change] for effect in found.path] == [NAMES[1], NAMES[0], NAMES[2]]  # the largest gain first
    assert gains(found.path) == gains(found.undone) == {NAMES[0]: 0.01, NAMES[1]: 0.04, NAMES[2]: 0.0}
    assert round(found.total.gain, 9) == 0.05 and found.total.interval is None


def test_of_changes_that_stand_in_for_each_other_undoing_either_loses_nothing():
    found = ablation.read(apart(lambda mask: 0.9 + 0.05 * (mask[0] or mask[1]) + 0.01 * mask[2]))
    assert gains(found.path) == {NAMES[0]: 0.05, NAMES[1]: 0.0, NAMES[2]: 0.01}
    assert gains(found.undone) == {NAMES[0]: 0.0, NAMES[1]: 0.0, NAMES[2]: 0.01}


def test_of_changes_that_work_only_together_undoing_either_loses_all():
    found = ablation.read(apart(lambda mask: 0.9 + 0.05 * (mask[0] and mask[1]), n=2))
    assert gains(found.path) == {NAMES[0]: 0.0, NAMES[1]: 0.05} and gains(found.undone) == {NAMES[0]: 0.05, NAMES[1]: 0.05}


def test_a_lower_value_is_a_gain_where_lower_is_better():
    found = ablation.read(apart(additive(-0.01, -0.04, 0.02), direction="minimize"))
    assert gains(found.path) == {NAMES[1]: 0.04, NAMES[0]: 0.01, NAMES[2]: -0.02}


def test_the_noise_is_what_configuration_and_seed_leave():
    table = [[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]]
    assert ablation.residual(table) == ablation.Noise(0.0, 2)
    table[0][0] += 0.6  # spread over the table: 0.2 of it in its own place, and so on
    assert ablation.residual(table).std == pytest.approx(0.6 * np.sqrt((1 - 1 / 2) * (1 - 1 / 3) / 2))
    assert ablation.residual([[1.0, 2.0]]) is None and ablation.residual([[1.0], [2.0]]) is None
    assert ablation.noise_of({"a": {1: 1.0, 2: 2.0}, "b": {1: 3.0}, "c": {1: 2.0, 2: 3.5}}).df == 1  # b lacks a seed


def test_an_interval_is_students_of_a_difference_over_common_seeds():
    """95 % of t with 10 degrees of freedom: 2.228."""
    effect = ablation.Effect(0, 0.02, 2, ablation.Noise(0.01, 10))
    assert effect.interval == pytest.approx((0.02 - 2.2281 * 0.01, 0.02 + 2.2281 * 0.01), abs=1e-6)
    assert ablation.Effect(0, 0.02, 8, ablation.Noise(0.01, 10)).interval == pytest.approx((0.02 - 0.01114, 0.02 + 0.01114), abs=1e-5)


@pytest.mark.parametrize(
    ("gain", "std", "verdict"),
    [
        *[(0.05, 0.01, "brings"), (0.005, 0.01, "nothing"), (-0.05, 0.01, "nothing"), (0.02, 0.01, "unclear")],
        *[(0.05, None, "unclear"), (0.0, None, "nothing")],
    ],
)  # fmt: skip
def test_what_may_be_said_of_a_change(gain, std, verdict):
    assert ablation.Effect(0, gain, 1, None if std is None else ablation.Noise(std, 10)).verdict == verdict


def test_coverage_of_the_intervals():
    """Of 400 effects with a known truth, 95 % of the intervals hold it."""
    held, rng = [], np.random.default_rng(1)
    truth = np.array([0.0, 0.01, 0.03])
    for _ in range(133):
        seeds = rng.normal(0, 0.02, 3)
        runs = {
            mask: {s: 0.9 + float(truth @ np.array(mask)) + seeds[s] + 0.01 * rng.normal() for s in range(3)}
            for mask in [*changes.ends_and_singles(3), *changes.undone(3)]
        }
        noise = ablation.noise_of(runs)
        for i, mask in enumerate(changes.undone(3)):
            difference = np.mean([runs[(True,) * 3][s] - runs[mask][s] for s in range(3)])
            low, high = ablation.Effect(i, difference, 3, noise).interval
            held.append(low <= truth[i] <= high)
    assert 0.92 < np.mean(held) < 0.98


def test_a_configuration_that_fails_has_no_effect_and_its_change_is_kept():
    sweep = apart(additive(0.01, 0.04, 0.02), fail=("1+2",))
    found = ablation.read(sweep)
    assert NAMES[2] not in gains(found.undone) and len(found.undone) == 2
    assert "keep: without it training fails" in said(alone(sweep))


def test_other_sweeps_are_no_ablation():
    assert ablation.read(search([0.9, 0.91])) is None
    assert "Which changes brought the gain" not in said(alone(search([0.9, 0.91])))


CLEAR = apart(additive(0.01, 0.04, 0.0), seeds=(101, 102, 103), noise=0.0005)
ALL = apart(additive(0.01, 0.04, 0.02), seeds=(101, 102, 103), noise=0.0005)
NOISY = apart(additive(0.025, 0.025, 0.025, start=0.7), seeds=(101, 102), noise=0.03)
ONCE = apart(additive(0.1, 0.2, 0.3, start=0.2))
IDLE = apart(additive(0.0, 0.04, 0.0), seeds=(101, 102, 103), noise=0.0005)
STATEMENTS = [
    ("the whole", r"All 3 changes together bring [45]\.\d\d percentage points \(95 % interval", CLEAR, search([0.9, 0.91])),
    ("the largest", r"optimizer\.lr=0\.1 brought most on the way: [34]\.\d\d percentage points", CLEAR, ONCE),
    ("what may go", r"batch_size=32 brings nothing beside the others and can be reverted safely", CLEAR, ALL),
    ("what may go by itself", r"optimizer=sgd, batch_size=32 bring nothing: each can be reverted safely by itself", IDLE, CLEAR),
    ("what is open", r"Not to be told from noise with so few seeds, and better kept: .*batch_size=32", NOISY, ALL),
    ("no noise", r"Each configuration ran once and there is no seeds stage", ONCE, CLEAR),
    ("the row of a change", r"\| batch_size=32 \| .* \| can be reverted \|", CLEAR, ALL),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "true", "false"), [row[1:] for row in STATEMENTS], ids=[row[0] for row in STATEMENTS])
def test_a_sentence_appears_where_it_is_true_and_only_there(sentence, true, false):
    assert re.search(sentence, said(alone(true))), said(alone(true))
    assert not re.search(sentence, said(alone(false)))


def ends(default, winner):
    return lambda mask: winner if all(mask) else default if not any(mask) else default + 0.01


def test_the_pipelines_report_takes_the_noise_from_the_seeds_and_only_an_ablation_of_their_winner():
    mine = story(FINALISTS, ablation=apart(ends(0.900, 0.950)))
    assert "All 3 changes together bring 5.00 percentage points (95 % interval" in said(mine)
    assert mine.results.left_out == []
    other = story(FINALISTS, ablation=apart(ends(0.900, 0.951)))
    assert other.results.left_out == ["The ablation is left out: the winner has another value there with seed 101 than among the seeds."]
    assert "Which changes brought the gain" not in said(other)
    assert story(ablation=apart(ends(0.900, 0.950))).results.ablation is None  # no seeds, no winner


@pytest.fixture
def published(tmp_path):
    folder = tmp_path / "results/seeds"
    folder.mkdir(parents=True)
    study = {"overrides": ["hparams=seeds", "model=mlp", "epochs=5", "hydra.sweeper.seed=1"]}
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    return tmp_path


def test_the_command_is_the_apps_own_with_what_the_seeds_stage_fixed(published):
    ours = phase.command(phase.SEEDS, 3, published)[1:]
    given = ["hydra.sweeper.publish=results/ablation", "hydra.sweeper.sampler.of=results/seeds", "hydra.sweeper.sampler.seeds=3"]
    assert ours == ["src/train.py", "-m", "hparams=ablation", "model=mlp", "epochs=5", *given]
    described = {"app": "python train.py", "objective": "val/acc", "direction": "maximize", "overrides": ["data=mine"]}
    (published / "trivet.yaml").write_text(yaml.safe_dump(described))
    theirs = phase.command(phase.SEEDS, 1, published)[1:]
    assert theirs[:5] == ["train.py", "-m", "+trivet=ablation", "hydra/sweeper=trivet", "data=mine"]


def test_a_search_of_ones_own_is_published_nowhere(published):
    (published / "mine").mkdir()
    (published / "mine/study.yaml").write_text(yaml.safe_dump({"overrides": []}))
    words = phase.command(published / "mine", 1, published)
    assert not any("publish" in word for word in words) and f"hydra.sweeper.sampler.of={published / 'mine'}" in words


def test_what_is_wrong_is_one_line(published):
    with pytest.raises(UserError, match="--seeds=0: must be >= 1"):
        phase.main(["--seeds", "0"])
    with pytest.raises(UserError, match=r"nowhere: is not a sweep's folder"):
        phase.command(published / "nowhere", 1, published)


# Tiers and ladder in the report --------------------------------------------------------------------------------------------------


def by_rule(name, column, cells, values, states=None, **sampler):
    frame = trials(values, lr=np.logspace(-3, -1, len(values)))
    frame.insert(6, column, cells)
    frame["state"] = states or "COMPLETE"
    frame.loc[frame["state"] == "FAIL", "value"] = np.nan
    sweep = search(frame, name=name, sampler={"name": name, **sampler}, overrides=[f"hparams={name}", "model=mlp"])
    sweep.params = ["lr"]
    return sweep


TIERS = by_rule("tiers", "tier", ["", *["rates"] * 3, *["sizes"] * 2, "rest"], [0.90, 0.91, 0.95, 0.92, 0.93, 0.94, 0.96])
FRUITLESS = by_rule("tiers", "tier", ["", "rates", "sizes"], [0.95, 0.91, 0.90])
STEADY = by_rule("ladder", "why", ["begins small", "fell", "fell"], [0.90, 0.95, 0.93], key="lr")
BROKEN = by_rule("ladder", "why", ["begins small", "fell"], [0.90, 0.5], ["COMPLETE", "FAIL"], key="lr")
BROKEN.study["stopped_by"] = "rule"
HOPELESS = by_rule("ladder", "why", ["begins small"], [0.5], ["FAIL"], key="lr")
GENERATIONS = {"generation": list("000111222"), "member": list("012012012"), "parent": ["", "", "", "1", "1", "2", "3", "4", "3"]}
CLIMBING = [0.90, 0.92, 0.91, 0.93, 0.92, 0.90, 0.96, 0.94, 0.91]


def generations(lr, **cells):
    """A population of three, of which trial 6 is the best by way of 1 and 3, each with this rate."""
    sweep = by_rule("pbt", "generation", GENERATIONS["generation"], CLIMBING)
    rates = np.array([0.1, 0.2, 0.3, 0.4, 0.2, 0.3, 0.5, 0.2, 0.4])
    sweep.trials = sweep.trials.assign(**{**GENERATIONS, **cells}, lr=rates if lr is None else lr, step=np.repeat([5.0, 10.0, 15.0], 3))
    sweep.study["schedule"] = {"command": "python app.py -m +trivet=replay hydra.sweeper.sampler.of=sweeps/pbt"}
    return sweep


POPULATION, CONSTANT = generations(None), generations(0.1)
DAMAGED = generations(None, parent=["", "", "", "1", "7", "2", "3", "4", "3"])  # of a later trial
RULED = [
    (r"3 generations of 3 members; 2 of 6 starts from a checkpoint took over that of another member", POPULATION, DAMAGED),
    (r"The best is trial 6, up to step 15: no single configuration but a schedule of 3 segments\.", POPULATION, CONSTANT),
    (r"lr changed 2 times, from 0\.2 to 0\.5\.", POPULATION, CONSTANT),
    (r"\| 3 \| 10 \| 0\.4 \| 93\.00 % \|", POPULATION, CONSTANT),
    (r"kept its settings from the first generation on", CONSTANT, POPULATION),
    (r"-m \+trivet=replay hydra\.sweeper\.sampler\.of=sweeps/pbt", POPULATION, TIERS),
    (r"Settings over time", POPULATION, CONSTANT),
    (r"The tree of descent", CONSTANT, DAMAGED),
    (r"\b45 epochs\b", POPULATION, FRUITLESS),  # five each, not those of the parents again
    (r"The tier rates brought most: 5\.00 percentage points of 6\.00 percentage points in all", TIERS, FRUITLESS),
    (r"sizes brought nothing\.", TIERS, FRUITLESS),
    (r"No tier found anything better than what it set out from", FRUITLESS, TIERS),
    (r"\| rates \| 3 \| 60 \| 90\.00 % \| 95\.00 % \| 5\.00 percentage points \|", TIERS, FRUITLESS),
    (r"3 runs from lr=0\.001; the best is lr=0\.01, a default to search around\.", STEADY, TIERS),
    (r"At 0\.1 training is unstable", BROKEN, STEADY),
    (r"the search ended because its rule had nothing more to try", BROKEN, STEADY),
    (r"No run came to its end: begin with a smaller lr", HOPELESS, BROKEN),
    (r"\| begins small \| COMPLETE \|", STEADY, HOPELESS),
    (r"-m hparams=search model=mlp 'lr=tag\(log, interval\(0\.001, 0\.1\)\)' 'hydra\.sweeper\.enqueue=\[\{lr: 0\.01", STEADY, HOPELESS),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "true", "false"), RULED)
def test_a_sentence_about_tiers_or_a_ladder_appears_only_where_it_is_true(sentence, true, false):
    assert re.search(sentence, said(alone(true))), said(alone(true))
    assert not re.search(sentence, said(alone(false)))


def test_labels_are_no_parameters_and_stay_texts(tmp_path):
    from trivet.reporting.tables import read_sweep

    frame = pd.DataFrame({"number": [0, 1], "state": "COMPLETE", "reason": "", "value": [1.0, 2.0], "step": 1, "best_step": 1})
    frame.assign(changes=["none", "1"], lr=[0.1, 0.2], seconds=1.0).to_csv(tmp_path / "trials.csv", index=False)
    assert read_sweep(tmp_path).params == ["changes", "lr"]  # an app's own parameter
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({"sampler": {"name": "ablation"}}))
    found = read_sweep(tmp_path)
    assert found.params == ["lr"] and found.trials["changes"].tolist() == ["none", "1"]
