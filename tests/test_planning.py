"""From configs and ranges to the space of a sweep: conditions to any depth, what wins, what is refused, trials given outright."""

import contextlib

import pytest
import yaml
from hydra_apps import app, write
from omegaconf import OmegaConf

from trivet import space
from trivet.errors import UserError
from trivet.search.samplers import SamplerSpec
from trivet.search.sampling import Sampler
from trivet.sweep import configs
from trivet.sweep.jobs import Composer
from trivet.sweep.planning import explicit_trials
from trivet.sweep.spaces import Space

CONF = {
    "config.yaml": """
defaults: [_self_, optimizer: sgd, model: cnn]
batch_size: 64
epochs: 3
weight: ???
name: run_${epochs}
list: [1, 2]
late: ${hydra:job.num}
space:
  batch_size: choice(32, 64, 128)
""",
    "optimizer/sgd.yaml": "lr: 0.1\nmomentum: 0.9\nspace: {lr: 'tag(log, interval(1e-3, 1))', momentum: 'interval(0, 0.99)'}\n",
    "optimizer/adam.yaml": "lr: 0.001\nbetas: [0.9, 0.99]\n"
    "space: {lr: 'tag(log, interval(1e-5, 1e-1))', betas: [[0.9, 0.99], [0.8, 0.9]]}\n",
    "optimizer/plain.yaml": "name: none to search\n",
    "model/cnn.yaml": "width: 16\nspace: {width: 'choice(8, 16)'}\n",
    "model/mlp.yaml": "defaults: [head: linear]\nwidth: 32\nspace: {width: 'int(interval(16, 64))', head: 'choice(linear, deep)'}\n",
    "model/head/linear.yaml": "bias: true\nspace: {bias: [true, false]}\n",
    "model/head/deep.yaml": "defaults: [act: relu]\nlayers: 3\nspace: {layers: 'int(interval(1, 5))', act: 'choice(relu, elu)'}\n",
    "model/head/act/relu.yaml": "slope: 0.0\nspace: null\n",
    "model/head/act/elu.yaml": "alpha: 1.0\nspace: {alpha: 'interval(0.5, 2)'}\n",
    "db/mysql.yaml": "port: 1\nspace: {port: 'choice(1, 2)'}\n",
    "db/pg.yaml": "port: 5\n",
}


_KEPT: dict[tuple, Composer] = {}
_OPEN = contextlib.ExitStack()


@pytest.fixture(scope="module", autouse=True)
def apps_end_with_the_module():
    yield
    _OPEN.close()
    _KEPT.clear()


@contextlib.contextmanager
def composer(tmp_path, fixed=(), files=None):
    """A composer of CONF, with more `files` or other texts; those of CONF alone are kept, as composing takes most of the time here."""
    if files is None and tuple(fixed) in _KEPT:
        yield _KEPT[tuple(fixed)]
        return
    conf = write(tmp_path / "conf", {**CONF, **(files or {})})
    with contextlib.ExitStack() as stack:
        context, config = (_OPEN if files is None else stack).enter_context(app(conf))
        made = Composer(context, config, list(fixed), ".")
        if files is None:
            _KEPT[tuple(fixed)] = made
        yield made


def texts(where):
    return {p.name: space.to_text(p.spec) for p in where.params}


def params(**mapping):
    return space.parse_params({key.replace("__", "."): value for key, value in mapping.items()})


ALL_MODELS = {
    "width [model=cnn]": "choice(8, 16)",
    "width [model=mlp]": "int(interval(16, 64))",
}


# Conditional spaces ------------------------------------------------------------------------------------------------------------


def test_only_what_is_chosen_counts_where_no_group_is_searched(tmp_path):
    with composer(tmp_path) as c:
        where = Space(c, [], True)
        assert texts(where) == {
            "batch_size": "choice(32, 64, 128)",
            "optimizer.lr": "tag(log, interval(0.001, 1.0))",
            "optimizer.momentum": "interval(0.0, 0.99)",
            "model.width": "choice(8, 16)",
        }
        assert where.groups == ()
        assert where.defaults == {"batch_size": 64, "optimizer.lr": 0.1, "optimizer.momentum": 0.9, "model.width": 16}


