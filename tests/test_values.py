"""What interpolations come to, and how an identity counts it."""

import datetime
import itertools
import time
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from omegaconf.basecontainer import BaseContainer

from trivet.study import values as module
from trivet.study.values import interpolated, values_of


@pytest.fixture
def resolver():
    """Register resolvers for one test."""
    before = dict(BaseContainer._resolvers)
    yield lambda name, function, **more: OmegaConf.register_new_resolver(name, function, **more)
    BaseContainer._resolvers.clear()
    BaseContainer._resolvers.update(before)


def values(content, project="/home/a/proj"):
    config = OmegaConf.create(content)
    return values_of(lambda: OmegaConf.create(content), interpolated(config), Path(project))


def digests(text, **more):
    return values({"x": text, **more}).digests.get("x")


def test_where_interpolations_stand():
    content = {"a": 1, "b": "${a}", "c": {"d": ["x", "${a}", {"e": "n${a}"}]}, "space": {"a": "${b}"}, "f": "???", "g": None, 3: "${a}"}
    assert [".".join(map(str, place)) for place in interpolated(OmegaConf.create(content))] == ["b", "c.d.1", "c.d.2.e", "3"]


@pytest.mark.parametrize("text", ["${oc.env:DATA}", "${oc.env:DATA}/train", "${y}", "${oc.decode:${oc.env:DATA}}", "${z}", "${up:${y}}"])
def test_another_environment_is_another_value(monkeypatch, resolver, text):
    resolver("up", str.upper)
    content = {"y": "${oc.env:DATA}", "z": {"deep": ["${y}"]}}
    monkeypatch.setenv("DATA", "a")
    one = digests(text, **content)
    assert one is not None and digests(text, **content) == one
    monkeypatch.setenv("DATA", "b")
    assert digests(text, **content) not in (one, None)


ONLY_IN_A_JOB = ["${oc.env:NOT_THERE}", "${missing}", "${unknown:1}", "${broken:}", "${hydra:job.num}", "${now:%Y}", "${y}", "${w.v}"]


@pytest.mark.parametrize("text", ONLY_IN_A_JOB)
def test_what_only_a_job_can_tell_stays_text(monkeypatch, resolver, text):
    def broken():
        raise RuntimeError

    resolver("broken", broken)
    resolver("now", lambda pattern: time.strftime(pattern), replace=True)
    found = values({"x": text, "y": "run-${now:%H}", "w": {"v": "???"}})
    assert "x" not in found.digests and "x" not in found.varying


@pytest.mark.parametrize("key", ["sweep.dir", "run.dir", "runtime.output_dir", "job.id"])
def test_where_a_job_writes_is_no_matter_of_its_result(resolver, key):
    resolver("hydra", lambda path: path, replace=True)
    assert digests(f"${{hydra:{key}}}/checkpoints") is None
    assert digests("${hydra:runtime.cwd}/data") is not None


MOMENTS = [
    time.time,
    lambda: int(time.time() * 1000),
    lambda: str(int(time.time())),
    lambda: time.strftime("%Y-%m-%d"),
    lambda: time.strftime("run_%Y%m%d-%H%M%S"),
    lambda: time.strftime("%d.%m.%Y"),
    lambda: time.strftime("%b%d_%H-%M-%S"),
    lambda: time.strftime("%H:%M"),
    lambda: datetime.datetime.now(),
    lambda: datetime.datetime.now().isoformat(),
]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("cached", [False, True])
def test_the_time_is_left_out_though_two_readings_are_the_same(monkeypatch, resolver, moment, cached):
    resolver("moment", lambda: moment(), use_cache=cached)
    monkeypatch.setenv("DAY", time.strftime("%Y-%m-%d"))
    found = values({"x": "${moment:}", "y": "of ${x}", "day": "${oc.env:DAY}", "z": "${oc.env:HOME}"})
    assert found.varying == ["x", "y"]
    assert list(found.digests) == ["day", "z"], "what the environment sets is set, a day or not"


