"""What a study is called in its storage, and where that storage is."""

import logging
from dataclasses import replace
from pathlib import Path

import hydra_apps
import optuna
import pytest
from optuna.study import StudyDirection
from simulated_workers import spec_of

from trivet.study import mirror, naming
from trivet.study.naming import OWNER, Named, claim, named
from trivet.study.records import Outcome
from trivet.study.storage import close, from_root, in_own_tables, open_storage, with_driver
from trivet.study.study import Study

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
        *((url, url) for url in ("mysql://me@host/studies", "postgresql:///d", "sqlite://")),
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
        ("mysql://h/postgresql://s", False),
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


def test_a_name_that_is_taken_is_told_with_how_to_learn_from_it(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(naming, "MOMENT_SECONDS", 0)
    url = f"sqlite:///{tmp_path}/study.db"
    spec = replace(spec_of(tmp_path, "random", None, 3), name="search-1", storage=url)
    theirs = optuna.create_study(storage=url, study_name="a b", direction="maximize")
    theirs.optimize(lambda trial: 0.0, n_trials=2)
    assert named(spec, None, ONE, False) == spec == named(spec, None, ONE, True)
    assert named(spec, "a b", ONE, False) == replace(spec, name="a b-11111111")
    told = f"another study has this name in {url}, with 2 trials; this one is a b-11111111"
    hint = f"; to learn from it: 'hydra.sweeper.warm_start=[\"{url}?study=a%20b\"]'"
    assert caplog.messages == [f"hydra.sweeper.study_name=a b: {told}{hint}"]
    caplog.clear()
    assert named(spec, "new", ONE, False).name == named(spec, "new", ONE, True).name == "new" and not caplog.messages
    assert named(spec, "new", OTHER, False).name == "new-22222222"
    assert caplog.messages == [
        f"hydra.sweeper.study_name=new: another study has this name in {url}, with 0 trials; this one is new-22222222"
    ]
    ours = replace(spec, storage="postgresql://nowhere/d")
    assert named(ours, "a b", ONE, False) == ours, "in tables of our own each study has the name that trivet gives"


def test_a_journal_that_is_gone_on_with_says_its_name_itself(tmp_path):
    spec = spec_of(tmp_path, "random", None, 3)
    (tmp_path / "study.yaml").write_text("name: sphere-1234\n")
    assert named(spec, "sphere", ONE, True) == replace(spec, name="sphere-1234")
    assert not (tmp_path / "journal.log").exists(), "it may be long, and is not read for that"
    assert named(spec, "sphere", ONE, False) == replace(spec, name="sphere")


def test_a_study_that_is_being_made_is_waited_for(tmp_path, monkeypatch):
    """Who makes a study names its owner a moment later."""
    storage = open_storage(None, tmp_path)
    study = storage.create_new_study([StudyDirection.MINIMIZE], "sphere")
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            storage.set_study_system_attr(study, OWNER, OTHER)

    monkeypatch.setattr(naming.time, "sleep", sleep)
    assert claim(storage, "sphere", ONE, ["minimize"]) == Named("sphere-11111111", 0, ours=True) and waits == [0.05] * 3
    waits.clear()
    storage.create_new_study([StudyDirection.MAXIMIZE], "other")
    assert claim(storage, "other", ONE, ["minimize"]) == Named("other-11111111", 0, ours=False)
    assert len(waits) == 20, "a second, and no more"
    close(storage)


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A study of three trials, the second of which runs still, as one of PostgreSQL's; its copy goes into a file."""
    url = f"sqlite:///{tmp_path}/copy.db"
    monkeypatch.setattr(mirror, "in_own_tables", lambda found: found == "postgresql://me:hunter2@h/d")
    monkeypatch.setattr(mirror, "open_optunas", lambda found: open_storage({"postgresql://me:hunter2@h/d": url}[found], tmp_path))
    monkeypatch.setattr(naming, "MOMENT_SECONDS", 0)
    study = Study(spec_of(tmp_path, "random", None, 3))
    for number in (0, 1, 2):
        study.claim("w")
        if number != 1:
            study.tell(number, Outcome("COMPLETE", (float(number),)))
    study.sync()
    study.spec = replace(study.spec, name="search-1", storage="postgresql://me:hunter2@h/d")
    yield study, url
    study.close()


def test_a_copy_holds_the_finished_trials_up_to_the_first_gap_and_says_where_it_is(copied, caplog):
    study, url = copied
    caplog.set_level(logging.INFO, "trivet")
    mirror.offer(study, None, ONE)
    assert not caplog.messages
    mirror.offer(study, "sphere", ONE)
    where = "postgresql+psycopg2://me:***@h/d"
    assert caplog.messages == [f"optuna.load_study(study_name='sphere', storage='{where}') finds this study"]
    found = optuna.load_study(study_name="sphere", storage=url)
    assert [t.value for t in found.trials] == [0.0] and found.direction.name == "MAXIMIZE"
    study.tell(1, Outcome("FAIL", reason="odd"))
    assert mirror.mirror(study, "sphere", ONE) == "sphere"
    assert [(t.state.name, t.value) for t in found.trials] == [("COMPLETE", 0.0), ("FAIL", None), ("COMPLETE", 2.0)]
    assert found._storage.get_study_system_attrs(found._study_id) == {OWNER: ONE, "trivet:mirror": "search-1"}


def test_a_copy_whose_name_is_taken_has_a_suffix(copied):
    study, url = copied
    assert [mirror.mirror(study, "sphere", mark) for mark in (ONE, OTHER, OTHER)] == ["sphere", *["sphere-22222222"] * 2]
    assert sorted(optuna.get_all_study_names(url)) == ["sphere", "sphere-22222222"]
    assert optuna.load_study(study_name="sphere-22222222", storage=url).directions == [StudyDirection.MAXIMIZE]