def test_conditions_to_any_depth(tmp_path):
    with composer(tmp_path) as c:
        where = Space(c, params(model=["cnn", "mlp"], optimizer=["sgd", "adam", "plain"]), True)
        assert texts(where) == {
            "model": "choice(cnn, mlp)",
            "optimizer": "choice(sgd, adam, plain)",
            "batch_size": "choice(32, 64, 128)",
            "optimizer.lr [optimizer=sgd]": "tag(log, interval(0.001, 1.0))",
            "optimizer.momentum [optimizer=sgd]": "interval(0.0, 0.99)",
            "optimizer.lr [optimizer=adam]": "tag(log, interval(1e-05, 0.1))",
            "optimizer.betas [optimizer=adam]": "choice([0.9,0.99], [0.8,0.9])",
            "model.width [model=cnn]": "choice(8, 16)",
            "model.width [model=mlp]": "int(interval(16, 64))",
            "model/head [model=mlp]": "choice(linear, deep)",
            "model.head.bias [model=mlp,model/head=linear]": "choice(true, false)",
            "model.head.layers [model=mlp,model/head=deep]": "int(interval(1, 5))",
            "model/head/act [model=mlp,model/head=deep]": "choice(relu, elu)",
            "model.head.act.alpha [model=mlp,model/head=deep,model/head/act=elu]": "interval(0.5, 2.0)",
        }
        assert where.groups == ("model", "optimizer", "model/head", "model/head/act")
        keys = [p.key for p in where.params]
        for p in where.params:  # a group stands before what depends on it
            assert all(keys.index(group) < where.params.index(p) for group, _ in p.when)


def test_every_sample_of_a_deep_space_composes(tmp_path):
    """What is sampled is what the config has: each trial's overrides make a config, which holds the sampled values."""
    with composer(tmp_path) as c:
        where = Space(c, params(model=["cnn", "mlp"], optimizer=["sgd", "adam", "plain"]), True)
        seen = set()
        for number in range(60):
            sampled = Sampler(SamplerSpec("random"), where.params, ["minimize"], 0).ask(number, []).params
            by_name = {p.name: p for p in where.params}
            groups = {by_name[n].key: v for n, v in sampled.items() if by_name[n].key in where.groups}
            values = {by_name[n].key: v for n, v in sampled.items() if by_name[n].key not in where.groups}
            _, task = c.job(number, groups, [f"{k}={v}" for k, v in values.items()])
            for key, value in values.items():
                got = OmegaConf.select(task, key)
                assert (OmegaConf.to_container(got) if OmegaConf.is_config(got) else got) == (
                    value if not str(value).startswith("[") else yaml.safe_load(value)
                )
            seen |= set(sampled)
        assert seen == {p.name for p in where.params}


def test_an_option_that_is_fixed_opens_its_ranges_without_a_condition(tmp_path):
    with composer(tmp_path, ["model=mlp", "model/head=deep", "optimizer=plain"]) as c:
        assert texts(Space(c, [], True)) == {
            "batch_size": "choice(32, 64, 128)",
            "model.width": "int(interval(16, 64))",
            "model.head.layers": "int(interval(1, 5))",
            "model/head/act": "choice(relu, elu)",
            "model.head.act.alpha [model/head/act=elu]": "interval(0.5, 2.0)",
        }


def test_ranges_of_the_config_may_be_left_out(tmp_path):
    with composer(tmp_path) as c:
        assert texts(Space(c, params(model=["cnn", "mlp"], epochs="int(interval(1, 9))"), False)) == {
            "model": "choice(cnn, mlp)",
            "epochs": "int(interval(1, 9))",
        }


def test_a_group_may_be_searched_in_a_space_of_the_config(tmp_path):
    files = {"config.yaml": CONF["config.yaml"] + "  optimizer: choice(sgd, plain)\n  model.width: choice(1, 2)\n"}
    with composer(tmp_path, files=files) as c, pytest.raises(UserError, match=r"model.width: given twice"):
        Space(c, [], True)
    files = {"config.yaml": CONF["config.yaml"] + "  optimizer: choice(sgd, plain)\n"}
    with composer(tmp_path, files=files) as c:
        assert texts(Space(c, [], True)) == {
            "optimizer": "choice(sgd, plain)",
            "batch_size": "choice(32, 64, 128)",
            "optimizer.lr [optimizer=sgd]": "tag(log, interval(0.001, 1.0))",
            "optimizer.momentum [optimizer=sgd]": "interval(0.0, 0.99)",
            "model.width": "choice(8, 16)",
        }