@pytest.mark.parametrize("cached", [False, True])
def test_what_is_drawn_at_random_is_left_out(resolver, cached):
    counter = itertools.count()
    resolver("draw", lambda: next(counter), use_cache=cached)
    found = values({"x": "${draw:}", "y": {"z": ["${x}"]}, "w": "${oc.env:HOME}"})
    assert found.varying == ["x", "y.z.0"] and list(found.digests) == ["w"]


@pytest.mark.parametrize("value", [3, 0.5, True, None, "text", "2031-01-01", "v20", [1, {"a": 2}], 1700000000])
def test_what_a_resolver_always_gives_counts(resolver, value):
    resolver("give", lambda: value)
    assert digests("${give:}") is not None


def test_an_object_counts_without_its_address(resolver):
    class Thing:
        pass

    resolver("thing", Thing)
    content = OmegaConf.create({}, flags={"allow_objects": True})
    content["x"] = "${thing:}"
    assert values_of(lambda: content.copy(), interpolated(content), Path("/p")).varying == []


@pytest.mark.parametrize("text", ["${oc.env:ROOT}/data", "${oc.env:ROOT}", "a=${oc.env:ROOT}/x:${oc.env:ROOT}/y", "${y}"])
def test_a_clone_elsewhere_is_the_same(monkeypatch, text):
    found = []
    for root in ("/home/a/proj", "/srv/b/clone"):
        monkeypatch.setenv("ROOT", root)
        found.append(values({"x": text, "y": {"z": "${oc.env:ROOT}/z"}}, root).digests)
    assert found[0] == found[1]
    monkeypatch.setenv("ROOT", "/home/a/project2")  # begins with the same letters
    assert values({"x": text, "y": {"z": "${oc.env:ROOT}/z"}}).digests != found[0]


def test_resolvers_are_put_back(resolver):
    resolver("give", lambda: 1)
    before = dict(BaseContainer._resolvers)
    digests("${give:}")
    assert BaseContainer._resolvers == before


NOW = datetime.datetime(2026, 3, 9, 14, 5, 6)
SECONDS = NOW.timestamp()
DATES = [
    *(
        f"{SECONDS:.3f}",
        "2026-03-09",
        "20260309",
        "x2026_03_09y",
        "2026/03/0914",
        "09.03.2026",
        "03/09/2026",
        "Mar09",
        "of Mar 09",
        "09Mar",
    ),
    *("a-09 Mar", "260309", "a260309b", "14:05", "14h05", "14-05", "at_14_05", "14.05"),
]
NO_DATES = [
    *("9999999999", f"{SECONDS:.0f}"[:9], f"{SECONDS * 1e9:.0f}0", f"a{SECONDS:.0f}", f"{SECONDS:.0f}.", "12026-03-09", "2025-03-09"),
    *("1260309", "26-03-09", "114:05", "1405", "14/05", "March 09", "2026", "2026--03--09", ""),
]


@pytest.mark.parametrize(
    ("value", "tells"),
    [
        *((SECONDS * unit, True) for unit in (1, 1e3, 1e6, 1e9)),
        *((SECONDS * unit, False) for unit in (10, 1e2, 1e-3, 1e-6, 1e12)),
        *((SECONDS + day, abs(day) < 86400) for day in (86399, -86399, 86401, -86401)),
        *((str(int(SECONDS * unit)), True) for unit in (1, 1e9)),
        *((text, True) for text in DATES),
        *((text, False) for text in NO_DATES),
        *((moment, True) for moment in (NOW, NOW.date(), NOW.time(), datetime.date(1999, 1, 1))),
        *((other, False) for other in (True, None, [SECONDS], {"a": SECONDS}, 0, -SECONDS)),
    ],
    ids=str,
)  # fmt: skip
def test_what_tells_the_time(monkeypatch, value, tells):
    class Stopped(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return NOW

    monkeypatch.setattr(module.datetime, "datetime", Stopped)
    monkeypatch.setattr(module.time, "time", lambda: SECONDS)
    assert module._tells_the_time(value) is tells
