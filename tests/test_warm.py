"""Studies that Optuna or its Hydra plugin left in a database, as knowledge for a new sweep."""

import logging
import math
import shlex
import shutil

import hydra_apps
import optuna
import pytest
from optuna.study import StudyDirection

from trivet.errors import UserError
from trivet.space import parse_params
from trivet.study.records import GIVEN_PARAMS, LAST_STEP
from trivet.study.warm import _name_in, address, read_warm

PARAMS = parse_params(
    {"lr": "tag(log, interval(1e-4, 1))", "width": "int(interval(1, 8))", "act": "choice('re lu', tanh)", "on": "true,false"}
)


def theirs(trial):
    """As the stock plugin keeps them: a quoted option with its quotes."""
    lr = trial.suggest_float("lr", 1e-5, 1, log=True)
    trial.suggest_int("width", 1, 8)
    trial.suggest_categorical("act", ["'re lu'", "tanh"])
    trial.suggest_categorical("on", [True, False])
    for step in (1, 2):
        trial.report(lr * step, step)
    if trial.number == 1:
        raise optuna.TrialPruned
    return float("nan") if trial.number == 2 else lr


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    url = f"sqlite:///{folder / 'study.db'}"
    study = optuna.create_study(storage=url, study_name="my study", sampler=optuna.samplers.RandomSampler(seed=1))
    for i, lr in enumerate([0.1, 0.2, 0.3, 1e-5, 0.5]):  # the fourth lies outside our range
        study.enqueue_trial({"lr": lr, "width": i + 1, "act": ["'re lu'", "tanh"][i % 2], "on": i % 2 == 0})
    study.optimize(theirs, n_trials=5)
    study.ask()  # never told
    return folder / "study.db"


@pytest.fixture
def url(made, tmp_path):
    shutil.copy(made, tmp_path)
    return f"sqlite:///{tmp_path / 'study.db'}"


def test_finished_trials_of_a_study_are_read(url, tmp_path):
    warm = read_warm([address("sqlite:///study.db", "my study")], PARAMS, tmp_path)
    assert warm == [
        {
            "params": {"lr": 0.1, "width": 1, "act": "re lu", "on": True},
            "state": "COMPLETE",
            "values": [0.1],
            "curve": [[1, 0.1], [2, 0.2]],
        },
        {"params": {"lr": 0.2, "width": 2, "act": "tanh", "on": False}, "state": "PRUNED", "values": [0.4], "curve": [[1, 0.2], [2, 0.4]]},
        {
            "params": {"lr": 0.5, "width": 5, "act": "re lu", "on": True},
            "state": "COMPLETE",
            "values": [0.5],
            "curve": [[1, 0.5], [2, 1.0]],
        },
    ]
    assert read_warm([url], PARAMS, tmp_path) == warm  # the only one there needs no name


@pytest.mark.parametrize(
    ("source", "directions", "said"),
    [
        ("sqlite:///study.db?study=other", ["minimize"], ["study=name", "there are my study"]),
        ("sqlite:///nowhere.db?study=x", ["minimize"], ["there is no file", "nowhere.db"]),
        ("sqlite:///text.db?study=x", ["minimize"], ["cannot be opened"]),
        ("nonsense://host/x?study=x", ["minimize"], ["cannot be opened"]),
        ("sqlite:///study.db?study=my%20study", ["maximize"], ["its direction is minimize", "maximize"]),
        ("sqlite:///study.db?study=my%20study", ["minimize", "minimize"], ["its direction is minimize"]),
    ],
)
def test_what_cannot_be_learnt_from_is_one_line(url, source, directions, said, tmp_path):
    (tmp_path / "text.db").write_text("no database")
    with pytest.raises(UserError) as told:
        read_warm([source], PARAMS, tmp_path, directions)
    text = str(told.value)
    assert "\n" not in text and text.startswith("hydra.sweeper.warm_start: ") and all(words in text for words in said)
    assert not (tmp_path / "nowhere.db").exists()


@pytest.mark.parametrize(
    ("url", "name", "wanted"),
    [("sqlite:///a.db", "x y", "sqlite:///a.db?study=x%20y"), ("mysql://h/d?a=1", "x", "mysql://h/d?a=1&study=x")],
)
def test_addresses(url, name, wanted):
    assert address(url, name) == wanted