def test_a_group_that_the_defaults_lack_may_be_added(tmp_path):
    with composer(tmp_path) as c:
        where = Space(c, [space.Param("+db", space.Choice(("mysql", "pg")))], True)
        assert [p.key for p in where.params if p.key.startswith(("+", "db"))] == ["+db", "db.port"]
        port = next(p for p in where.params if p.key == "db.port")
        assert where.defaults is None and where.groups == ("+db",)
        for number in range(20):
            trial = Sampler(SamplerSpec("random"), where.params, ["minimize"], 0).ask(number, [])
            assert (port.name in trial.params) == (trial.params["+db"] == "mysql")


# What wins -----------------------------------------------------------------------------------------------------------------------


def test_what_is_written_out_wins_over_the_config(tmp_path):
    with composer(tmp_path, ["optimizer.momentum=0.5"]) as c:
        given = [*params(batch_size=[1, 2]), space.Param("+optimizer.lr", space.Float(0.5, 1.0))]
        where = Space(c, [*given, space.Param("model.width", space.Fixed(8))], True)
        assert texts(where) == {"batch_size": "choice(1, 2)", "+optimizer.lr": "interval(0.5, 1.0)", "model.width": "8"}


def test_what_is_written_out_wins_under_every_option(tmp_path):
    with composer(tmp_path) as c:
        where = Space(c, params(model=["cnn", "mlp"], model__width=[1, 2]), True)
        assert [n for n in texts(where) if "width" in n] == ["model.width"]


def test_conditions_that_were_written_out(tmp_path):
    with composer(tmp_path) as c:
        given = space.parse_params(
            {
                "optimizer": ["sgd", "adam"],
                "optimizer=adam": {"optimizer.lr": [0.1, 0.2]},
                "optimizer=sgd": {"optimizer.momentum": [0.5, 0.6]},
            }
        )
        assert texts(Space(c, given, False)) == {
            "optimizer": "choice(sgd, adam)",
            "optimizer.lr [optimizer=adam]": "choice(0.1, 0.2)",
            "optimizer.momentum [optimizer=sgd]": "choice(0.5, 0.6)",
        }


@pytest.mark.parametrize(
    ("fixed", "expected"),
    [
        (["optimizer=sgd"], ["optimizer.momentum"]),
        ([], ["optimizer.momentum"]),
        (["optimizer=adam"], ["optimizer.lr"]),
        (["optimizer=plain"], []),
        (["model=mlp"], ["optimizer.momentum", "model.width"]),
        (["model=mlp", "model/head=deep"], ["optimizer.momentum", "model.width", "model.head.layers"]),
    ],
)
def test_conditions_on_what_is_set_hold_or_not_for_good(tmp_path, fixed, expected):
    """A narrowed space, run with its optimizer or model set by hand."""
    given = space.parse_params(
        {
            "optimizer=adam": {"optimizer.lr": [0.1, 0.2]},
            "optimizer=sgd": {"optimizer.momentum": [0.5, 0.6]},
            "model=mlp": {"model.width": [1, 2], "model/head=deep": {"model.head.layers": [1, 2]}},
        }
    )
    with composer(tmp_path, fixed) as c:
        assert [p.name for p in Space(c, given, False).params] == expected


def test_a_condition_on_a_group_below_a_searched_one(tmp_path):
    given = space.parse_params({"model": ["cnn", "mlp"], "model=mlp": {"model/head=linear": {"model.head.bias": [True, False]}}})
    with composer(tmp_path) as c:  # mlp's head is linear by default
        assert [p.name for p in Space(c, given, False).params] == ["model", "model.head.bias [model=mlp]"]


