"""The folders of jobs: named as Hydra's own sweepers name them, and what happens where a name can be no folder."""

import shlex

import hydra_apps
import pytest
import yaml
from apps.running import rows
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from trivet import space
from trivet.sweep.jobs import Composer

APP = {
    "config.yaml": "defaults:\n  - _self_\n  - optional model: null\np: x\nflag: false\nlr: 0.1\nlist: []\n",
    "subdir.yaml": "defaults: [config, _self_]\nhydra: {sweep: {subdir: '${hydra.job.override_dirname}'}}\n",
    "model/vit_base.augreg-v2.yaml": "depth: 1\n",
    "model/sub/mlp.yaml": "depth: 2\n",
}


@pytest.fixture(scope="module")
def conf(tmp_path_factory):
    return hydra_apps.write(tmp_path_factory.mktemp("conf"), APP)


@pytest.fixture(scope="module")
def opened(conf):
    with hydra_apps.app(conf) as (context, config):
        yield context, config


@pytest.mark.parametrize(
    "words",
    [
        "p=vit_base.augreg,google/vit",
        "flag=true,false",
        "lr=1e-3,0.01,10",
        "p=a:b,a@b,50%,a+b,a-b,-x,.a,a.b.c,1.2.3,1a,v1|v2,a*",
        "p=null,a",
        "list=[a.b,c/d],[1,true],[]",
        "model=vit_base.augreg-v2,sub/mlp lr=1,2",
        "lr=0.5 p=a/b.c,d",
        "\"p='a b',c\"",
        "\"p='x=y',c\"",
        "+new.key=a.b,c",
        "\"p='1','true',c\"",
    ],
)
def test_override_dirname_is_the_basic_sweepers(words, opened, tmp_path):
    context, config = opened
    words = shlex.split(words)
    parser = OverridesParser.create(config_loader=context.config_loader)
    [batches] = BasicSweeper.split_arguments(parser.parse_overrides(words), None)
    params, fixed = space.parse_overrides(words, context.config_loader)
    composer = Composer(context, config, fixed, tmp_path)
    points = [[]]
    for param in params:
        points = [[*point, (param.key, value)] for point in points for value in space.grid_points(param.spec)]
    ours = []
    for number, point in enumerate(points):
        groups = {key: value for key, value in point if composer.options(key)}
        values = [f"{key}={space.sweep_text(value)}" for key, value in point if key not in groups]
        ours.append(composer.job(number, groups, values)[0].hydra.job.override_dirname)
    theirs = [context.config_loader.load_sweep_config(config, batch).hydra.job.override_dirname for batch in batches]
    assert ours == theirs


def test_trials_lie_where_their_names_say_and_are_published_from_there(conf, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def task(config):
        if config.p == "bad/one":
            raise ValueError("no such model")
        (tmp_path / "out" / f"p={config.p}" / "model.pt").write_text(config.p)
        return len(config.p)

    words = ["p=vit_base.augreg,google/vit,bad/one", "hydra.sweep.dir=out", "hydra/sweeper/sampler=grid"]
    words += ["hydra.sweeper.publish=results", "hydra.sweeper.publish_files=[model.pt]"]
    hydra_apps.sweep(conf, task, words, "subdir")
    for number, name in enumerate(["vit_base.augreg", "google/vit"]):
        folder = tmp_path / "out" / f"p={name}"
        assert (folder / ".hydra" / "config.yaml").is_file()
        assert (tmp_path / "results" / "model" / f"{number}.pt").read_text() == name
    told = capsys.readouterr().out
    assert f"(log: {tmp_path / 'out' / 'p=bad' / 'one' / 'app.log'})" in told


def test_a_name_that_can_be_no_folder_is_a_row(conf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    long = "a" * 300
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "p=taken").write_text("a file")
    words = [f"p={long},taken,b", "hydra.sweep.dir=out", "hydra/sweeper/sampler=grid", "hydra.sweeper.max_failure_rate=1"]
    assert hydra_apps.sweep(conf, lambda config: 1.0, words, "subdir") == 1.0
    found = rows(tmp_path / "out")
    assert [row["state"] for row in found] == ["FAIL", "FAIL", "COMPLETE"]
    assert "hydra.sweep.subdir=p=aaaa" in found[0]["reason"] and "302 bytes" in found[0]["reason"]
    assert "File exists" in found[1]["reason"]
    assert yaml.safe_load((tmp_path / "out" / "study.yaml").read_text())["stopped_by"] == "n_trials"
