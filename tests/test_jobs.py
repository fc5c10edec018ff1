"""Jobs made cheaply are the jobs that Hydra makes: the same configs, files, environment, callbacks and HydraConfig."""

import contextlib
import enum
import logging
import os
import pickle
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobStatus
from hydra.core.utils import run_job as hydras_run_job
from hydra.experimental.callback import Callback
from hydra.utils import get_original_cwd, to_absolute_path
from hydra_apps import app, write
from omegaconf import MISSING, OmegaConf, open_dict
from omegaconf.errors import ConfigAttributeError

from trivet.errors import UserError
from trivet.sweep.jobs import Composer, run_job


class Color(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass
class Inner:
    rate: float = 0.5
    color: Color = Color.RED


@dataclass
class Structured:
    inner: Inner = field(default_factory=Inner)
    many: list[Inner] = field(default_factory=list)
    path: Path = Path("some/where")
    data: bytes = b"\x00\x01"
    width: int = MISSING
    name: str = "x"
    maybe: float | None = None


ConfigStore.instance().store(name="structured_for_test_jobs", node=Structured)

CONF = {
    "config.yaml": """
        defaults: [_self_, optimizer: sgd, model: cnn, optional extra: none]
        seed: 0
        text: hello
        number_like: "1e-3"
        bool_like: "yes"
        empty: ""
        nothing: null
        required: ???
        stamp: ${now:%f}
        job: ${hydra:job.num}
        twice: ${model.width}
        list: [1, a, {b: 2.5e-05}]
        nested: {deep: {er: 1}, list: [1, 2]}
        unicode: "grün ✓ \\u2028 end"
        lines: "a\\nb\\n"
        """,
    "optimizer/sgd.yaml": "name: sgd\nlr: 0.1\nmomentum: 0.9\n",
    "optimizer/adam.yaml": "name: adam\nlr: 0.001\nbetas: [0.9, 0.999]\n",
    "optimizer/both.yaml": "defaults: [sgd, _self_]\nname: both\nsecond: ${optimizer.lr}\n",
    "model/cnn.yaml": "defaults: [head: linear]\nwidth: 16\n",
    "model/mlp.yaml": "defaults: [head: deep]\nwidth: 32\n",
    "model/head/linear.yaml": "kind: linear\n",
    "model/head/deep.yaml": "kind: deep\nlayers: 3\n",
    "db/mysql.yaml": "port: 1\n",
    "extra/none.yaml": "# @package _global_\nadded: true\n",
}


def conf(tmp_path, **more):
    text = {name: "\n".join(line.removeprefix("        ") for line in content.split("\n")) for name, content in CONF.items()}
    return write(tmp_path / "conf", {**text, **more})


def hydras(context, config, overrides, number, folder):
    """The job's config as Hydra's launchers make it."""
    job = context.config_loader.load_sweep_config(config, list(overrides))
    with open_dict(job):
        job.hydra.job.id = number
        job.hydra.job.num = number
        job.hydra.sweep.dir = str(folder)
    return job


def same(ours, theirs):
    """Equal in values, types, flags and order."""
    assert OmegaConf.to_yaml(ours) == OmegaConf.to_yaml(theirs)
    assert OmegaConf.to_container(ours) == OmegaConf.to_container(theirs)
    for key in theirs:
        a, b = ours._get_node(key), theirs._get_node(key)
        assert type(a) is type(b) and OmegaConf.get_type(ours, key) == OmegaConf.get_type(theirs, key)
    assert OmegaConf.is_struct(ours) == OmegaConf.is_struct(theirs) and OmegaConf.is_readonly(ours) == OmegaConf.is_readonly(theirs)


CASES = [
    ([], {}, []),
    ([], {"optimizer": "adam"}, ["optimizer.lr=0.5"]),
    ([], {"optimizer": "both", "model": "mlp"}, ["optimizer.momentum=1e-05", "model.width=7", "model.head.layers=9"]),
    ([], {"model/head": "deep"}, ["model.head.layers=1"]),
    ([], {"model": "mlp", "optimizer": "sgd"}, ["seed=1"]),
    (["seed=3", "model=mlp", "~text"], {"optimizer": "adam"}, ["optimizer.betas=[0.5,0.75]"]),
    (["+new=1", "++seed=2", "nested.deep.er=5"], {}, ["+newer.key=2", "++nested.deep.er=6", "nested.list=[]"]),
    (["hydra.job.name=other", "hydra.job.config.override_dirname.exclude_keys=[seed]"], {}, ["seed=4", "text=a"]),
    ([], {"+db": "mysql"}, ["db.port=3"]),
    ([], {}, ["text='a, b=c'", 'lines="q\'s"', "nothing=[a,{b:1}]", "unicode=null", "text=''", "bool_like=true", "+d={a:1,b:{c:null}}"]),
    ([], {}, ["number_like='1e-3'", "text='null'", "empty='0x1'", "+more='1_000'", "+t='12:30:45'", "+date='2020-01-01'", "+on='on'"]),
    ([], {}, ["~nested.deep", "~list"]),
    ([], {}, ["text=${seed}", "seed=9", "+ref=${.text}", "required=here"]),
]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """(context, config) of CONF with nothing on the command line; composing takes most of the time here."""
    with app(conf(tmp_path_factory.mktemp("plain"))) as opened:
        yield opened


@pytest.mark.parametrize(("fixed", "groups", "values"), CASES)
def test_a_job_is_the_one_that_hydra_composes(tmp_path, plain, fixed, groups, values):
    with app(conf(tmp_path), fixed) if fixed else contextlib.nullcontext(plain) as (context, config):
        tasks = [o for o in fixed if not o.startswith("hydra.")]
        composer = Composer(context, config, tasks, tmp_path / "sweep")
        ours, task = composer.job(7, groups, values)
        group_overrides = [f"{g}={'null' if o is None else o}" for g, o in groups.items()]
        theirs = hydras(context, config, [*tasks, *group_overrides, *values], 7, tmp_path / "sweep")
        same(ours.hydra, theirs.hydra)
        same(ours, theirs)
        assert str(OmegaConf.to_container(ours.hydra.job)) == str(OmegaConf.to_container(theirs.hydra.job))
        with open_dict(theirs):
            del theirs["hydra"]
        same(task, theirs)
        again, _ = composer.job(7, groups, values)  # from its cache
        same(again, ours)


def test_what_another_process_has_composed_is_not_composed_again(tmp_path, plain, monkeypatch):
    first = Composer(*plain, [], ".")
    for groups in ({"optimizer": "adam"}, {}):
        first.base(groups)
    second = Composer(*plain, [], tmp_path, pickle.loads(pickle.dumps(first.composed)))
    monkeypatch.setattr(second, "_loader", None)  # what composes
    for groups in ({"optimizer": "adam"}, {}):
        ours, theirs = second.job(1, groups, ["nested.list=[5]"])[0], Composer(*plain, [], tmp_path).job(1, groups, ["nested.list=[5]"])[0]
        same(ours, theirs)
        assert ours.hydra.sweep.dir == str(tmp_path)


def test_jobs_do_not_touch_each_other(tmp_path, plain):
    composer = Composer(*plain, [], tmp_path)
    first, task = composer.job(0, {}, ["nested.list=[5]", "+new=1"])
    task.nested.deep.er = 99
    with open_dict(first):
        first.hydra.job.env_set["A"] = "1"
    _, other = composer.job(1, {}, [])
    assert other.nested.list == [1, 2] and "new" not in other and other.nested.deep.er == 1
    assert "A" not in composer.job(2, {}, [])[0].hydra.job.env_set
    assert composer.base().nested.list == [1, 2]


def test_structured_configs_keep_their_types(tmp_path):
    values = ["inner.rate=1", "inner.color=BLUE", "many=[{rate:2}]", "width=3"]
    with app(conf(tmp_path), config_name="structured_for_test_jobs") as (context, config):
        ours, task = Composer(context, config, [], tmp_path).job(0, {}, values)
        same(ours, hydras(context, config, values, 0, tmp_path))
        assert OmegaConf.get_type(task) is Structured and OmegaConf.get_type(task.inner) is Inner
        assert task.inner.color is Color.BLUE and task.inner.rate == 1.0 and isinstance(task.path, Path)
        assert isinstance(OmegaConf.to_object(task), Structured)
        with pytest.raises(ConfigAttributeError):
            task.unknown = 1


@pytest.mark.parametrize(
    ("groups", "values", "said"),
    [
        ({"optimizer": "sdg"}, [], "sdg"),
        ({}, ["nope=1"], "nope"),
        ({}, ["optimizer.nope=1"], "nope"),
        ({"structure": "x"}, [], "structure"),
        ({}, ["~nope"], "nope"),
    ],
)
def test_what_hydra_cannot_compose_is_said_in_one_line(tmp_path, plain, groups, values, said):
    composer = Composer(*plain, [], tmp_path)
    with pytest.raises(UserError, match=said) as error:
        composer.job(0, groups, values)
    assert "\n" not in str(error.value)


def test_a_value_of_the_wrong_type_is_said_in_one_line(tmp_path):
    with app(conf(tmp_path), config_name="structured_for_test_jobs") as (context, config):
        with pytest.raises(UserError, match="wide") as error:
            Composer(context, config, [], tmp_path).job(0, {}, ["width=wide"])
        assert "\n" not in str(error.value)


def test_options_of_groups(tmp_path, plain):
    composer = Composer(*plain, [], tmp_path)
    assert composer.options("optimizer") == ["adam", "both", "sgd"]
    assert composer.options("model/head") == ["deep", "linear"]
    assert composer.options("seed") == composer.options("nothing/here") == []


# Running --------------------------------------------------------------------------------------------------------------------------


class Recorder(Callback):
    """Notes what a callback sees."""

    events: list = []  # noqa: RUF012

    def on_job_start(self, config, **kwargs):
        self.events.append(("start", config.hydra.job.num, HydraConfig.get().job.num, os.environ.get("SET_HERE"), sorted(kwargs)))

    def on_job_end(self, config, job_return, **kwargs):
        given = job_return._return_value
        self.events.append(("end", config.hydra.job.num, job_return.status, given if isinstance(given, float) else type(given)))
        self.events.append((job_return.task_name, list(job_return.overrides), OmegaConf.to_container(job_return.cfg)))
        self.events.append((job_return.hydra_cfg.hydra.job.num, Path(job_return.working_dir).name))


RECORD = ["+hydra.callbacks.recorder._target_=test_jobs.Recorder", "+hydra.job.env_set.SET_HERE=yes"]


def task_of(seen, error=None):
    def task(config):
        logging.getLogger("app").info("said by the task")
        runtime = HydraConfig.get().runtime
        seen.append(
            {
                "config": OmegaConf.to_container(config, resolve=True, throw_on_missing=False),
                "hydra": OmegaConf.to_container(HydraConfig.get(), resolve=False),
                "choices": OmegaConf.to_container(runtime.choices),
                "cwd": Path.cwd().name,
                "original": get_original_cwd(),
                "absolute": to_absolute_path("x"),
                "output": Path(runtime.output_dir).name,
                "env": os.environ.get("SET_HERE"),
                "num": HydraConfig.get().job.num,
                "dirname": HydraConfig.get().job.override_dirname,
                "readonly": OmegaConf.is_readonly(HydraConfig.get()),
            }
        )
        if error is not None:
            raise error
        return 0.5

    return task


def without_folder(value, folder):
    """The same with the sweep's folder taken out, so that two sweeps compare."""
    if isinstance(value, dict):
        return {k: without_folder(v, folder) for k, v in value.items()}
    if isinstance(value, list):
        return [without_folder(v, folder) for v in value]
    return value.replace(str(folder), "FOLDER") if isinstance(value, str) else value


def run_both(tmp_path, monkeypatch, overrides, groups, values, version_base="1.3", error=None, config_name="config"):
    """A job by Hydra and one by us; (what the task saw, callback events, files) of each."""
    monkeypatch.setitem(sys.modules, "test_jobs", sys.modules[__name__])
    results = []
    for who in ("hydra", "ours"):
        folder, seen = tmp_path / who, []
        Recorder.events = []
        with app(conf(tmp_path), overrides, config_name, version_base) as (context, config):
            task = task_of(seen, error)
            group_overrides = [f"{g}={o}" for g, o in groups.items()]
            before = HydraConfig.instance().cfg
            if who == "hydra":
                job = hydras(context, config, [*group_overrides, *values], 3, folder)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    hydras_run_job(task, job, "hydra.sweep.dir", "hydra.sweep.subdir", context)
            else:
                full, part = Composer(context, config, [], folder).job(3, groups, values)
                result = run_job(context, task, full, part)
                assert result.status == (JobStatus.COMPLETED if error is None else JobStatus.FAILED)
            assert HydraConfig.instance().cfg is before
            assert os.environ.get("SET_HERE") is None
            files = {str(p.relative_to(folder)): p for p in sorted(folder.rglob("*")) if p.is_file()}
            results.append((without_folder(seen, folder), without_folder(Recorder.events, folder), files, folder))
    return results


@pytest.mark.parametrize(
    ("overrides", "groups", "values"),
    [
        (RECORD, {}, ["required=1"]),
        (
            RECORD,
            {"optimizer": "adam", "model": "mlp"},
            ["optimizer.lr=0.25", "+new=[1,a]", "text='a b'", "number_like='1e-3'", "empty='on'"],
        ),
        ([*RECORD, "hydra.job.chdir=true"], {}, ["seed=2"]),
        ([*RECORD, "hydra.job.chdir=false", "hydra.sweep.subdir=${hydra.job.num}_${hydra.job.override_dirname}"], {}, ["seed=2", "text=z"]),
        ([*RECORD, "hydra.output_subdir=null", "hydra.verbose=true"], {}, []),
        ([*RECORD, "hydra.output_subdir=conf", "hydra.verbose=[app]", "hydra.job.name=named"], {}, []),
        ([*RECORD, "hydra/job_logging=none"], {}, []),
        ([*RECORD, "+hydra.sweeper.gaps={3: 0.5, 1: null}", "+hydra.job.env_set.N='7'"], {}, []),
    ],
)
def test_a_run_is_the_one_that_hydra_makes(tmp_path, monkeypatch, overrides, groups, values):
    monkeypatch.delenv("SET_HERE", raising=False)
    (seen, events, files, _), (our_seen, our_events, our_files, _) = run_both(tmp_path, monkeypatch, overrides, groups, values)
    for run in (seen[0], our_seen[0]):
        run["config"].pop("stamp")
    assert our_seen == seen
    events[2][2].pop("stamp", None), our_events[2][2].pop("stamp", None)
    assert our_events == events
    assert list(our_files) == list(files)
    for name, path in files.items():
        theirs, ours = path.read_text(encoding="utf-8"), our_files[name].read_text(encoding="utf-8")
        if name.endswith(".yaml"):
            theirs, ours = theirs.replace(str(tmp_path / "hydra"), "F"), ours.replace(str(tmp_path / "ours"), "F")
            assert OmegaConf.to_container(OmegaConf.create(ours)) == OmegaConf.to_container(OmegaConf.create(theirs))
            assert yaml.safe_load(ours) == yaml.safe_load(theirs)
            assert list(yaml.safe_load(ours)) == list(yaml.safe_load(theirs))
        else:
            assert "said by the task" in ours and "said by the task" in theirs


@pytest.mark.parametrize(
    ("version_base", "chdir"), [("1.1", "null"), ("1.1", "false"), ("1.2", "null"), ("1.3", "null"), ("1.3", "true"), (None, "null")]
)
def test_the_working_directory_is_hydras(tmp_path, monkeypatch, version_base, chdir):
    overrides = [f"hydra.job.chdir={chdir}"]
    (seen, _, files, _), (our_seen, _, our_files, _) = run_both(tmp_path, monkeypatch, overrides, {}, [], version_base)
    assert (our_seen[0]["cwd"], our_seen[0]["absolute"]) == (seen[0]["cwd"], seen[0]["absolute"])
    assert list(our_files) == list(files)
    assert our_seen[0]["cwd"] == ("3" if chdir == "true" or (chdir == "null" and version_base == "1.1") else Path.cwd().name)


def test_what_a_task_raises_is_kept(tmp_path, monkeypatch):
    (_, events, _, _), (_, our_events, _, _) = run_both(tmp_path, monkeypatch, RECORD, {}, [], error=ValueError("bad luck"))
    assert [e[:4] for e in our_events[:2]] == [e[:4] for e in events[:2]]
    assert our_events[1][2:] == (JobStatus.FAILED, ValueError)


@pytest.mark.parametrize("error", [SystemExit(3), MemoryError()])
def test_what_ends_a_process_ends_only_the_trial(tmp_path, error):
    with app(conf(tmp_path)) as (context, config):
        result = run_job(context, task_of([], error), *Composer(context, config, [], tmp_path / "s").job(0, {}, []))
        assert result.status == JobStatus.FAILED and result._return_value is error


def test_an_interrupt_passes(tmp_path):
    with app(conf(tmp_path)) as (context, config):
        before = HydraConfig.instance().cfg
        with pytest.raises(KeyboardInterrupt):
            run_job(context, task_of([], KeyboardInterrupt()), *Composer(context, config, [], tmp_path / "s").job(0, {}, []))
        assert HydraConfig.instance().cfg is before


def test_structured_configs_are_saved_as_hydra_saves_them(tmp_path):
    saved = []
    for who in ("hydra", "ours"):
        with app(conf(tmp_path), config_name="structured_for_test_jobs") as (context, config):
            values, folder = ["inner.color=BLUE", "many=[{rate:2}]"], tmp_path / who
            if who == "hydra":
                job = hydras(context, config, values, 3, folder)
                hydras_run_job(task_of([]), job, "hydra.sweep.dir", "hydra.sweep.subdir", context)
            else:
                run_job(context, task_of([]), *Composer(context, config, [], folder).job(3, {}, values))
            saved.append((folder / "3/.hydra/config.yaml").read_text())
    assert saved[1] == saved[0]


def test_the_same_moment_for_all_jobs(tmp_path, plain):
    """${now:...} is the time at which the sweep began, as in Hydra."""
    moment = plain[1].stamp
    composer = Composer(*plain, [], tmp_path)
    assert {composer.job(i, {}, [])[1].stamp for i in range(3)} == {moment}