# Refusals ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "fixed", "said"),
    [
        ({"optimizer.lrr": "choice(1, 2)"}, [], r"optimizer.lrr: not in the config; did you mean optimizer.lr\?.*\+optimizer.lrr"),
        ({"batchsize": "choice(1, 2)"}, [], r"batchsize: not in the config; did you mean batch_size\?"),
        ({"zzzzzzzz": "choice(1, 2)"}, [], r"zzzzzzzz: not in the config; there are batch_size"),
        ({"optimizer.betas": [[1], [2]]}, [], "optimizer.betas: not in the config"),
        ({"list.7": [1, 2]}, [], "list.7: not in the config"),
        ({"optimizer": ["sgd", "adma"]}, [], r"optimizer=adma: no such option; did you mean adam\?"),
        ({"optimizer": ["qqq", "sgd"]}, [], r"optimizer=qqq: no such option; there are adam, plain, sgd"),
        ({"model/head": ["linear", "deep"]}, [], "model/head"),  # the default model has no head
        ({"optimizer": ["sgd", "adam"], "optimizer=adam": {"optimizer.momentum": [1, 2]}}, [], "optimizer.momentum: not in the config"),
        ({"optimizer": ["sgd", "plain"], "optimizer.lr": [1, 2]}, [], "optimizer.lr: not in the config with optimizer=plain"),
        ({"model=mlp": {"optimizer": ["sgd"]}, "optimizer=sgd": {"model": ["cnn", "mlp"]}}, [], "in a circle"),
        ({"optimizer": [None, "sgd"]}, [], "optimizer=null"),
        ({}, ["optimizer=adma"], "adma"),
        ({}, ["nope=1"], "nope"),
    ],
)
def test_refusals_name_what_is_wrong_in_one_line(tmp_path, given, fixed, said):
    with composer(tmp_path, fixed) as c, pytest.raises(UserError, match=said) as error:
        Space(c, space.parse_params(given), True)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("space: {lr: 'interval(2, 1)'}", "lr"),
        ("space: {lrr: 'interval(1, 2)'}", r"lrr: has a search range but no value in the config: did you mean lr\?"),
        ("space: [lr]", "`space` holds search ranges"),
        ("space: {lr: 0.5}", "is a single value"),
        ("space: {lr: 'tag(log, interval(0, 1))'}", "log scale"),
    ],
)
def test_bad_ranges_of_an_option_are_found_though_it_is_not_the_default(tmp_path, text, said):
    with composer(tmp_path, files={"optimizer/adam.yaml": f"lr: 0.1\n{text}\n"}) as c:
        Space(c, [], True)  # it is not chosen
        with pytest.raises(UserError, match=said) as error:
            Space(c, params(optimizer=["sgd", "adam"]), True)
    assert "optimizer" in str(error.value)


# Defaults ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [("epochs", 3), ("name", "run_3"), ("list", [1, 2]), ("list.1", 2), ("optimizer.lr", 0.1), ("weight", None), ("late", None)],
)
def test_the_default_configuration(tmp_path, key, value):
    """None where a key has no value yet, or one that only a job can tell."""
    with composer(tmp_path) as c:
        where = Space(c, [space.Param(key, space.Choice((1, 2)))], False)
        assert where.defaults == (None if value is None else {key: value})
        trials = explicit_trials(where, SamplerSpec("random"), None, [], tmp_path)
        assert trials == ([] if value is None else [{"params": {key: value}, "overrides": []}])


def test_a_default_of_null_is_a_value(tmp_path):
    with composer(tmp_path, files={"config.yaml": CONF["config.yaml"].replace("epochs: 3", "epochs: null")}) as c:
        assert Space(c, params(epochs=[None, 3]), False).defaults == {"epochs": None}


def test_the_default_option_need_not_be_searched(tmp_path):
    with composer(tmp_path) as c:
        where = Space(c, params(optimizer=["adam", "plain"]), True)
        assert where.defaults["optimizer"] == "sgd"
        for number in range(10):
            names = Sampler(SamplerSpec("random"), where.params, ["minimize"], 0).ask(number, []).params
            assert not any("optimizer=sgd" in name for name in names)


# Trials that are given -------------------------------------------------------------------------------------------------------------


def trials(tmp_path, sampler="random", explicit=(), baseline=None, enqueue=(), files=None, **arguments):
    with composer(tmp_path, files=files) as c:
        where = Space(c, list(explicit) or params(epochs="int(interval(1, 9))", batch_size=[32, 64]), False)
        return explicit_trials(where, SamplerSpec(sampler, arguments), baseline, enqueue, tmp_path)


