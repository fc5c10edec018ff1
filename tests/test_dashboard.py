"""Optuna's dashboard over a study: what it is given to serve, and what is said where it cannot be."""

import sys
from types import SimpleNamespace

import pytest
import yaml
from simulated_workers import SimulatedWorker, spec_of

from trivet.errors import UserError
from trivet.study import dashboard
from trivet.study.storage import open_storage


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A sweep's folder with a study of two trials, and what the dashboard is called with."""
    calls = []

    def run_server(storage, **options):
        calls.append((storage, options))

    SimulatedWorker(spec_of(tmp_path, "random", None, 2)).run()
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({"name": "study", "storage": None}))
    monkeypatch.setitem(sys.modules, "optuna_dashboard", SimpleNamespace(run_server=run_server))

    def start(*words, folder=tmp_path):
        monkeypatch.setattr(sys, "argv", ["dashboard", str(folder), *words])
        dashboard.main()
        return calls.pop()

    return start


def test_it_serves_the_study_of_the_folder_on_loopback(served):
    storage, options = served()
    assert options == {"host": "127.0.0.1", "port": 8080}
    assert [study.study_name for study in storage.get_all_studies()] == ["study"]
    assert storage.get_n_trials(storage.get_study_id_from_name("study")) == 2
    assert served("--port", "81", "--host", "0.0.0.0")[1] == {"host": "0.0.0.0", "port": 81}


def test_a_database_is_opened_by_its_url_and_name_and_nothing_is_made_in_it(served, tmp_path, monkeypatch):
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({"name": "mine", "storage": "sqlite:///s.db"}))
    asked = []
    monkeypatch.setattr(dashboard, "open_storage", lambda *given, **named: asked.append((given, named)) or open_storage(None, tmp_path))
    served()
    assert asked == [(("sqlite:///s.db", tmp_path, "mine"), {"make": False})]

    def none(*_given, **_named):
        raise KeyError("mine")

    monkeypatch.setattr(dashboard, "open_storage", none)
    with pytest.raises(UserError) as told:
        served()
    assert str(told.value) == "sqlite:///s.db: holds no study mine"


@pytest.mark.parametrize(("content", "key"), [({"name": "study"}, "storage"), ({"storage": None}, "name")])
def test_a_folder_that_does_not_say_which_study_it_is(served, tmp_path, content, key):
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=key):
        served()


def test_without_the_library_the_command_to_install_it_is_told(served, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with pytest.raises(UserError) as told:
        served()
    assert str(told.value) == "the dashboard needs optuna-dashboard; install it with: pip install optuna-dashboard"


def test_help_and_odd_words_are_one_answer(served, capsys):
    with pytest.raises(SystemExit):
        served("--help")
    said = capsys.readouterr().out
    assert "python -m trivet.study.dashboard sweeps/search-1a2b3c4d --port 8080\n" in said, "the line as it is to be typed"
    assert "the sweep's folder, which the sweep printed" in said
    with pytest.raises(UserError, match="--port"):
        served("--port", "many")
