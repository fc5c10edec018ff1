"""finalists: choosing, seeding and comparing, on tables whose answers are known."""

import math

import numpy as np
import pandas as pd
import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from trivet.errors import UserError
from trivet.phases import finalists, selection

HEAD = "number,state,reason,value,step,best_step,optimizer,optimizer.lr,model.width,seconds,worker,started,overrun"
COARSE = f"""{HEAD}
0,COMPLETE,,0.80,30,30,sgd,0.1,32,1,0,,
1,COMPLETE,,0.90,30,30,adamw,0.01,64,1,0,,
2,PRUNED,,0.99,3,3,adamw,0.02,64,1,0,,
3,FAIL,diverged,,2,,sgd,1.0,64,1,0,,
4,COMPLETE,,0.90,30,30,sgd,0.5,64,1,0,,
"""
FINE = f"""{HEAD}
0,COMPLETE,,0.95,30,30,adamw,0.0102,64,1,0,,
1,COMPLETE,,0.94,30,30,adamw,0.03,128,1,0,,
2,COMPLETE,,0.93,30,30,sgd,0.101,32,1,0,,
"""


@pytest.fixture
def tables(tmp_path):
    found = {}
    for phase, text in {"coarse": COARSE, "fine": FINE}.items():
        path = tmp_path / f"{phase}.csv"
        path.write_text(text)
        found[phase] = finalists.read_trials(path)
    return found


@pytest.mark.parametrize(
    ("k", "direction", "expected"),
    [
        (3, "maximize", [("fine", 0), ("fine", 1), ("coarse", 4)]),  # coarse 1 is fine 0 within 5 %, fine 2 is the default
        (1, "maximize", [("fine", 0)]),
        (9, "minimize", [("coarse", 1), ("coarse", 4), ("fine", 1)]),  # fewer than asked for
        (0, "maximize", []),
    ],
)
def test_top_k_takes_distinct_complete_trials_of_both_phases(tables, k, direction, expected):
    default = {"optimizer": "sgd", "optimizer.lr": 0.1, "model.width": 32}
    best = finalists.top_k(tables, k, direction, default)
    assert [(one.phase, one.number) for one in best] == expected
    assert [one.finalist for one in best] == list(range(1, len(expected) + 1))


def test_top_k_keeps_the_types_of_values(tables):
    assert finalists.top_k(tables, 1, "maximize")[0].params == {"optimizer": "adamw", "optimizer.lr": 0.0102, "model.width": 64}


def test_top_k_refuses_an_unknown_direction(tables):
    with pytest.raises(UserError, match="direction='up' is not one of maximize, minimize"):
        finalists.top_k(tables, 1, "up")


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ({"lr": 0.01}, {"lr": 0.0104}, True),
        ({"lr": 0.01}, {"lr": 0.011}, False),
        ({"lr": 0.01}, {"lr": 0.01, "decay": 0.1}, False),
        ({"norm": None}, {"norm": "batch"}, False),
        ({"flag": True}, {"flag": 1}, False),
        ({"flag": False}, {"flag": 0}, False),
        ({"width": 64}, {"width": 64.0}, True),
        ({}, {}, True),
    ],
)
def test_alike(a, b, expected):
    assert finalists.alike(a, b) is expected
    assert finalists.alike(b, a) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("null", None), ("true", True), ("False", False), ("32", 32), ("1e-05", 1e-05), ("-0.5", -0.5), ("batch", "batch"), ("0x1", "0x1")],
)
def test_cell(text, expected):
    value = finalists.cell(text)
    assert value == expected
    assert type(value) is type(expected)
    assert finalists.cell(finalists.text(value)) == value


def test_the_space_tells_what_a_cell_cannot():
    entries = [
        {"key": "model.widths", "spec": "choice([16,32], [32])", "when": {"model": "a"}},
        {"key": "model.widths", "spec": "choice('1', '2')", "when": {"model": "b"}},
        {"key": "optimizer.lr", "spec": "tag(log, interval(0.001, 1))", "when": {}},
    ]
    options = finalists.options_of(entries)
    columns = ["model.widths", "optimizer.lr"]
    rows = [{"model.widths": "[16,32]", "optimizer.lr": "0.5"}, {"model.widths": "1", "optimizer.lr": ""}]
    got = [finalists.params_of(row, columns, options) for row in rows]
    assert got == [{"model.widths": [16, 32], "optimizer.lr": 0.5}, {"model.widths": "1"}]


@pytest.mark.parametrize(("seed", "n"), [(0, 3), (1, 3), (7, 900), (2**31 - 1, 5), (-100, 5)])
def test_fresh_seeds_are_distinct_and_not_the_search_seed(seed, n):
    seeds = finalists.fresh_seeds(seed, n)
    assert len(set(seeds)) == n
    assert seed not in seeds
    assert all(0 <= one < 2**31 for one in seeds)


