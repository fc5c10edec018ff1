"""The identity of a sweep as its parts come together: configs in every option, values, code."""

import sys
from pathlib import Path

import pytest
from hydra_apps import app, write

from trivet import space
from trivet.search.samplers import sampler_spec
from trivet.search.stopping import StopRules
from trivet.study import identity
from trivet.sweep.identifying import Search, identify
from trivet.sweep.jobs import Composer
from trivet.sweep.planning import explicit_trials
from trivet.sweep.settings import Settings
from trivet.sweep.spaces import Space

FILES = {
    ".git/config": "",
    "app.py": "import used\n\n\ndef main(config):\n    return 0.0\n",
    "used.py": "x = 1\n",
    "unused.py": "x = 1\n",
    "nets.py": "class Net: pass\n",
    "tool.py": "",
    "conf/config.yaml": """
defaults: [_self_, model: cnn]
x: 1
data: ${oc.env:DATA}
other: 1
command: python tool.py --x {x}
hydra: {job: {env_set: {MODE: "${oc.env:MODE}", FIXED: a}}}
""",
    "conf/model/cnn.yaml": "width: 1\npath: ${oc.env:DATA}/x\n",
    "conf/model/mlp.yaml": "_target_: nets.Net\nwidth: 2\n",
    "conf/model/other.yaml": "width: 3\n",
}


@pytest.fixture
def identified(tmp_path, monkeypatch):
    """The identity of a sweep over two models of an app, after `changes` to its files."""
    monkeypatch.setenv("DATA", "a")
    monkeypatch.setenv("MODE", "fast")
    monkeypatch.syspath_prepend(str(tmp_path))

    def identified(changes=None, enqueue=(), **given):
        write(tmp_path, {**FILES, **(changes or {})})
        settings = Settings(identity=given, enqueue=enqueue)
        monkeypatch.delitem(sys.modules, "app", raising=False)
        task = __import__("app").main
        with app(tmp_path / "conf") as (context, config):
            composer = Composer(context, config, [], ".")
            where = Space(composer, space.parse_params({"x": "interval(0, 1)", "model": ["cnn", "mlp"]}), True)
            sampler, _ = sampler_spec("tpe")
            trials = explicit_trials(where, sampler, None, enqueue, Path(tmp_path))
            search = Search(sampler, 0, ("minimize",), None, where, composer, (), tuple(trials), (), StopRules(n_trials=5))
            return identify(settings, search, task, tmp_path)[0]

    return identified


def test_what_stands_in_the_identity(identified):
    parts = identified()
    assert parts["config"]["data"] == "${oc.env:DATA}" and "a" not in parts["values"].values()
    assert set(parts["values"]) == {"data", "model.path", "hydra.job.env_set.MODE"}
    assert parts["env_set"] == {"MODE": "${oc.env:MODE}", "FIXED": "a"}
    assert set(parts["options"]) == {"model=cnn", "model=mlp"}
    assert set(parts["code"]) == {"app.py", "used.py", "nets.py", "tool.py"}


NET = FILES["nets.py"]
CHANGES = [
    ({}, {}, ""),
    ({"used.py": "x = 2\n"}, {}, "the code of used.py"),
    ({"used.py": "x = 1  # one\n", "unused.py": "x = 2\n"}, {}, ""),
    ({"nets.py": "class Net: x = 1\n"}, {}, "the code of nets.py"),
    ({"conf/model/mlp.yaml": "_target_: nets.Net\nwidth: 5\n"}, {}, "the config of model=mlp"),
    ({"conf/model/other.yaml": "width: 5\n"}, {}, ""),
    ({}, {"DATA": "b"}, "the value of data, the value of model.path, the config of model=cnn, the config of model=mlp"),
    ({}, {"MODE": "slow"}, "the value of hydra.job.env_set.MODE"),
]


@pytest.mark.parametrize(("changes", "environment", "said"), CHANGES)
def test_what_makes_another_study(identified, monkeypatch, changes, environment, said):
    before = identified()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert identity.told(before, identified(changes)) == said


def test_what_may_be_left_out(identified, monkeypatch):
    given = {"code": "none", "ignore": ["data", "model.path", "hydra.job.env_set", "other"]}
    before = identified(**given)
    monkeypatch.setenv("DATA", "b")
    monkeypatch.setenv("MODE", "slow")
    changed = {"used.py": "x = 2\n", "conf/config.yaml": FILES["conf/config.yaml"].replace("other: 1", "other: 2").replace("D: a", "D: b")}
    assert identified(changed, **given) == before


def test_an_option_that_only_a_given_trial_chooses_counts(identified):
    enqueue = [{"model": "other"}]
    before = identified(enqueue=enqueue)
    assert "model=other" in before["options"]
    assert identity.told(before, identified({"conf/model/other.yaml": "width: 5\n"}, enqueue)) == "the config of model=other"
