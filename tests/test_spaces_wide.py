"""Ranges belong to their option, wherever in the config its file writes; groups that only the sweep chooses from."""

import pytest
from hydra_apps import app, write

from trivet import space
from trivet.errors import UserError
from trivet.search.samplers import SamplerSpec
from trivet.search.sampling import Sampler, external
from trivet.study.identity import fingerprint
from trivet.sweep import ranges
from trivet.sweep.configs import plain
from trivet.sweep.jobs import Composer
from trivet.sweep.planning import enumerate_grid
from trivet.sweep.spaces import Space

GLOBAL = "# @package _global_\n"


@pytest.fixture
def searched(tmp_path):
    """The space of a sweep over these config files."""

    def searched(files, given=(), fixed=(), from_config=True):
        with app(write(tmp_path / "conf", files)) as (context, config):
            swept, _ = space.parse_overrides(list(given)) if not isinstance(given, dict) else (space.parse_params(given), [])
            where = Space(Composer(context, config, list(fixed), "."), swept, from_config)
            check_jobs(where)
            return where

    return searched


def check_jobs(where):
    """Every configuration that a sampler gives composes, and has the values that it says."""
    for number in range(6):
        sampled = Sampler(SamplerSpec("random"), where.params, ["minimize"], 0).ask(number, [])
        by_name = {p.name: p for p in where.params}
        values = {by_name[n].key: external(by_name[n].spec, v) for n, v in sampled.params.items()}
        groups = {key: value for key, value in values.items() if where.is_group(key)}
        where.composer.job(number, groups, [f"{k}={space.value_text(v)}" for k, v in values.items() if k not in groups])


def texts(where):
    return {p.name: space.to_text(p.spec) for p in where.params}


TESTS = {
    "config.yaml": "defaults: [opt: sgd, test: mnist, other: one, _self_]\nlam: 5\nmu: 1\n",
    "test/mnist.yaml": GLOBAL + "name: mnist\nspace: {lam: '0,1'}\n",
    "test/imagenet.yaml": GLOBAL + "name: imagenet\nspace: {lam: '0,100', mu: '1,2'}\n",
    "test/bare.yaml": GLOBAL + "name: bare\n",
    "other/one.yaml": GLOBAL + "kind: one\nspace: {lam: 'interval(0, 1)'}\n",
    "other/two.yaml": GLOBAL + "kind: two\n",
    "opt/sgd.yaml": "lr: 1\nspace: {lr: '1,2'}\n",
    "opt/adam.yaml": "lr: 2\nbeta: 1\nspace: {lr: '3,4', beta: '5,6'}\n",
}
NOT_OTHER = {**TESTS, "config.yaml": TESTS["config.yaml"].replace("other: one, ", "")}

# files, what is searched -> the ranges
WIDE = [
    (
        NOT_OTHER,
        ["test=mnist,imagenet,bare"],
        {
            "test": "choice(mnist, imagenet, bare)",
            "lam [test=mnist]": "choice(0, 1)",
            "lam [test=imagenet]": "choice(0, 100)",
            "mu [test=imagenet]": "choice(1, 2)",
            "opt.lr": "choice(1, 2)",
        },
    ),
    (
        NOT_OTHER,
        ["opt=sgd,adam", "test=bare,imagenet"],
        {
            "opt": "choice(sgd, adam)",
            "test": "choice(bare, imagenet)",
            "opt.lr [opt=sgd]": "choice(1, 2)",
            "opt.lr [opt=adam]": "choice(3, 4)",
            "opt.beta [opt=adam]": "choice(5, 6)",
            "lam [test=imagenet]": "choice(0, 100)",
            "mu [test=imagenet]": "choice(1, 2)",
        },
    ),
    (  # two groups that set a range of the same key: the later of the defaults wins, as for any key
        TESTS,
        ["test=mnist,bare", "other=two,one"],
        {
            "test": "choice(mnist, bare)",
            "other": "choice(two, one)",
            "opt.lr": "choice(1, 2)",
            "lam [test=mnist,other=two]": "choice(0, 1)",
            "lam [test=mnist,other=one]": "interval(0.0, 1.0)",
            "lam [test=bare,other=one]": "interval(0.0, 1.0)",
        },
    ),
    (  # an option that chooses another group's option
        {**NOT_OTHER, "test/adam.yaml": GLOBAL + "defaults: [override /opt: adam]\n"},
        ["test=bare,adam"],
        {
            "test": "choice(bare, adam)",
            "opt.lr [test=bare]": "choice(1, 2)",
            "opt.lr [test=adam]": "choice(3, 4)",
            "opt.beta [test=adam]": "choice(5, 6)",
        },
    ),
    (  # and the sweep chooses that one too
        {**NOT_OTHER, "test/adam.yaml": GLOBAL + "defaults: [override /opt: adam]\n"},
        ["test=bare,adam", "opt=sgd,adam"],
        {
            "test": "choice(bare, adam)",
            "opt": "choice(sgd, adam)",
            "opt.lr [opt=sgd]": "choice(1, 2)",
            "opt.lr [opt=adam]": "choice(3, 4)",
            "opt.beta [opt=adam]": "choice(5, 6)",
        },
    ),
    (  # a group found in the config's own space
        {**NOT_OTHER, "config.yaml": NOT_OTHER["config.yaml"] + "space: {test: 'choice(mnist, imagenet)'}\n"},
        [],
        {
            "test": "choice(mnist, imagenet)",
            "opt.lr": "choice(1, 2)",
            "lam [test=mnist]": "choice(0, 1)",
            "lam [test=imagenet]": "choice(0, 100)",
            "mu [test=imagenet]": "choice(1, 2)",
        },
    ),
    (  # a file that names another part of the config
        {
            "config.yaml": "defaults: [db: a, _self_]\n",
            "db/a.yaml": "# @package store\nport: 1\nspace: {port: '1,2'}\n",
            "db/b.yaml": "# @package store\nport: 3\nspace: {port: '3,4'}\n",
        },
        ["db=a,b"],
        {"db": "choice(a, b)", "store.port [db=a]": "choice(1, 2)", "store.port [db=b]": "choice(3, 4)"},
    ),
    (  # the same range in every option needs no condition
        {**NOT_OTHER, "test/bare.yaml": NOT_OTHER["test/mnist.yaml"]},
        ["test=mnist,bare"],
        {"test": "choice(mnist, bare)", "opt.lr": "choice(1, 2)", "lam": "choice(0, 1)"},
    ),
]