def test_fresh_seeds_are_documented_ones():
    assert finalists.fresh_seeds(0, 3) == [101, 102, 103]
    assert not set(finalists.fresh_seeds(0, 999)) & set(finalists.fresh_seeds(1, 999))


def test_summary_is_the_textbook_interval():
    values = [0.91, 0.93, 0.95]
    got = finalists.summary(values)
    low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert (got.mean, got.std, got.n) == (pytest.approx(0.93), pytest.approx(0.02), 3)
    assert (got.low, got.high) == (pytest.approx(low), pytest.approx(high))


def test_one_value_has_no_interval():
    assert finalists.summary([0.5]) == finalists.Summary(0.5, None, 1, None, None)
    assert finalists.paired([0.5], [0.25]) == finalists.Paired(0.25, None, None, None, 1)


@pytest.mark.parametrize("values", [[], [math.nan], [1.0, math.inf]])
def test_summary_refuses_what_is_not_a_value(values):
    with pytest.raises(ValueError, match="finite"):
        finalists.summary(values)


def test_paired_agrees_with_scipy():
    a, b = [0.91, 0.95, 0.94, 0.97], [0.90, 0.92, 0.95, 0.93]
    got, reference = finalists.paired(a, b), stats.ttest_rel(a, b)
    interval = reference.confidence_interval(0.95)
    assert (got.mean, got.p, got.n) == (pytest.approx(0.0175), pytest.approx(reference.pvalue), 4)
    assert (got.low, got.high) == (pytest.approx(interval.low), pytest.approx(interval.high))


@pytest.mark.parametrize(("a", "b", "p"), [([1, 2], [1, 2], 1.0), ([2, 3], [1, 2], 0.0)])
def test_paired_with_equal_differences(a, b, p):
    got = finalists.paired(a, b)
    assert (got.low, got.high, got.p) == (got.mean, got.mean, p)


def test_paired_refuses_unequal_lengths():
    with pytest.raises(ValueError, match="differ in number: 2 and 1"):
        finalists.paired([1, 2], [1])


@pytest.mark.parametrize(
    ("rows", "direction", "expected"),
    [
        ([(0, 0.8), (0, 0.8), (1, 0.9), (1, 0.7), (2, 0.85), (2, 0.85)], "maximize", 2),
        ([(0, 0.8), (0, 0.8), (1, 0.9), (1, 0.7), (2, 0.85), (2, 0.85)], "minimize", 0),
        ([(0, 0.8), (0, 0.8), (1, 0.99), (1, None)], "maximize", 0),  # one seed of 1 failed: it does not compete
        ([(1, 0.9), (2, 0.9)], "maximize", 1),  # tie: the lower number
    ],
)
def test_winner_is_the_best_mean(rows, direction, expected):
    table = pd.DataFrame(
        [
            {"finalist": str(one), "state": "FAIL" if value is None else "COMPLETE", "value": "" if value is None else str(value)}
            for one, value in rows
        ]
    )
    assert finalists.winner(table, direction) == expected


def test_no_winner_without_a_complete_run():
    table = pd.DataFrame({"finalist": ["0"], "state": ["FAIL"], "value": [""]})
    with pytest.raises(UserError, match="no finalist finished"):
        finalists.winner(table, "maximize")


def test_ensemble_is_the_mean():
    got = finalists.ensemble([np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])])
    assert got.tolist() == [[0.5, 0.5]]
    with pytest.raises(ValueError, match="one shape"):
        finalists.ensemble([np.zeros(2), np.zeros(3)])


