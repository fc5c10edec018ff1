"""Searches by rule in a Hydra app, in this process: what they are given, what they write, what is refused in one line."""

import math
import re

import hydra_apps
import pytest
import yaml
from hydra import compose, initialize_config_dir
from test_readme import ROOT

import trivet
from trivet import changes
from trivet.study import tables
from trivet.sweep import ruled

CONFIG = {
    "config.yaml": "defaults: [_self_, opt: adam]\nseed: 0\nbatch: 16\nname: plain\n",
    "opt/adam.yaml": "lr: 0.1\n",
    "opt/sgd.yaml": "lr: 0.5\nmomentum: 0.0\n",
}


def train(cfg):
    """Highest, 1, at sgd with lr 0.01 and momentum 0.9; batch matters little and name not at all."""
    value = 1 - 0.1 * abs(math.log10(cfg.opt.lr) + 2) - (0.2 if "momentum" not in cfg.opt else 0.3 * abs(cfg.opt.momentum - 0.9))
    value -= 0.001 * abs(math.log2(cfg.batch) - 5)
    for step in (1, 2, 3):
        trivet.report(value - 0.1 / step + 0.001 * cfg.seed, step, {"train/loss": 2 - value - step / 10})
    return value + 0.001 * cfg.seed


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("ruled")


@pytest.fixture(scope="module")
def conf(root):
    return hydra_apps.write(root / "conf", CONFIG)


WINNER = ["opt=sgd", "opt.lr=0.01", "opt.momentum=0.9", "batch=32", "name=plain"]


@pytest.fixture(scope="module")
def seeds(root, conf):
    """The folder of a seeds stage: the default and a winner, each with two seeds."""
    runs = [{"overrides": [f"seed={seed}", *more], "user_attrs": {"finalist": i}} for i, more in enumerate(([], WINNER)) for seed in (3, 4)]
    (root / "runs.yaml").write_text(yaml.safe_dump(runs))
    given = ["hydra.sweeper.sampler={name: list, file: %s}" % (root / "runs.yaml"), "hydra.sweeper.direction=maximize"]
    hydra_apps.sweep(conf, train, [*given, f"hydra.sweep.dir={root / 'seeds'}"])
    return root / "seeds"


def swept(conf, folder, sampler, *more):
    given = [f"hydra.sweeper.sampler={sampler}", f"hydra.sweep.dir={folder}", "hydra.sweeper.direction=maximize", *more]
    hydra_apps.sweep(conf, train, given)
    return tables.read_csv(folder / "trials.csv"), tables.load_study(folder)


def test_a_winner_is_taken_apart_with_the_seeds_that_it_was_chosen_by(root, conf, seeds, caplog):
    with caplog.at_level("INFO"):
        rows, study = swept(conf, root / "ablation", f"{{name: ablation, of: {seeds}, seeds: 2, seed_key: seed}}")
    assert "ablation: 2 changes (opt=sgd, batch=32); at most 10 trainings, 2 seeds each; about" in caplog.text
    assert study["sampler"]["changes"] == [
        {"name": "opt=sgd", "overrides": ["opt=sgd", "opt.lr=0.01", "opt.momentum=0.9"]},  # one change: the default has no such values
        {"name": "batch=32", "overrides": ["batch=32"]},
    ]
    assert study["sampler"]["seeds"] == [3, 4] and study["stopped_by"] == "rule" and len(rows) == 8 < changes.most(2, 2)
    value = {(row["changes"], row["seed"]): float(row["value"]) for row in rows}
    assert value["none", "3"] == pytest.approx(0.9 - 0.2 - 0.001 + 0.003)
    assert value["1+2", "4"] == pytest.approx(1 + 0.004) and value["1", "3"] == pytest.approx(0.999 + 0.003)
    known = {row["finalist"]: float(row["value"]) for row in tables.read_csv(seeds / "trials.csv") if row["seed"] == "3"}
    assert {"0": value["none", "3"], "1": value["1+2", "3"]} == known  # both ends are what the seeds stage trained


def test_the_best_of_a_search_is_taken_apart_without_what_the_command_fixed(root, conf):
    swept(
        conf, root / "search", "random", "name=fixed", "batch=choice(8,64)", "opt.lr=tag(log,interval(1e-3,1))", "hydra.sweeper.n_trials=3"
    )
    rows, study = swept(conf, root / "of-search", f"{{name: ablation, of: {root / 'search'}, seed_key: seed}}", "name=fixed")
    names = [change["name"].partition("=")[0] for change in study["sampler"]["changes"]]
    assert sorted(names) == ["batch", "opt.lr"] and len(rows) == 4 and len(study["sampler"]["seeds"]) == 1


def test_the_ladder_begins_at_a_tenth_of_the_default_and_says_what_to_search(root, conf, capsys):
    rows, study = swept(conf, root / "ladder", "{name: ladder, key: opt.lr, metric: train/loss}", "opt=sgd")
    assert rows[0]["opt.lr"] == "0.05" and rows[0]["why"] == "begins small" and study["sampler"]["start"] == 0.05
    assert [float(row["opt.lr"]) for row in rows] == [0.05, 0.15, 0.45, 1.35, 4.05]
    told = capsys.readouterr().out
    assert "-m opt=sgd 'opt.lr=tag(log, interval(0.005, 0.5))' 'hydra.sweeper.enqueue=[{opt.lr: 0.05}]'" in told


