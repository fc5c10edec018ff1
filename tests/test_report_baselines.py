"""The report's section on baselines: each sentence where it is true, and none of it where it is not known."""

import copy

import fake_results
import pytest

from trivet.reporting import build
from trivet.reporting.context import Context
from trivet.reporting.model import Paragraph, Section, Table
from trivet.reporting.sections import baselines
from trivet.reporting.tables import read_results


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return read_results(fake_results.results(tmp_path_factory.mktemp("run"), n_coarse=20, n_fine=12))


def sections(run, test, check=None, metric=None, n_test=1000, tuned=0.9, default=0.85, winner=1):
    """The section of a run whose test.yaml and check.yaml hold these baselines."""
    results = copy.copy(run)
    content = {"metric": "test/accuracy", "n_test": n_test, "baselines": test}
    content |= {
        "winner": {"finalist": winner, "seeds": {1: tuned, 2: tuned}},
        "default": {"finalist": 0, "seeds": {1: default, 2: default}},
    }
    results.test = content | {"val": {"winner": {1: 0.91}, "default": {1: 0.86}}}
    results.check = {"baselines": {"metric": metric or "val/accuracy", "values": check or {}}}
    return baselines.build(Context(results.searches, results))


def words(section):
    return " ".join("".join(map(str, block.parts)) for block in section.blocks if isinstance(block, Paragraph))


def table(section):
    [found] = [block for block in section.blocks if isinstance(block, Table)]
    return [[cell.text for cell in row] for row in found.rows]


@pytest.mark.parametrize(
    ("boosting", "n_test", "said"),
    [
        (
            0.80,
            1000,
            "gradient boosting, reaches 80.00 % on the test file, the tuned network 90.00 %: the network is better by 10.00 percentage",
        ),
        (0.97, 1000, "the tuned network 90.00 %: it is better by 7.00 percentage points, and no network is needed here."),
        (0.89, 1000, "a test file of this size cannot tell them apart. Take the simpler one."),
        (0.91, 1000, "a test file of this size cannot tell them apart."),
        (0.90, 1000, "a test file of this size cannot tell them apart."),
        (0.89, 100_000, "the network is better by 1.00 percentage points"),
        (0.80, 30, "a test file of this size cannot tell them apart."),
    ],
)
def test_the_verdict_follows_from_the_numbers_and_the_size_of_the_test_file(run, boosting, n_test, said):
    [section] = sections(run, {"majority": 0.5, "logistic": 0.7, "boosting": boosting}, n_test=n_test)
    assert said in words(section)
    verdicts = ("the network is better", "no network is needed", "cannot tell them apart")
    assert sum(verdict in words(section) for verdict in verdicts) == 1


@pytest.mark.parametrize(("gain", "apart"), [(0.0255, False), (0.0265, True)])
def test_two_standard_errors_tell_apart(run, gain, apart):
    """At 0.9 and about 0.874 on 1,201 samples an error is .0129."""
    [section] = sections(run, {"boosting": 0.9 - gain}, n_test=1201)
    assert ("the network is better" in words(section)) == apart


def test_the_table_holds_every_value_beside_the_networks(run):
    [section] = sections(run, {"majority": 0.5, "boosting": 0.8}, {"majority": 0.52, "boosting": 0.81})
    assert table(section) == [
        ["always the most frequent class", "52.00 %", "50.00 %"],
        ["gradient boosting", "81.00 %", "80.00 %"],
        ["tuned network", "91.00 %", "90.00 %"],
        ["default network", "86.00 %", "85.00 %"],
    ]


def test_a_default_that_won_is_compared_itself(run):
    [section] = sections(run, {"boosting": 0.5}, winner=0)
    assert "the default network 85.00 %: the network is better" in words(section)
    assert [row[0] for row in table(section)] == ["gradient boosting", "default network"]


def test_before_the_test_stage_only_validation_is_known(run):
    [section] = sections(run, {}, {"boosting": 0.81})
    assert "on the test file" not in words(section)
    assert table(section)[0] == ["gradient boosting", "81.00 %", "\u2013"]


@pytest.mark.parametrize("odd", [{}, None, 5, {"boosting": float("nan")}, {"boosting": "good"}])
def test_no_section_where_there_are_none(run, odd):
    assert sections(run, odd) == []
    assert sections(run, {}, {"boosting": 0.8}, metric="val/rmse") == []  # of another metric than the objective's
    assert baselines.build(Context(run.searches)) == []


def test_the_report_of_a_table_has_it(run, monkeypatch):
    for name, module in vars(build).items():
        if getattr(module, "__package__", "").endswith("sections") and module is not baselines:
            made = Section(name, name)
            monkeypatch.setattr(module, "build", lambda *_, made=made, many=name in ("phases", "ruled"): [made] if many else made)
    results = copy.copy(run)
    results.test = (run.test or {}) | {"baselines": {"majority": 0.5}}
    found = [section.id for section in build.sections(Context(results.searches, results))]
    assert found.index("headline") < found.index("baselines") < found.index("flags")