def test_a_sweep_that_finds_its_name_taken_says_how_to_learn_from_that_study(url, tmp_path, monkeypatch, caplog):
    conf = hydra_apps.write(tmp_path / "conf", {"config.yaml": "lr: 0.1\n"})
    monkeypatch.chdir(tmp_path)
    words = ["lr=interval(0.01, 1)", "hydra.sweep.dir=out", "hydra.sweeper.n_trials=1", "hydra.sweeper.study_name='my study'"]
    words += [f"hydra.sweeper.storage={url}"]
    with caplog.at_level(logging.WARNING, "trivet"):
        hydra_apps.sweep(conf, lambda config: config.lr, words)
    [told] = [record.message for record in caplog.records if "study_name" in record.message]
    assert "with 6 trials" in told
    [hint] = shlex.split(told.partition("to learn from it: ")[2])
    assert hint.startswith("hydra.sweeper.warm_start=")
    hydra_apps.sweep(conf, lambda config: config.lr, [*words, hint])
    assert len(optuna.get_all_study_names(url)) == 3  # what it knows is a part of what it is
    with pytest.raises(SystemExit):
        hydra_apps.sweep(conf, lambda config: config.lr, [*words, hint, "hydra.sweeper.direction=maximize"])


def test_a_study_of_ours_in_optunas_tables_comes_back_as_it_counts(tmp_path):
    """Parameters that its ranges cannot hold, and a pruned trial's curve up to the step that counts."""
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/ours.db", study_name="a&b c", direction="maximize")
    lr = {"lr": optuna.distributions.FloatDistribution(1e-4, 1.0, log=True)}
    given = {"lr": 0.25, "width": 3, "act [on=true]": "tanh", "+on": None}
    curve = {1: 0.5, 2: 0.25, 3: 0.125}
    PRUNED, COMPLETE = optuna.trial.TrialState.PRUNED, optuna.trial.TrialState.COMPLETE
    for state, value, steps, attrs in [
        (PRUNED, None, curve, {LAST_STEP: 2, GIVEN_PARAMS: given}),
        (COMPLETE, 0.75, curve, {LAST_STEP: 2}),
        (PRUNED, None, {1: math.nan}, {}),
        (PRUNED, None, {}, {}),
        (optuna.trial.TrialState.FAIL, None, curve, {}),
    ]:
        study.add_trial(
            optuna.trial.create_trial(
                state=state, value=value, params={"lr": 0.5}, distributions=lr, intermediate_values=steps, user_attrs=attrs
            )
        )
    params = parse_params({"lr": "interval(0.1, 1)", "width": "int(interval(1, 8))", "act": "choice(relu, tanh)", "on": "choice(1, null)"})
    source = address(f"sqlite:///{tmp_path}/ours.db", "a&b c")
    warm = read_warm([source], params, tmp_path, ["maximize"])
    assert repr(warm) == repr(
        [
            {
                "params": {"lr": 0.25, "width": 3, "act": "tanh", "on": None},
                **{"state": "PRUNED", "values": [0.25], "curve": [[1, 0.5], [2, 0.25]]},
            },
            {"params": {"lr": 0.5}, "state": "COMPLETE", "values": [0.75], "curve": [[1, 0.5], [2, 0.25], [3, 0.125]]},
            {"params": {"lr": 0.5}, "state": "PRUNED", "values": [], "curve": [[1, math.nan]]},
            {"params": {"lr": 0.5}, "state": "PRUNED", "values": [], "curve": []},
        ]
    )
    assert read_warm([source], params[:2], tmp_path, ["maximize"])[0]["params"] == {"lr": 0.25, "width": 3}


@pytest.mark.parametrize(
    ("source", "name", "url"),
    [
        ("mysql://h/d?a=1&study=x%20y&b=2", "x y", "mysql://h/d?a=1&b=2"),
        ("mysql://h/d?study=x", "x", "mysql://h/d"),
        ("mysql://h/d", None, "mysql://h/d"),
        ("mysql://h/d?a=1&&", None, "mysql://h/d?a=1"),
        ("mysql://h/d?mystudy=x", None, "mysql://h/d?mystudy=x"),
    ],
)
def test_the_study_that_a_source_names(source, name, url):
    assert _name_in(source) == (name, url)


