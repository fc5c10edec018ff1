"""Studies that Optuna or its Hydra plugin left in a database, as knowledge for a new sweep."""

import logging
import shlex
import shutil

import hydra_apps
import optuna
import pytest

from trivet.errors import UserError
from trivet.space import parse_params
from trivet.study.warm import address, read_warm

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