@pytest.mark.parametrize(("files", "given", "expected"), WIDE)
def test_ranges_belong_to_their_option(searched, files, given, expected):
    assert texts(searched(files, given)) == expected


def test_ranges_under_conditions_that_exclude_each_other(searched):
    """Of one experiment the optimizer's schedule is searched, of the other its default has a range that only that schedule knows."""
    files = {
        "config.yaml": "defaults: [opt: sgd, _self_]\nx: 1\n",
        "opt/sgd.yaml": "defaults: [sched: cos, _self_]\nlr: 1\nspace: {sched: [cos, step]}\n",
        "opt/adam.yaml": "defaults: [sched: step, _self_]\nlr: 2\nspace: {lr: '3,4'}\n",
        "opt/sched/cos.yaml": "t: 1\nspace: {t: '1,2'}\n",
        "opt/sched/step.yaml": "n: 3\nspace: {n: '4,5'}\n",
        "experiment/a.yaml": GLOBAL + "defaults: [override /opt: adam]\n",
        "experiment/b.yaml": GLOBAL + "defaults: [override /opt: sgd]\n",
    }
    assert texts(searched(files, ["+experiment=a,b"])) == {
        "+experiment": "choice(a, b)",
        "opt.lr [+experiment=a]": "choice(3, 4)",
        "opt.sched.n [+experiment=a]": "choice(4, 5)",
        "opt/sched [+experiment=b]": "choice(cos, step)",
        "opt.sched.t [+experiment=b,opt/sched=cos]": "choice(1, 2)",
        "opt.sched.n [+experiment=b,opt/sched=step]": "choice(4, 5)",
    }


def test_a_grid_over_global_options_has_each_options_own_points(searched):
    where = searched(NOT_OTHER, ["test=mnist,imagenet,bare"], fixed=["opt.lr=1"])
    points = [{k.partition(" ")[0]: v for k, v in p.items()} for p in enumerate_grid(where.params, 100)]
    assert [(p["test"], p.get("lam"), p.get("mu")) for p in points] == [
        ("mnist", 0, None),
        ("mnist", 1, None),
        *(("imagenet", lam, mu) for lam in (0, 100) for mu in (1, 2)),
        ("bare", None, None),
    ]


def test_too_many_combinations_are_refused(searched, monkeypatch):
    monkeypatch.setattr(ranges, "MOST_COMBINATIONS", 3)
    files = {"config.yaml": "defaults: [a: x, b: x, _self_]\nx: 1\n"}
    files |= {f"{group}/{option}.yaml": GLOBAL + f"{group}{option}: 1\n" for group in "ab" for option in "xy"}
    with pytest.raises(UserError, match=r"a, b: their options change each other's part .* 3 combinations; give the ranges in"):
        searched(files, ["a=x,y", "b=x,y"])
    assert len(searched(files, ["x=1,2", "a=x,y", "b=x,y"], from_config=False).params) == 3