DEFAULT = {"params": {"epochs": 3, "batch_size": 64}, "overrides": []}


def test_the_baseline_comes_first_but_for_grids_and_lists(tmp_path):
    assert trials(tmp_path) == trials(tmp_path, baseline=True) == [DEFAULT]
    assert trials(tmp_path, baseline=False) == []
    grid = trials(tmp_path, "grid")
    assert len(grid) == 18 and DEFAULT not in grid
    assert trials(tmp_path, "grid", baseline=True) == [DEFAULT, *grid]
    assert len(trials(tmp_path, "list", trials=[{"epochs": 1}])) == 1


def test_a_baseline_that_is_asked_for_needs_defaults(tmp_path):
    with pytest.raises(UserError, match=r"hydra.sweeper.baseline=true: a searched key has no default"):
        trials(tmp_path, explicit=params(weight=[1, 2]), baseline=True)


def test_the_ends_of_ranges_where_a_key_has_no_value(tmp_path):
    """Such a key takes the middle of its range in the trials of others; what has a default keeps it."""
    given = trials(tmp_path, "ends", explicit=params(weight="interval(0, 1)", epochs="int(interval(1, 9))"))
    assert [(t["params"]["weight"], t["params"]["epochs"]) for t in given] == [(0, 3), (1, 3), (0.5, 1), (0.5, 9)]
    assert trials(tmp_path, "ends", explicit=params(epochs="int(interval(1, 9))"))[1]["overrides"] == ["epochs=1"]


@pytest.mark.parametrize(
    ("entry", "expected_params", "overrides"),
    [
        ({"epochs": 5}, {"epochs": 5, "batch_size": 64}, ["epochs=5"]),
        (["epochs=5", "batch_size=32"], {"epochs": 5, "batch_size": 32}, ["epochs=5", "batch_size=32"]),
        ({}, {"epochs": 3, "batch_size": 64}, []),
        ({"epochs": 77}, {"epochs": 77, "batch_size": 64}, ["epochs=77"]),  # outside the range
        (
            {"optimizer": "adam", "optimizer.betas": [0.5, 0.6], "name": "a, b"},
            {"epochs": 3, "batch_size": 64, "optimizer": "adam", "optimizer.betas": [0.5, 0.6], "name": "a, b"},
            ["optimizer=adam", "optimizer.betas=[0.5,0.6]", "name='a, b'"],
        ),
        ({"+new": None}, {"epochs": 3, "batch_size": 64, "+new": None}, ["+new=null"]),
    ],
)
def test_enqueued_trials(tmp_path, entry, expected_params, overrides):
    assert trials(tmp_path, baseline=False, enqueue=[entry]) == [{"params": expected_params, "overrides": overrides}]
    assert trials(tmp_path, "list", trials=[entry]) == [{"params": expected_params, "overrides": overrides}]
    write(tmp_path, {"list.yaml": yaml.safe_dump([entry], sort_keys=False)})
    assert trials(tmp_path, "list", file="list.yaml") == [{"params": expected_params, "overrides": overrides}]


@pytest.mark.parametrize("overrides", [{"epochs": 5}, ["epochs=5"]])
def test_an_entry_may_carry_attributes(tmp_path, overrides):
    entry = {"overrides": overrides, "user_attrs": {"finalist": 2, "note": None}}
    expected = {"params": {"epochs": 5, "batch_size": 64}, "overrides": ["epochs=5"], "attrs": {"finalist": 2, "note": None}}
    assert trials(tmp_path, baseline=False, enqueue=[entry]) == [expected]
    assert trials(tmp_path, "list", trials=[entry]) == [expected]
    assert trials(tmp_path, "list", trials=[{"overrides": overrides}]) == [{**expected, "attrs": {}}]


