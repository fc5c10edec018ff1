"""trivet.yaml: what is allowed in it, what is said of the rest, and what configs read of it."""

import pytest
import yaml
from omegaconf import OmegaConf

import hydra_plugins.trivet_searchpath  # registers the resolver
from trivet import app
from trivet.errors import UserError
from trivet.phases import app_check, stages

assert hydra_plugins.trivet_searchpath
WHOLE = {"app": "python train.py", "objective": "val/acc", "direction": "maximize"}


def write(folder, **changes):
    (folder / app.FILE).write_text(yaml.safe_dump({k: v for k, v in {**WHOLE, **changes}.items() if v != "(missing)"}))
    return folder


def test_what_is_left_out_has_a_default(tmp_path):
    found = app.read(write(tmp_path))
    assert (found.space, found.seed_key, found.smoke, found.keep, found.test, found.metric) == ("space.yaml", None, [], None, None, "acc")
    assert found.words[1:] == ["train.py"]


def test_how_to_search_is_no_matter_of_trials_that_are_given(tmp_path):
    kept = ["data=small", "hydra.sweeper.n_jobs=2", "hydra/sweeper/sampler=default", "hydra.sweeper.threads=1", "sampler=tpe"]
    dropped = ["hydra.sweeper.sampler=tpe", "++hydra.sweeper.sampler.name=gp", "hydra/sweeper/sampler=tpe", "hydra.sweeper.pruner=null"]
    found = app.read(write(tmp_path, overrides=[*kept, *dropped, "hydra.sweeper.n_trials=5", "hydra.sweeper.params.lr=null"]))
    assert found.listed_overrides == kept
    commands = {stage.name: stage.cmd for stage in stages.stages(found)}
    assert ["sampler=tpe hydra.sweeper.pruner" in commands[name].replace("'", "") for name in ("coarse", "fine", "seeds")] == [
        True,
        True,
        False,
    ]
    assert all("n_jobs=2" in commands[name] for name in ("coarse", "fine", "seeds"))
    assert "hydra.sweeper.sampler=tpe" not in app_check.command(found) and "hydra.sweeper.n_jobs=2" in app_check.command(found)


def test_the_keys_of_a_program_that_is_no_hydra_app_are_its_own(tmp_path):
    assert app.read(write(tmp_path, command={"line": "x"}, parameters={"lr": 1})).app == "python train.py"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"direction": "up"}, "direction=up: must be one of maximize, minimize"),
        ({"objectiv": "x"}, "objectiv is not a key of it; .* did you mean objective"),
        ({"app": "(missing)"}, "app is missing"),
        ({"app": "python 'x"}, "No closing quotation"),
        ({"data": "x.csv"}, "data=x.csv: must be a list"),
        ({"smoke": [1]}, "smoke="),
        ({"test": {"comand": "x"}}, "test: comand is not a key of it"),
        ({"test": {"metric": "x"}}, "test: command is missing"),
        ({"test": {"command": "python e.py {model}"}}, "keep names no file"),
        ({"test": {"command": "e", "metric": "acc=("}}, "is no regular expression"),
        ({"test": {"command": "e", "metric": "acc"}}, "needs a group"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(tmp_path, changes, said):
    with pytest.raises(UserError, match=said) as error:
        app.read(write(tmp_path, **changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["a: [", "- 1", "\x00"])
def test_what_is_no_description(tmp_path, text):
    (tmp_path / app.FILE).write_text(text)
    with pytest.raises(UserError, match=r"trivet\.yaml"):
        app.read(tmp_path)


def test_without_one_there_is_a_hint_and_configs_have_defaults(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="`trivet init` writes one"):
        app.read(tmp_path)
    monkeypatch.chdir(tmp_path)
    config = OmegaConf.create({"a": "${trivet:direction,minimize}", "b": "${trivet:publish_files,[]}", "c": "${trivet:objective,null}"})
    assert OmegaConf.to_container(config, resolve=True) == {"a": "minimize", "b": [], "c": None}


def test_configs_read_it(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(write(tmp_path, keep="checkpoints/best.pt", data=["data", "more/*.csv"]))
    config = OmegaConf.create({"a": "${trivet:direction,minimize}", "b": "${trivet:publish_files,[]}", "c": "${trivet:identity_files,[]}"})
    assert OmegaConf.to_container(config, resolve=True) == {"a": "maximize", "b": ["checkpoints/best.pt"], "c": ["data/**/*", "more/*.csv"]}
