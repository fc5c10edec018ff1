"""Values that the config's schema refuses are told before trial 0; what its user means is understood."""

from dataclasses import dataclass, field
from enum import Enum

import pytest
from hydra.core.config_store import ConfigStore
from hydra_apps import app, write

from trivet import space
from trivet.errors import UserError
from trivet.search.samplers import SamplerSpec
from trivet.sweep.jobs import Composer
from trivet.sweep.planning import explicit_trials
from trivet.sweep.spaces import Space


class Kind(Enum):
    ADAM = "adam"
    SGD = 2


@dataclass
class Opt:
    kind: Kind = Kind.ADAM
    lr: float = 0.1
    n: int = 1
    most: int | None = None
    use: bool = True
    u: int | str = 3
    dims: list[int] = field(default_factory=lambda: [1, 2])
    table: dict[str, int] = field(default_factory=dict)


ConfigStore.instance().store(group="opt", name="of_test_fitting", node=Opt)


@pytest.fixture(scope="module")
def composer(tmp_path_factory):
    conf = write(
        tmp_path_factory.mktemp("conf"), {"config.yaml": "defaults: [opt: of_test_fitting, _self_]\nplain: 1\nrows: [64]\nmap: {a: 1}\n"}
    )
    with app(conf, config_name="config") as (context, config):
        yield Composer(context, config, [], ".")


def texts(composer, **given):
    where = Space(composer, space.parse_params({key.replace("__", "."): value for key, value in given.items()}), False)
    return {p.key: space.to_text(p.spec) for p in where.params}


@pytest.mark.parametrize(
    ("key", "given", "meant"),
    [
        ("opt.n", "interval(1, 4)", "int(interval(1, 4))"),
        ("opt.n", "tag(log, interval(1, 64))", "tag(log, int(interval(1, 64)))"),
        ("opt.n", "range(2.0, 9.0, 2.0)", "range(2, 9, 2)"),
        ("opt.most", "interval(1, 4)", "int(interval(1, 4))"),
        ("opt.most", "1,null", "1,null"),
        ("opt.lr", "interval(1, 4)", "interval(1.0, 4.0)"),
        ("opt.lr", "1,2", "choice(1, 2)"),
        ("opt.kind", "ADAM,SGD", "choice(ADAM, SGD)"),
        ("opt.use", "true,false", "choice(true, false)"),
        ("opt.u", "1,text", "choice(1, text)"),
        ("opt.dims", 'choice("[128, 32]", "[128]")', "choice([128,32], [128])"),
        ("opt.dims.0", "1,2", "choice(1, 2)"),
        ("rows", 'choice("[128, 32]", [1])', "choice([128,32], [1])"),
        ("map", 'choice("{a:2}", "{a:3}")', "choice({a:2}, {a:3})"),
        ("map.a", "1,text", "choice(1, text)"),
        ("plain", 'choice("[1]", 2)', "choice('[1]', 2)"),
        ("plain", "interval(1, 4)", "interval(1.0, 4.0)"),
        ("+opt.table.new", "1,2", "choice(1, 2)"),
    ],
)
def test_what_is_meant(composer, key, given, meant):
    assert texts(composer, **{key: given}) == {key: meant}


@pytest.mark.parametrize(
    ("key", "given", "said"),
    [
        ("opt.kind", "ADAM,RMSPROP", r"opt.kind=RMSPROP: Invalid value 'RMSPROP', expected one of \[ADAM, SGD\]"),
        ("opt.n", "1,two", "opt.n=two: Value 'two' of type 'str' could not be converted to Integer"),
        ("opt.n", "1,2.5", "opt.n=2.5: "),
        ("opt.n", "1,null", "opt.n=null: "),
        ("opt.n", "interval(0.5, 4)", r"opt.n=interval\(0.5, 4.0\): .* whole number there; write int\(interval"),
        ("opt.n", "tag(log, interval(0.5, 4))", "whole number there"),
        ("opt.most", "1,two", "opt.most=two: "),
        ("opt.use", "true,maybe", "opt.use=maybe: Value 'maybe' is not a valid bool"),
        ("opt.u", "interval(0, 1)", "opt.u=0.0: "),
        ("opt.lr", "0.1,fast", "opt.lr=fast: "),
        ("opt.dims", "[1],[a]", r"opt.dims=\[a\]: "),
        ("opt.dims.0", "1,a", "opt.dims.0=a: "),
    ],
)
def test_what_the_schema_refuses(composer, key, given, said):
    with pytest.raises(UserError, match=said) as error:
        texts(composer, **{key: given})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("given", [{"opt__dims": "[1],[a]"}, {"opt__kind": "ADAM,RMSPROP"}])
