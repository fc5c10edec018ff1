"""What a study is called in its storage, and where that storage is."""

import logging
from pathlib import Path

import hydra_apps
import optuna
import pytest

from trivet.study import naming
from trivet.study.naming import OWNER, Named, claim
from trivet.study.storage import close, from_root, in_own_tables, open_storage, with_driver

ONE, OTHER = "1" * 64, "2" * 64


@pytest.fixture
def storage(tmp_path, monkeypatch):
    monkeypatch.setattr(naming, "MOMENT_SECONDS", 0)
    storage = open_storage(None, tmp_path)
    yield storage
    close(storage)


def test_the_first_has_the_name_and_another_a_suffix(storage):
    assert claim(storage, "sphere", ONE, ["minimize"]) == Named("sphere")
    assert claim(storage, "sphere", OTHER, ["minimize"]) == Named("sphere-22222222", 0, ours=True)
    assert claim(storage, "sphere", ONE, ["minimize"]) == Named("sphere")  # resumed
    assert [study.study_name for study in storage.get_all_studies()] == ["sphere"]  # the other is made when it is opened


def test_a_study_of_somebody_elses_stays_as_it_is(storage):
    theirs = optuna.create_study(storage=storage, study_name="sphere")
    theirs.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    assert claim(storage, "sphere", ONE, ["minimize"]) == Named("sphere-11111111", 2, ours=False)
    assert OWNER not in storage.get_study_system_attrs(theirs._study_id)


@pytest.mark.parametrize(("made", "name"), [(["minimize"], "sphere"), (["maximize"], "sphere-11111111")])
def test_an_empty_study_that_was_made_beforehand_is_taken(storage, made, name):
    optuna.create_study(storage=storage, study_name="sphere", directions=made)
    assert claim(storage, "sphere", ONE, ["minimize"]).name == name
    assert claim(storage, "sphere", ONE, ["minimize"]).name == name
    assert claim(storage, "sphere", OTHER, ["minimize"]).name == "sphere-22222222"


def test_a_study_that_has_its_suffix_keeps_it(storage):
    optuna.create_study(storage=storage, study_name="sphere-11111111")
    assert claim(storage, "sphere", ONE, ["minimize"]) == Named("sphere-11111111")


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("sqlite:///study.db", "sqlite:////home/me/study.db"),
        ("sqlite:///../study.db?timeout=5", "sqlite:////home/me/../study.db?timeout=5"),
        ("sqlite+pysqlite:///a/study.db", "sqlite+pysqlite:////home/me/a/study.db"),
        ("sqlite:////data/study.db", "sqlite:////data/study.db"),
        ("sqlite:///${oc.env:PLACE_OF_STUDY}/study.db", "sqlite:///${oc.env:PLACE_OF_STUDY}/study.db"),  # absolute
        ("sqlite:///${oc.env:NAME_OF_STUDY}.db", "sqlite:////home/me/${oc.env:NAME_OF_STUDY}.db"),
        ("sqlite:///file:study.db?uri=true", "sqlite:///file:study.db?uri=true"),
        ("mysql://me@host/studies", "mysql://me@host/studies"),
    ],
)
def test_a_relative_file_is_the_same_from_everywhere(url, wanted, monkeypatch):
    monkeypatch.setenv("PLACE_OF_STUDY", "/data")
    monkeypatch.setenv("NAME_OF_STUDY", "mine")
    assert from_root(url, Path("/home/me")) == wanted


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("sqlite:///study.db", False),
        ("postgresql://me@host/studies", True),
        ("postgres://me@host/studies", True),
        ("postgresql+psycopg2://me@host/studies", True),
        ("postgresql+asyncpg://me@host/studies", False),
        ("mysql://h/s", False),
    ],
)
def test_where_optunas_tools_find_a_study(url, ours):
    assert in_own_tables(url) is ours
    assert with_driver(url).startswith("postgresql+psycopg2://") is ours


@pytest.mark.parametrize("storage", [None, "sqlite:///study.db"])
def test_a_sweep_opens_under_the_name_that_was_given(storage, tmp_path, monkeypatch, caplog):
    conf = hydra_apps.write(tmp_path / "conf", {"config.yaml": "x: 1\nhydra: {job: {chdir: true}}\n"})
    monkeypatch.chdir(tmp_path)
    given = ["hydra.sweep.dir=out", "hydra.sweeper.study_name=sphere", f"hydra.sweeper.storage={'null' if storage is None else storage}"]

    def run(*more):
        hydra_apps.sweep(conf, lambda config: config.x**2, [*given, *more])
        url = storage or optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(tmp_path / "out" / "journal.log")))
        return {name: len(optuna.load_study(study_name=name, storage=url).trials) for name in optuna.get_all_study_names(url)}

    assert run("x=interval(0,1)", "hydra.sweeper.n_trials=2") == {"sphere": 2}
    assert run("x=interval(0,1)", "hydra.sweeper.n_trials=3") == {"sphere": 3}
    with caplog.at_level(logging.WARNING, "trivet"):
        names = run("x=interval(0,2)", "hydra.sweeper.n_trials=1")
    told = [record.message for record in caplog.records if "study_name" in record.message]
    if storage is None:  # the other study has a folder, and so a journal, of its own
        assert names == {"sphere": 3} and not told
        return
    [other] = set(names) - {"sphere"}
    assert names == {"sphere": 3, other: 1} and other.startswith("sphere-")
    assert len(told) == 1 and "with 3 trials" in told[0] and other in told[0] and "warm_start" not in told[0]