NO_TABLES = "{} holds no tables of a sweep"


def write(folder, trials, curves="number,step,value\n"):
    folder.mkdir()
    (folder / "trials.csv").write_text(trials)
    (folder / "curves.csv").write_text(curves)


def test_what_the_rows_of_a_table_teach(tmp_path, caplog):
    write(
        tmp_path / "s",
        "number,state,reason,value,lr,width,other\n"
        "0,COMPLETE,,0.5,0.1,8,\n1,PRUNED,,,0.2,1,b\n2,FAIL,,,0.3,1,\n3,INFEASIBLE,,0.1,0.3,1,\n4,COMPLETE,,0.1,0.4,9,\n5,COMPLETE,,0.1,odd,1,\n"
        "6,COMPLETE,,0.25,1.0,2,a\n",
        "number,step,value\n0,1,0.75\n0,2,\n1,3,0.125\n",
    )
    params = parse_params({"lr": "interval(0.1, 1)", "width": "int(interval(1, 8))"})
    found = [
        {"params": {"lr": 0.1, "width": 8}, "state": "COMPLETE", "values": [0.5], "curve": [[1, 0.75], [2, math.nan]]},
        {"params": {"lr": 0.2, "width": 1}, "state": "PRUNED", "values": [], "curve": [[3, 0.125]]},
        {"params": {"lr": 1.0, "width": 2}, "state": "COMPLETE", "values": [0.25], "curve": []},
    ]
    assert repr(read_warm(["s"], params, tmp_path)) == repr(found)
    assert repr(read_warm([str(tmp_path / "s")], params, tmp_path, chosen={"other": "a"})) == repr([found[0], found[2]])
    assert not caplog.records
    assert read_warm(["s"], parse_params({"lr": "interval(2, 3)"}), tmp_path) == []
    assert [r.getMessage() for r in caplog.records] == [
        f"hydra.sweeper.warm_start: none of the 7 trials of {tmp_path / 's'} lies in the present ranges"
    ]


@pytest.mark.parametrize(
    ("trials", "directions", "said"),
    [
        ("number,state,value\n", ["minimize"], "{} holds no trials; name sweeps that have some, or leave it out"),
        ("number,state,value_0,value_1,x_value_2\n0,FAIL,,,\n", ["minimize"], "{} has 2 objectives, this sweep 1; name sweeps of as many"),
        ("number,state,value\n0,COMPLETE,x\n", ["minimize"], f"{NO_TABLES} (ValueError: could not convert string to float: 'x')"),
        ("number,value\n0,1\n", ["minimize"], f"{NO_TABLES} (KeyError: 'state')"),
    ],
)  # fmt: skip
def test_what_a_table_lacks_is_said_in_full(trials, directions, said, tmp_path):
    write(tmp_path / "s", trials)
    with pytest.raises(UserError) as told:
        read_warm(["s"], PARAMS, tmp_path, directions)
    assert str(told.value) == f"hydra.sweeper.warm_start: {said.format(tmp_path / 's')}"


def test_which_study_of_several_is_asked_for_in_full(tmp_path):
    url = f"sqlite:///{tmp_path}/many.db"
    storage = optuna.storages.get_storage(url)
    for i in range(9):
        storage.create_new_study([StudyDirection.MINIMIZE], f"s{i}")
    there = ", ".join(f"s{i}" for i in range(8))
    for source in (url, f"{url}?study=x"):
        with pytest.raises(UserError) as told:
            read_warm([source], PARAMS, tmp_path)
        assert str(told.value) == f"hydra.sweeper.warm_start: {source}: name the study, as in {url}?study=name; there are {there}"
    with pytest.raises(UserError) as told:
        read_warm([f"{url}?study=s1"], PARAMS, tmp_path, ["maximize"])
    wrong = "its direction is minimize, this sweep's maximize; name a study that seeks the same"
    assert str(told.value) == f"hydra.sweeper.warm_start: {url}?study=s1: {wrong}"
    (tmp_path / "none.db").touch()
    with pytest.raises(UserError, match=r"as in sqlite:///.*/none\.db\?study=name; there is none$"):
        read_warm([f"sqlite:///{tmp_path}/none.db"], PARAMS, tmp_path)