def test_an_enqueued_trial_has_the_parameters_of_its_option(tmp_path):
    with composer(tmp_path) as c:
        where = Space(c, params(optimizer=["sgd", "adam"], model=["cnn", "mlp"]), True)
        (trial,) = explicit_trials(
            where, SamplerSpec("random"), False, [{"optimizer": "adam", "model": "mlp", "model/head": "deep"}], tmp_path
        )
        assert trial["params"] == {
            "optimizer": "adam",
            "model": "mlp",
            "batch_size": 64,
            "optimizer.lr [optimizer=adam]": 0.001,
            "optimizer.betas [optimizer=adam]": [0.9, 0.99],
            "model.width [model=mlp]": 32,
            "model/head [model=mlp]": "deep",
            "model.head.layers [model=mlp,model/head=deep]": 3,
            "model/head/act [model=mlp,model/head=deep]": "relu",
        }


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("epochs=3", "hydra.sweeper.enqueue: 'epochs=3': must be a mapping"),
        (["epochs"], "must be a mapping of key: value, or a list of key=value"),
        (3, "must be a mapping"),
        ({"epoch": 3}, r"epoch: not in the config; did you mean epochs\?"),
        ({"optimizer": "adma"}, "adma"),
        ({"optimizer.betas": [1]}, "optimizer.betas: not in the config"),
        (["epochs=(("], r"epochs=\(\("),
        (["epochs=1,2"], "epochs=1,2"),
        ({"overrides": ["epochs=1"], "attrs": {}}, "attrs: unknown; an entry with overrides takes user_attrs"),
        ({"overrides": ["epochs=1"], "user_attrs": {"epochs": 1}}, "user_attrs.epochs: is a parameter or a column"),
        ({"overrides": [], "user_attrs": {"value": 1}}, "user_attrs.value: is a parameter or a column"),
        ({"overrides": [], "user_attrs": {"a": [1]}}, "must be a mapping of name: plain value"),
        ({"overrides": [], "user_attrs": 3}, "must be a mapping of name: plain value"),
        ({"overrides": 3}, "overrides: not in the config"),
    ],
)
def test_bad_entries_are_named_in_one_line(tmp_path, entry, said):
    with pytest.raises(UserError, match=said) as error:
        trials(tmp_path, enqueue=[entry])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "needs `trials`"),
        ({"file": "nothing.yaml"}, "hydra.sweeper.sampler.file=.*nothing.yaml: cannot be read"),
        ({"file": "bad.yaml"}, "hydra.sweeper.sampler.file=.*bad.yaml: cannot be read"),
        ({"file": "binary.yaml"}, "hydra.sweeper.sampler.file=.*binary.yaml: cannot be read"),
        ({"file": "mapping.yaml"}, "a: unknown; must be a list"),
        ({"trials": []}, "at least one"),
        ({"trials": "x=1"}, "must be a list"),
        ({"trials": [3]}, "hydra.sweeper.sampler.trials: 3"),
    ],
)
def test_bad_lists(tmp_path, arguments, said):
    write(tmp_path, {"bad.yaml": "a: [", "mapping.yaml": "a: 1"})
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=said) as error:
        trials(tmp_path, "list", **arguments)
    assert "\n" not in str(error.value)


# Grids ---------------------------------------------------------------------------------------------------------------------------


def test_ranges_of_an_option_that_is_not_searched_do_not_hinder_a_grid(tmp_path):
    with composer(tmp_path) as c:
        where = Space(c, params(optimizer=["plain"], model=["cnn"], batch_size=[1, 2]), True)  # sgd, the default, has continuous ranges
        grid = explicit_trials(where, SamplerSpec("grid"), None, [], tmp_path)
        assert [t["params"] for t in grid] == [
            {"optimizer": "plain", "model": "cnn", "batch_size": b, "model.width [model=cnn]": w} for b in (1, 2) for w in (8, 16)
        ]


@pytest.mark.parametrize("limit", [0, -1, "many", 1.5, True])
def test_bad_limits(tmp_path, limit):
    with pytest.raises(UserError, match=r"hydra.sweeper.sampler.limit="):
        trials(tmp_path, "grid", limit=limit)


def test_a_limit_lets_a_large_grid_pass(tmp_path):
    with pytest.raises(UserError, match="18 points"):
        trials(tmp_path, "grid", limit=17)
    assert len(trials(tmp_path, "grid", limit=18)) == 18


def test_without_space_leaves_the_rest():
    node = {"a": 1, "space": {"a": "x"}, "b": {"space": {"c": "y"}, "c": 2, "space2": 3}, "d": {"space": None}, "e": {"space": "outer"}}
    assert configs.without_space(node) == {"a": 1, "b": {"c": 2, "space2": 3}, "d": {"space": None}, "e": {"space": "outer"}}