SWEEPER = {
    "config.yaml": "defaults: [test: a, override hydra/sweeper: trivet, _self_]\nlam: 5\n",
    "test/a.yaml": GLOBAL + "hydra: {sweeper: {params: {lam: '0,1'}}}\n",
    "test/b.yaml": GLOBAL + "hydra: {sweeper: {params: {lam: '0,100'}}}\n",
    "test/c.yaml": GLOBAL + "name: c\n",
}


@pytest.mark.parametrize(("given", "said"), [("test=a,b", "test=b"), ("test=c,a", "test=c"), ("test=b,c", "test=b")])
def test_an_options_own_sweeper_params_are_refused(searched, given, said):
    with pytest.raises(
        UserError, match=rf"{said}: hydra.sweeper.params of an option \(lam\) hold for every trial or none; write .* `space"
    ) as error:
        searched(SWEEPER, [given])
    assert "\n" not in str(error.value)


# Groups as the stock sweepers take them -------------------------------------------------------------------------------------------


def test_a_mandatory_group_is_the_sweeps_to_choose(searched):
    files = {"config.yaml": "defaults: [model: '???', _self_]\n", "model/a.yaml": "n: 1\nspace: {n: '1,2'}\n", "model/b.yaml": "n: 2\n"}
    where = searched(files, ["model=a,b", "model.n=3,4"])
    assert texts(where) == {"model": "choice(a, b)", "model.n": "choice(3, 4)"} and where.defaults is None
    assert texts(searched(files, ["model=a,b"])) == {"model": "choice(a, b)", "model.n [model=a]": "choice(1, 2)"}
    with pytest.raises(UserError, match="You must specify 'model'"):
        searched(files, [])


def test_a_key_that_only_the_searched_options_have(searched):
    files = {
        "config.yaml": "defaults: [server: default, _self_]\nlr: 1\n",
        "server/default.yaml": "name: default\n",
        "server/apache.yaml": "port: 80\n",
        "server/nginx.yaml": "port: 81\n",
    }
    where = searched(files, ["server=apache,nginx", "server.port=8081,8082"])
    assert len(enumerate_grid(where.params, 100)) == 4 and where.defaults is None
    with pytest.raises(UserError, match=r"server.port: not in the config with server=default"):
        searched(files, ["server=apache,default", "server.port=8081,8082"])


def test_a_key_that_an_option_of_another_group_takes_away(searched):
    files = {
        "config.yaml": "defaults: [opt: sgd, optional experiment: null, _self_]\n",
        "opt/sgd.yaml": "momentum: 0.9\n",
        "opt/adam.yaml": "beta: 0.9\n",
        "experiment/a.yaml": GLOBAL + "defaults: [override /opt: sgd]\n",
        "experiment/b.yaml": GLOBAL + "defaults: [override /opt: adam]\n",
    }
    with pytest.raises(UserError, match=r"opt.momentum: not in the config with experiment=b; search it only where it is there"):
        searched(files, ["experiment=a,b", "opt.momentum=interval(0,1)"])
    where = searched(files, {"experiment": "a,b", "experiment=a": {"opt.momentum": "interval(0,1)"}, "experiment=b": {"opt.beta": "1,2"}})
    assert list(texts(where)) == ["experiment", "opt.momentum [experiment=a]", "opt.beta [experiment=b]"]
    assert searched(files, ["experiment=a,b"]).defaults is None, "no experiment is the default"


CALLBACKS = {
    "config.yaml": "defaults: [cb: [a], _self_]\nx: 1\n",
    "cb/a.yaml": "a: {n: 1}\nspace: {a.n: '1,2'}\n",
    "cb/b.yaml": "b: {n: 1}\n",
}


def test_lists_of_options(searched):
    where = searched(CALLBACKS, ["cb=[a],[a,b],[b]"])
    assert texts(where) == {"cb": "choice([a], [a,b], [b])", "cb.a.n [cb=[a]]": "choice(1, 2)", "cb.a.n [cb=[a,b]]": "choice(1, 2)"}
    assert where.defaults is None, "Hydra does not say which list was the default"
    assert len(enumerate_grid(where.params, 100)) == 5
    with pytest.raises(UserError, match=r"cb=c: no such option; there are a, b"):
        searched(CALLBACKS, ["cb=[a],[a,c]"])