TEXT = st.text(st.characters(codec="ascii", exclude_characters="\n\r$"), min_size=0, max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(VALUES)
def test_hydra_reads_back_what_override_writes(value):
    parsed = OverridesParser.create().parse_override(finalists.override("a.b", value)).value()
    plain = unquoted(parsed)
    assert plain == value
    assert type(plain) is type(value)


def unquoted(value):
    if isinstance(value, list):
        return [unquoted(item) for item in value]
    return getattr(value, "text", value)


def test_overrides_put_group_choices_first():
    one = finalists.Finalist(2, "fine", 7, 0.9, {"optimizer.lr": 1e-05, "batch_size": 32, "optimizer": "adamw", "model.norm": None})
    expected = ["optimizer=adamw", "optimizer.lr=1e-05", "batch_size=32", "model.norm=null"]
    assert finalists.overrides(one, ["optimizer", "model"]) == expected


@pytest.mark.parametrize(
    ("seed_key", "first", "named"),
    [("seed", ["seed=5"], {}), ("a.seed", ["a.seed=5"], {"name": "seed"}), (None, [], {"name": "seed"})],
)
def test_the_runs_of_a_finalist_are_its_replicates(seed_key, first, named):
    chosen = [finalists.Finalist(0, "default", 0, 0.9, {"batch_size": 32}), finalists.Finalist(1, "fine", 3, 0.95, {"lr": 0.1})]
    content = selection.listed(chosen, [5, 6], [], seed_key)
    assert content["replicates"] == {"key": seed_key, "values": [5, 6], **named}
    assert content["trials"] == [{"overrides": o, "user_attrs": {"finalist": n}} for n, o in ((0, []), (1, ["lr=0.1"]))]
    assert selection.runs(content)[::2] == [first, [*first, "lr=0.1"]] and len(selection.runs(content)) == 4
    assert selection.runs([{"overrides": ["seed=5"]}]) == [["seed=5"]], "a list of the runs themselves"


@pytest.fixture
def project(tmp_path):
    defaults = {"optimizer": "sgd", "optimizer.lr [optimizer=sgd]": 0.1, "model.width": 32}
    for phase, text in {"coarse": COARSE, "fine": FINE}.items():
        folder = tmp_path / "results" / phase
        folder.mkdir(parents=True)
        (folder / "trials.csv").write_text(text)
        (folder / "study.yaml").write_text(yaml.safe_dump({"directions": ["maximize"], "defaults": defaults}))
    (tmp_path / "conf/optimizer").mkdir(parents=True)
    return tmp_path


def test_the_script_writes_the_runs_and_the_table(project):
    selection.main(["--seed", "0", "--seeds", "2", "--finalists", "2"], project)
    folder = project / "results/finalists"
    assert (folder / "finalists.csv").read_text().splitlines() == [
        "finalist,phase,number,value,optimizer,optimizer.lr,model.width",
        "0,default,0,0.8,sgd,0.1,32",
        "1,fine,0,0.95,adamw,0.0102,64",
        "2,fine,1,0.94,adamw,0.03,128",
    ]
    content = yaml.safe_load((folder / "trials.yaml").read_text())
    assert [entry["user_attrs"]["finalist"] for entry in content["trials"]] == [0, 1, 2]
    assert selection.runs(content) == [
        ["seed=101"],
        ["seed=102"],
        ["seed=101", "optimizer=adamw", "optimizer.lr=0.0102", "model.width=64"],
        ["seed=102", "optimizer=adamw", "optimizer.lr=0.0102", "model.width=64"],
        ["seed=101", "optimizer=adamw", "optimizer.lr=0.03", "model.width=128"],
        ["seed=102", "optimizer=adamw", "optimizer.lr=0.03", "model.width=128"],
    ]


def test_what_the_fine_space_sets_for_all_trials_is_kept(project):
    (project / "results/narrow").mkdir()
    lines = ["batch_size: 32", "optimizer: choice(adamw)", "optimizer=adamw:", "  optimizer.beta1: 0.8"]
    (project / "results/narrow/space.yaml").write_text("\n".join(lines))
    selection.main(["--seed", "0", "--seeds", "1", "--finalists", "4"], project)
    runs = selection.runs(yaml.safe_load((project / "results/finalists/trials.yaml").read_text()))
    assert ["batch_size=32" in run for run in runs] == [False, True, True, True, False]  # the last is of the coarse search


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "0", "--seeds", "0", "--finalists", "2"], "seeds.n=0 must be >= 1"),
        (["--seed", "0", "--seeds", "1", "--finalists", "-1"], "seeds.finalists=-1 >= 0"),
    ],
)
def test_the_script_refuses_bad_numbers_and_writes_nothing(project, arguments, message):
    with pytest.raises(UserError, match=message):
        selection.main(arguments, project)
    assert not (project / "results/finalists").exists()


def test_the_script_names_the_missing_sweep(project):
    (project / "results/fine/trials.csv").unlink()
    with pytest.raises(UserError, match=r"fine/trials.csv is missing: run dvc repro fine"):
        selection.main(["--seed", "0", "--seeds", "1", "--finalists", "1"], project)


def test_ties_go_to_the_lower_loss_at_the_best_step(tmp_path):
    rows = ["0,COMPLETE,,0.9,3,1,0.1,1,0,", "1,COMPLETE,,0.9,3,3,0.2,1,0,", "2,COMPLETE,,0.9,3,2,0.3,1,0,", "3,COMPLETE,,0.8,3,1,0.4,1,0,"]
    (tmp_path / "trials.csv").write_text("number,state,reason,value,step,best_step,lr,seconds,worker,started\n" + "\n".join(rows) + "\n")
    before = finalists.read_trials(tmp_path / "trials.csv")
    assert [one.number for one in finalists.top_k({"coarse": before}, 4, "maximize")] == [0, 1, 2, 3]
    curve = ["0,1,0.9,0.5", "0,2,0.9,0.1", "1,3,0.9,0.3", "2,2,0.9,", "3,1,0.8,0.01"]  # 0.1 is of another step than the best
    (tmp_path / "curves.csv").write_text("number,step,value,val/loss\n" + "\n".join(curve) + "\n")
    table = finalists.read_trials(tmp_path / "trials.csv")
    assert finalists.param_columns(table) == ["lr"] and list(table["val/loss"]) == ["0.5", "0.3", "", "0.01"]
    assert [one.number for one in finalists.top_k({"coarse": table}, 4, "maximize")] == [1, 0, 2, 3]