def test_a_refusal_is_told_in_the_same_line_under_a_debugger(composer, monkeypatch, given):
    """OmegaConf then chains its errors: to the template of the message, or to themselves."""
    said = []
    for chains in ("0", "1"):
        monkeypatch.setenv("OC_CAUSE", chains)
        with pytest.raises(UserError) as error:
            texts(composer, **given)
        said.append(str(error.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("entry", [{"opt.kind": "RMSPROP"}, {"opt.n": "two"}, ["opt.use=maybe"], {"overrides": {"opt.n": 1.5}}])
def test_trials_given_outright_are_tried_too(composer, tmp_path, entry):
    where = Space(composer, space.parse_params({"opt.lr": "1,2"}), False)
    with pytest.raises(UserError, match=r"opt\..*; give what the config's schema takes"):
        explicit_trials(where, SamplerSpec("random"), None, [entry], tmp_path)


def crossed(composer, tmp_path, trials, swept=(), **given):
    where = Space(composer, space.parse_params(given), False)
    sampler, ranges = SamplerSpec("list", {"trials": trials}), {p.key for p in where.params}
    return [t["params"] for t in explicit_trials(where, sampler, None, [], tmp_path, ranges, swept)]


def test_a_list_is_crossed_with_what_is_swept(composer, tmp_path):
    trials = [{"plain": 5}, {"overrides": {"plain": 10}, "user_attrs": {"name": "b"}}]
    assert crossed(composer, tmp_path, trials) == [{"plain": 5}, {"plain": 10}]
    found = crossed(composer, tmp_path, trials, **{"opt.n": "1,2", "opt.use": "true,false"})
    assert found == [{"opt.n": n, "opt.use": use, "plain": plain} for plain in (5, 10) for n in (1, 2) for use in (True, False)]


def test_what_an_entry_gives_is_not_crossed(composer, tmp_path):
    ranges = {"opt.lr": "interval(0, 1)", "opt.n": "1,2"}
    found = crossed(composer, tmp_path, [{"opt.lr": 0.5}, {"opt.lr": 0.1, "opt.n": 7}], **ranges)
    assert [(one["opt.lr"], one["opt.n"]) for one in found] == [(0.5, 1), (0.5, 2), (0.1, 7)]


def test_a_range_under_a_condition_is_crossed_where_that_holds(composer, tmp_path):
    ranges = {"opt.use=true": {"opt.n": "1,2"}, "opt.use=false": {"opt.n": 9}, "opt.use": "true,false"}
    found = crossed(composer, tmp_path, [{"opt.use": True}, {"opt.use": False}, {"plain": 3}], **ranges)
    one = [(trial["opt.use"], next(v for k, v in trial.items() if k.startswith("opt.n"))) for trial in found]
    assert one == [(True, 1), (True, 2), (False, 9), (True, 1), (True, 2), (False, 9)]


@pytest.mark.parametrize(
    ("given", "swept", "said"),
    [
        ({"opt.lr": "interval(0, 1)"}, (), r"opt.lr=interval\(0.0, 1.0\): continuous, so no list can be crossed with it"),
        ({"plain": "1,2"}, ("plain",), "plain: swept, and given in the list of trials; give it in one place"),
        ({"opt.n": "int(interval(1, 2000))"}, (), "opt.n=.*: 2000 points, so no list can be crossed with it"),
        ({"opt.n": "int(interval(1, 999))", "opt.use": "true,false"}, (), "opt.*more than 1000 points; search less"),
    ],
)
def test_what_cannot_be_crossed_is_refused(composer, tmp_path, given, swept, said):
    with pytest.raises(UserError, match=said):
        crossed(composer, tmp_path, [{"plain": 5}], swept, **given)


def test_a_lists_file_holds_numbers(composer, tmp_path):
    (tmp_path / "t.yaml").write_text("- {opt.lr: 1e-3, plain: 1e-4}\n")
    where = Space(composer, [], False)
    with pytest.warns(UserWarning, match=r"t.yaml: 1e-3 is read as on Hydra's command line"):
        [trial] = explicit_trials(where, SamplerSpec("list", {"file": "t.yaml"}), None, [], tmp_path)
    assert trial["params"] == {"opt.lr": 0.001, "plain": 0.0001}