@pytest.mark.parametrize(
    ("defaults", "given", "key"),
    [
        ("db@backup: mysql", "db@backup=mysql,pg", "backup.port"),
        ("db@main: mysql, db@backup: pg", "db@backup=mysql,pg", "backup.port"),
        ("db@store.backup: mysql", "db@store.backup=mysql,pg", "store.backup.port"),
        ("db@_global_: mysql", "db@_global_=mysql,pg", "port"),
        ("_self_", "+db@backup=mysql,pg", "backup.port"),
        ("db: mysql", "db=mysql,pg", "db.port"),
    ],
)
def test_groups_that_fill_a_named_part_of_the_config(searched, defaults, given, key):
    files = {
        "config.yaml": f"defaults: [{defaults}]\nx: 1\n",
        "db/mysql.yaml": "port: 1\nspace: {port: '1,2'}\n",
        "db/pg.yaml": "port: 5\n",
    }
    group = given.partition("=")[0]
    fixed = ["db@main=pg"] if "main" in defaults else []
    assert texts(searched(files, [given], fixed)) == {group: "choice(mysql, pg)", f"{key} [{group}=mysql]": "choice(1, 2)"}


@pytest.mark.parametrize("table", ["{1: 0.5, a: 1}", "{true: 1, 2.5: 2, b: 3}", "{1: {2: {x: '${x}'}}}"])
def test_mappings_with_keys_of_every_kind(searched, table):
    where = searched({"config.yaml": f"x: 1\ntable: {table}\n"}, ["x=1,2"])
    assert where.defaults == {"x": 1}
    assert fingerprint(plain(where.config)) == fingerprint(plain(where.config))


# Conditions -----------------------------------------------------------------------------------------------------------------------


VALUES = {
    "config.yaml": "use: true\nact: null\nn: 2\nrate: 0.5\nkind: A\nlayers: [1, 2]\nx: 1.0\ny: 1.0\n",
}


@pytest.mark.parametrize(
    ("key", "options", "condition", "counts"),
    [
        ("use", "true,false", "use=true", True),
        ("use", "true,false", "use=True", True),
        ("use", "true,false", "use=false", False),
        ("act", "null,relu", "act=null", None),
        ("act", "null,relu", "act=relu", "relu"),
        ("n", "1,2,3", "n=3", 3),
        ("n", "1,2,3", "n=3.0", 3),
        ("n", "int(interval(1, 3))", "n=3", 3),
        ("rate", "1.0,2.0", "rate=1", 1.0),
        ("rate", "0.001,2", "rate=1e-3", 0.001),
        ("kind", "A,B", "kind=B", "B"),
        ("kind", "'a b',B", "kind='a b'", "a b"),
        ("layers", "[1,2],[3]", "layers=[1, 2]", [1, 2]),
    ],
)
def test_conditions_compare_values(searched, key, options, condition, counts):
    where = searched(VALUES, {key: options, condition: {"y": "interval(0, 1)"}})
    [param] = [p for p in where.params if p.key == "y"]
    values = space.grid_points(next(p.spec for p in where.params if p.key == key))
    assert [v for v in values if param.active({key: v})] == [counts]
    numbers = [len(Sampler(SamplerSpec("random"), where.params, ["minimize"], 0).ask(i, []).params) for i in range(20)]
    assert set(numbers) == {1, 2}, "it counts in some trials and not in others"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"use": "true,false", "use=yes": {"y": "1,2"}},
            r"y \[use=yes\]: its condition use=yes never holds, as use is one of choice",
        ),
        ({"n": "1,2", "n=3": {"y": "1,2"}}, "its condition n=3 never holds"),
        ({"n": "int(interval(1, 4))", "n=5": {"y": "1,2"}}, "its condition n=5 never holds"),
        ({"rate": "interval(0, 1)", "rate=high": {"y": "1,2"}}, "its condition rate=high never holds"),
        ({"nn=1": {"y": "1,2"}}, "nn: not in the config"),
    ],
)
def test_a_condition_that_can_never_hold_is_refused(searched, given, said):
    with pytest.raises(UserError, match=said) as error:
        searched(VALUES, given)
    assert "\n" not in str(error.value)


def test_a_condition_on_an_option_that_is_not_there_is_refused(searched):
    with pytest.raises(UserError, match=r"opt=adamm: no such option; did you mean adam\?"):
        searched(NOT_OTHER, {"opt=adamm": {"opt.beta": "1,2"}})


def test_a_baseline_has_what_its_values_switch_on(searched):
    where = searched(VALUES, {"use": "true,false", "use=true": {"y": "interval(0, 1)"}})
    assert where.defaults == {"use": True, "y [use=true]": 1.0}
    assert where.given(["use=false"])["params"] == {"use": False}
    assert where.given(["y=0.5"])["params"] == {"use": True, "y [use=true]": 0.5}