def test_tiers_share_the_trials_of_the_sweep(root, conf):
    sampler = "{name: tiers, tiers: [{name: rates, keys: ['*lr'], share: 60}, {name: rest, keys: ['*'], share: 40}]}"
    ranges = ["opt=choice(adam,sgd)", "opt.lr=tag(log,interval(1e-3,1))", "batch=choice(16,32,64)", "hydra.sweeper.n_trials=16"]
    rows, study = swept(conf, root / "tiers", sampler, *ranges)
    assert len(rows) == 16 and study["sampler"]["trials"] == 16 and study["sampler"]["sampler"] == "gp"
    assert [row["tier"] for row in rows] == ["", *["rates"] * 9, *["rest"] * 6]
    assert {row["opt"] for row in rows[:10]} == {"adam"} and {row["opt"] for row in rows[10:]} == {"adam", "sgd"}


@pytest.mark.parametrize(
    ("sampler", "more", "message"),
    [
        ("{name: ladder}", [], "hydra.sweeper.sampler.key: is missing (ladder needs it): give"),
        ("{name: ladder, key: opt.rate}", [], "opt.rate: not in the config; did you mean opt.lr?"),
        ("{name: ladder, key: name}", [], "key=name: is plain in the config, no rate to begin with; give hydra.sweeper.sampler.start"),
        ("{name: ladder, key: opt.lr, start: -1}", [], "hydra.sweeper.sampler.start=-1: must be null or a number > 0"),
        ("{name: ladder, key: opt.lr, steps: 3}", [], "hydra.sweeper.sampler.steps: ladder has no such argument"),
        ("{name: ladder, key: opt.lr}", ["hydra.sweeper.direction=[maximize,minimize]"], "ladder: takes a single objective"),
        ("{name: ladder, key: opt.lr}", ["hydra.sweeper.retry=failed"], "what follows by rule rests on the trials that failed"),
        ("{name: tiers}", ["batch=choice(1,2)"], "hydra.sweeper.sampler.tiers: is missing"),
        ("{name: tiers, tiers: [{name: a, keys: [x]}]}", ["batch=choice(1,2)"], "hydra.sweeper.sampler.tiers="),
        ("{name: tiers, tiers: [{name: a, keys: [x], share: 1}]}", ["batch=choice(1,2)"], "batch is searched, and no tier has a"),
        ("{name: tiers, sampler: grid, tiers: [{name: a, keys: ['*'], share: 1}]}", ["batch=choice(1,2)"], "grid: does not choose trials"),
        ("{name: ablation, of: nowhere}", [], "nowhere: is not a sweep's folder"),
        ("{name: ablation, seeds: 0}", [], "hydra.sweeper.sampler.seeds=0: must be"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_before_any_trial(conf, tmp_path, capsys, sampler, more, message):
    assert message in refused(conf, tmp_path / "sweep", capsys, sampler, *more)


def refused(conf, folder, capsys, sampler, *more):
    """The one line with which a sweep ends before it begins."""
    with pytest.raises(SystemExit) as ended:
        swept(conf, folder, sampler, *more)
    [line] = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and not folder.exists()
    return line


def test_a_winner_that_is_the_default_has_no_change(conf, seeds, tmp_path, capsys):
    folder = tmp_path / "seeds"
    folder.mkdir()
    (folder / "study.yaml").write_text((seeds / "study.yaml").read_text())
    (folder / "trials.csv").write_text(re.sub(r"(?m)^(2|3),COMPLETE", r"\1,FAIL", (seeds / "trials.csv").read_text()))
    line = refused(conf, tmp_path / "sweep", capsys, f"{{name: ablation, of: {folder}, seed_key: seed}}")
    assert "its winner is the default configuration, so there is no change to take apart" in line


@pytest.mark.parametrize(
    ("seconds", "workers", "price", "expected"),
    [
        (None, 2, 3.0, "ablation: 1 changes (a=1); at most 2 trainings, 1 seed each"),
        (90.0, 1, 0.0, "ablation: 1 changes (a=1); at most 2 trainings, 1 seed each; about 3 minutes with 1 worker"),
        (3600.0, 2, 3.0, "ablation: 1 changes (a=1); at most 2 trainings, 1 seed each; about 60 minutes with 2 workers, 3.00 at 3 an hour"),
    ],
)
def test_the_plan_has_its_price(seconds, workers, price, expected):
    assert ruled.plan_lines([{"name": "a=1"}], 1, 2, seconds, workers, price) == [expected]


@pytest.mark.parametrize("name", ["ladder", "tiers", "ablation", "pbt", "replay"])
def test_our_trainer_has_each_as_an_option_and_so_has_any_app(name):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        ours = compose("config", [f"hparams={name}"], return_hydra_config=True).hydra.sweeper
    assert ours.sampler.name == name and (ours.params is None) == (name != "tiers")
    if name == "tiers":
        assert [tier.share for tier in ours.sampler.tiers] == [40, 30, 15, 10, 5]
