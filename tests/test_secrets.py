"""Secrets: masked wherever something is written or shown, and lines that a terminal can print."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

import hydra_apps
import pytest
import yaml
from apps.running import SRC, run_all
from hydra_apps import app, write
from omegaconf import MISSING, OmegaConf

from trivet import secrets
from trivet.errors import UserError
from trivet.study.records import Outcome
from trivet.sweep import pool, resolving

SAY_SO = "password db.password DB_PASSWD api_key apiKey API_KEY hf_token token aws_secret_access_key client_secret secrets tokens key pwd"
DO_NOT = "lr tokenizer key_dim keyboard monkey n_layers token_dim author db.user"
NAMES = {**dict.fromkeys(SAY_SO.split(), True), **dict.fromkeys(DO_NOT.split(), False), "": False}


@pytest.mark.parametrize(("name", "secret"), NAMES.items())
def test_names_that_say_secret(name, secret):
    assert secrets.is_secret(name) is secret


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://u:hunter2@h/d", "postgresql://u:***@h/d"),
        ("cannot open mysql+pymysql://u:p@ss/w:rd@h/d (refused)", "cannot open mysql+pymysql://u:***@h/d (refused)"),
        ("'https://:tok@h/x' and 'redis://u:p@h'", "'https://:***@h/x' and 'redis://u:***@h'"),
        ("postgresql://u@/d?host=/tmp&password=x&sslmode=off", "postgresql://u@/d?host=/tmp&password=***&sslmode=off"),
        ("https://h/x?api_key=abc", "https://h/x?api_key=***"),
        ("postgresql://u:${oc.env:PW}@h/d", "postgresql://u:${oc.env:PW}@h/d"),
        ("http://h:8080/x", "http://h:8080/x"),
        ("sqlite:///a.db", "sqlite:///a.db"),
        ("ann@example.org", "ann@example.org"),
    ],
)
def test_passwords_in_urls(given, shown):
    assert secrets.text(given) == shown


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("db.password=hunter2", "db.password=***"),
        ("+api_key='a b'", "+api_key=***"),
        ("db={user: u, password: 'a b', n: 3}", "db={user: u, password: ***, n: 3}"),
        ("hydra.sweeper.storage='postgresql://u:p@h'", "hydra.sweeper.storage='postgresql://u:***@h'"),
        ("db.password=${oc.env:PW}", "db.password=${oc.env:PW}"),
        ("lr=0.1", "lr=0.1"),
        ("-m", "-m"),
        ("attention.key=64", "attention.key=64"),  # a number is none, unless it is said to be
        ("+net.keys=[1,-2.5e3]", "+net.keys=[1,-2.5e3]"),
        ("use_token=true", "use_token=true"),
        ("pwd=1234", "pwd=***"),
        ("keys=[a,1]", "keys=***"),
    ],
)
def test_arguments_of_a_command_line(given, shown):
    assert secrets.argument(given) == shown


def test_values_by_name():
    given = {"db": {"password": 12, "user": "u", "url": "redis://u:p@h"}, "max_tokens": 512, "keys": ["a"], "secrets": {"a": "x", "b": [1]}}
    assert secrets.values(given) == {
        "db": {"password": "***", "user": "u", "url": "redis://u:***@h"},
        "max_tokens": 512,
        "keys": ["***"],
        "secrets": {"a": "***", "b": ["***"]},
    }
    assert secrets.values({"trials": [["db.password=x", "lr=1"]]}) == {"trials": [["db.password=***", "lr=1"]]}
    kept = {"token": None, "password": "${oc.env:PW}", "use_token": True, "key": ""}
    assert secrets.values(kept) == kept


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a\nb\r\tc", "a b  c"),
        ("\x1b[31mred\x07\u202e", "\\x1b[31mred\\x07\\u202e"),
        ("\ud800", "\\ud800"),
        ("grün ✓", "grün ✓"),
        (Unspeakable(), "(a message that raises RuntimeError)"),
        ("no redis://u:p@h", "no redis://u:***@h"),
    ],
)
def test_what_reaches_a_user_is_one_printable_line(given, shown):
    assert secrets.line(given) == str(UserError(given)) == shown
    assert Outcome("FAIL", reason=given).reason == shown


def test_lines_for_a_terminal():
    assert secrets.lines("  a\x1b[2J\n b\x00\n") == "  a\\x1b[2J\n b\\x00\n"


# Interpolations --------------------------------------------------------------------------------------------------------------------

CONFIG = """
db: {user: ann, password: "${oc.env:TRIVET_TEST_PW}", url: "pg://${.user}:${.password}@h", port: "${oc.env:TRIVET_TEST_PORT,5432}"}
same: ${db.url}
all: ${db}
job: ${hydra:job.num}
bad: ${nowhere.at.all}
n: 3
twice: ${n}
missing: ???
loop: {a: "${loop}"}
"""


@dataclass
class Typed:
    """What a schema may have that is kept otherwise than it is given."""

    one: int | str = 3
    other: int | str = "${one}"
    none: int | str | None = None
    missing: int | str = MISSING
    several: list[int | str] = field(default_factory=lambda: [1, "a"])
    folder: Path = Path("a")


def test_what_a_schema_holds_is_written_as_plain_values():
    expected = {"one": 3, "other": 3, "none": None, "missing": "???", "several": [1, "a"], "folder": "a"}
    assert yaml.safe_load(yaml.safe_dump(resolving.resolved(OmegaConf.structured(Typed)))) == expected


def test_the_environment_stays_as_it_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIVET_TEST_PW", "hunter2")
    monkeypatch.setenv("TRIVET_TEST_PORT", "9")
    with app(write(tmp_path / "conf", {"config.yaml": CONFIG})) as (_, config):
        found = resolving.resolved(config)
        assert config.same == "pg://ann:hunter2@h"  # the resolver is the ordinary one again
    url = "pg://ann:${oc.env:TRIVET_TEST_PW}@h"
    assert found["same"] == url and found["twice"] == 3 and found["missing"] == "???"
    assert (
        found["db"]
        == found["all"]
        == {"user": "ann", "password": "${oc.env:TRIVET_TEST_PW}", "url": url, "port": "${oc.env:TRIVET_TEST_PORT,5432}"}
    )
    assert found["bad"] == "${nowhere.at.all}"
    assert "hunter2" not in repr(found)


# Files -----------------------------------------------------------------------------------------------------------------------------


def test_what_workers_are_handed_has_no_name(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fd = pool._nameless(b"secret")
    assert os.pread(fd, 100, 0) == b"secret"
    assert list(tmp_path.iterdir()) == []
    assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o600 and not os.get_inheritable(fd)
    os.close(fd)


@pytest.mark.slow
def test_no_file_of_a_sweep_knows_a_password(tmp_path):
    """Storage by the environment, app's secrets by value and by the environment: nothing written or printed holds one of them."""
    arguments = ["-m", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=2", "hydra.sweeper.publish=out", "+hf_token=hunter2"]
    arguments += ["hydra.sweeper.storage='sqlite:///study.db?key=${oc.env:TRIVET_TEST_PW}'", "+db={password: '${oc.env:TRIVET_TEST_PW}'}"]
    env = {"TRIVET_TEST_PW": "swordfish", "XDG_RUNTIME_DIR": "", "TMPDIR": str(tmp_path)}
    place = tmp_path / "app"
    [ended] = run_all("curves.py", [(place, arguments)], cwd=tmp_path, env=env)
    assert ended.code == 0, ended.text
    written = {p: p.read_bytes() for p in place.rglob("*") if p.is_file()}
    assert not [p for p, content in written.items() if b"swordfish" in content and p.name != "study.db?key=swordfish"]
    published = {p: content for p, content in written.items() if "out" in p.parts}
    assert published and not [p for p, content in published.items() if b"hunter2" in content]
    assert "swordfish" not in ended.text and "hunter2" not in ended.text
    study = yaml.safe_load((place / "out" / "study.yaml").read_text())
    assert study["config"]["hf_token"] == "***" and study["config"]["db"]["password"] == "${oc.env:TRIVET_TEST_PW}"
    assert "${oc.env:TRIVET_TEST_PW}" in study["storage"]
    assert b"hunter2" not in (place / "sweep" / "multirun.yaml").read_bytes()
    assert not list(tmp_path.glob("trivet-*")) and SRC.exists()


SEARCHED = ["x=choice(1,2)", "hydra.sweep.dir=out", "hydra.sweeper.n_trials=2", "hydra.sweeper.publish=pub"]


@pytest.mark.parametrize(
    ("default", "range_", "more"),
    [
        ("none", "api_key=choice('${oc.env:TRIVET_TEST_PW}',b)", []),
        ("${oc.env:TRIVET_TEST_PW}", "api_key=choice(a,b)", []),
        ("none", "api_key=choice(a,b)", ["hydra.sweeper.enqueue=[{api_key:'${oc.env:TRIVET_TEST_PW}'}]"]),
    ],
)
def test_a_secret_of_the_environment_is_not_searched(default, range_, more, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("TRIVET_TEST_PW", "swordfish")
    conf = hydra_apps.write(tmp_path / "conf", {"config.yaml": f"x: 0\napi_key: {default}\n"})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        hydra_apps.sweep(conf, lambda config: config.x, [*SEARCHED, range_, *more])
    told = [line for line in capfd.readouterr().err.splitlines() if "error" in line]
    assert len(told) == 1 and "api_key: its name says secret" in told[0] and "TRIVET_TEST_PW" in told[0] and "swordfish" not in told[0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["conf"]


def test_a_name_that_leads_to_a_secret_is_searched_and_no_file_knows_the_secret(tmp_path, monkeypatch, caplog):
    for name in "ab":
        monkeypatch.setenv(f"TRIVET_TEST_{name}", f"swordfish-{name}")
    files = {"config.yaml": "x: 0\naccount: a\napi_key: ${oc.env:TRIVET_TEST_${account}}\nsort_key: up\n"}
    conf, seen = hydra_apps.write(tmp_path / "conf", files), set()
    monkeypatch.chdir(tmp_path)

    def task(config):
        seen.add(config.api_key)
        return config.x

    grid = ["hydra.sweeper.sampler=grid", "hydra.sweeper.n_trials=null"]
    hydra_apps.sweep(conf, task, [*SEARCHED, *grid, "account=choice(a,b)", "sort_key=choice(up,down)"])
    assert seen == {"swordfish-a", "swordfish-b"}
    written = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert len(written) > 20 and not [p for p, content in written.items() if b"swordfish" in content]
    rows = (tmp_path / "pub" / "trials.csv").read_text()
    assert "down" in rows and "up" in rows, "what is searched is the result: it is not masked"
    assert [r.getMessage() for r in caplog.records if "its name says secret" in r.getMessage()] == [
        "sort_key: its name says secret; what is searched stands as it is in every table, published ones too"
    ]
