"""Searches side by side: figures with known answers, regions that agree or not, folders and git revisions, and what is refused."""

import hashlib
import json
import subprocess

import numpy as np
import pandas as pd
import pytest
import report_stories
import yaml
from fake_results import SPACE, publish, search, study

from trivet import cli, space
from trivet.diagnosis import agreement
from trivet.diagnosis.sweep import Entry, Sweep
from trivet.reporting import comparing, markdown
from trivet.reporting.contestants import Contestant
from trivet.reporting.model import Report
from trivet.reporting.tables import read_sweep
from trivet.reporting.words import Scale


def contestant(label, *searches):
    return Contestant(label, [report_stories.search(values, name=f"s{i}") for i, values in enumerate(searches)])


A = contestant("A", [0.5, 0.7, 0.6], [0.6, 0.9])
B = contestant("B", [0.4, 0.8])


def test_cost_and_best_go_on_over_the_phases():
    course = A.course()
    assert course["trials"].tolist() == [1, 2, 3, 4, 5] and course["epochs"].tolist() == [20, 40, 60, 80, 100]
    assert course["best"].tolist() == [0.5, 0.7, 0.7, 0.7, 0.9]
    assert course["seconds"].iloc[-1] == 5.0


@pytest.mark.parametrize(("unit", "cost", "value"), [("trials", 1, 0.5), ("epochs", 59, 0.7), ("epochs", 100, 0.9), ("seconds", 2, 0.7)])
def test_the_best_at_a_cost(unit, cost, value):
    assert A.best_at(unit, cost) == value
    assert np.isnan(A.best_at(unit, cost / 1e3))


def test_they_are_compared_at_the_cost_that_all_have_spent():
    assert comparing.common([A, B], "epochs") == 40
    text = markdown.render(Report("t", "", [comparing.verdict([A, B], [A, B], Scale("objective"))]))
    assert "After 40 epochs, which every one of them spent, B has the best value: 0.8, 0.1 better than the next." in text


def test_a_minimum_is_better():
    one, two = contestant("one", [0.5, 0.3]), contestant("two", [0.4, 0.35])
    for side in (one, two):
        side.searches[0].directions = ["minimize"]
    text = markdown.render(Report("t", "", [comparing.verdict([one, two], [one, two], Scale("loss"))]))
    assert "one has the best value: 0.3, 0.05 better" in text


def test_equals_are_level():
    one, two = contestant("one", [0.5, 0.9]), contestant("two", [0.6, 0.9])
    text = markdown.render(Report("t", "", [comparing.verdict([one, two], [one, two], Scale("score"))]))
    assert "two and one are level" in text or "one and two are level" in text


def test_other_settings_are_told():
    other = contestant("other", [0.5, 0.9])
    other.searches[0].study = {**other.last.study, "identity": {**report_stories.SETTING, "called": {"data": "another"}}}
    text = markdown.render(Report("t", "", [comparing.verdict([A, other], [A, other], Scale("score"))]))
    assert "Take care: other is not the same task as A" in text and "other data" in text


def test_one_that_failed_throughout_does_not_end_it():
    broken = contestant("broken", [np.nan, np.nan])
    broken.searches[0].trials["state"] = "FAIL"
    good = contestant("good", [0.5, 0.4])
    sections = [comparing.verdict([good, broken], [good, broken], Scale("x")), comparing.at_equal_cost([good, broken], Scale("x"))]
    text = markdown.render(
        Report("t", "", [*sections, comparing.configurations([good, broken], Scale("x")), comparing.agreeing([good, broken])])
    )
    assert "good has the best value" in text and "broken has no completed trial" in text and "too few to say" in text


def sweep(lr, option=("a",) * 20, spec="tag(log, interval(0.0001, 1.0))"):
    n = len(lr)
    frame = report_stories.trials(np.linspace(0.9, 0.5, n), lr=lr, kind=list(option)[:n])
    entries = [Entry("lr", space.parse(spec, "lr")), Entry("kind", space.parse("choice(a, b, c)", "kind"))]
    return Sweep("s", frame, pd.DataFrame({"number": [], "step": []}), ["lr", "kind"], ["value"], ["maximize"], entries)


NEAR_ONE = np.geomspace(0.5, 1.0, 20)
NEAR_HUNDREDTH = np.geomspace(0.008, 0.012, 20)
ANYWHERE = np.geomspace(0.0001, 1.0, 5).tolist() * 4


@pytest.mark.parametrize(
    ("a", "b", "alike", "apart", "open_", "same"),
    [
        (sweep(NEAR_ONE), sweep(NEAR_ONE * 0.9), ["lr", "kind"], [], [], True),
        (sweep(NEAR_ONE), sweep(NEAR_HUNDREDTH, ["b"] * 20), [], ["lr", "kind"], [], False),
        (sweep(NEAR_ONE), sweep(NEAR_HUNDREDTH), ["kind"], ["lr"], [], False),
        (sweep(NEAR_ONE), sweep(ANYWHERE, ["a", "b", "c", "a", "b"] * 4), [], [], ["lr", "kind"], False),
        (sweep(NEAR_ONE), sweep(NEAR_ONE, spec="tag(log, interval(0.01, 1.0))"), ["lr", "kind"], [], [], True),
        (sweep(NEAR_ONE[:4]), sweep(NEAR_ONE), [], [], ["lr", "kind"], False),
    ],
)
def test_where_two_agree(a, b, alike, apart, open_, same):
    found = agreement.agreement(a, b)
    assert (found.alike, found.apart, found.open, found.same_region) == (alike, apart, open_, same)


def test_chance_alone_rarely_looks_like_agreement():
    rng = np.random.default_rng(0)

    def by_chance():
        return sweep(np.exp(rng.uniform(np.log(1e-4), 0, 20)), rng.choice(list("abc"), 20))

    pairs = [agreement.agreement(by_chance(), by_chance()) for _ in range(100)]
    assert np.mean(["lr" in found.alike for found in pairs]) < 0.08
    assert np.mean([found.same_region for found in pairs]) < 0.1


def folder(path, luck, n=60, **more):
    trials, curves = search(n, SPACE, seed=luck)
    return publish(path, trials, curves, study(path.name, SPACE, trials, **more))


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    root = tmp_path_factory.mktemp("two")
    folder(root / "sweeps/tpe", 1)
    folder(root / "sweeps/random", 2, n=40, sampler={"name": "random"}, seed=7)
    return root


def run(capsys, *words):
    code = cli.main(["compare", *map(str, words)])
    out, err = capsys.readouterr()
    return code, out, err


def test_two_folders_give_a_page_a_text_and_a_plot(two, monkeypatch, capsys):
    monkeypatch.chdir(two)
    code, out, _ = run(capsys, "sweeps/tpe", "sweeps/random")
    assert code == 0 and "sweeps/random: " in out and "random, pruner median, seed 7" in out
    assert out.strip().endswith("comparison: comparison/report.html")
    text = (two / "comparison/report.md").read_text()
    for title in ("Which was better", "Best against cost", "Best configurations", "What mattered", "Where they agree"):
        assert f"## {title}" in text
    page = (two / "comparison/report.html").read_text()
    assert "sweeps/random" in page and (two / "comparison/figures/best-by-cost.svg").stat().st_size > 1000
    best = read_sweep(two / "sweeps/tpe").best["value"]
    assert f"{100 * best:.2f} %" in text and f"{100 * best:.2f} % at its end" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("sweeps/tpe",), "needs two or more"),
        (("sweeps/tpe", "sweeps/tpe"), "sweeps/tpe is named twice"),
        (("sweeps/tpe", "sweeps"), "sweeps: holds no trials.csv"),
        (("sweeps/tpe", "nothing"), "nothing: is neither a folder here nor a git revision"),
        (("sweeps/tpe", "sweeps/loss"), "sweeps/loss: its direction is minimize, that of sweeps/tpe is maximize"),
        (("sweeps/tpe", "sweeps/f1"), "sweeps/f1: its objective is val/f1"),
    ],
)
def test_what_cannot_be_compared_is_one_line(two, words, message, monkeypatch, capsys):
    monkeypatch.chdir(two)
    folder(two / "sweeps/loss", 3, n=5, directions=["minimize"])
    folder(two / "sweeps/f1", 3, n=5, metric="val/f1")
    code, out, err = run(capsys, *words, "--out", "none")
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and out == ""
    assert not (two / "none").exists()


def git(root, *words):
    subprocess.run(["git", "-C", root, "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True, capture_output=True)


def put(cache, content):
    """An object of DVC's cache; its md5."""
    mark = hashlib.md5(content).hexdigest()
    path = cache / "files/md5" / mark[:2] / mark[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return mark


def kept_by_dvc(root, seed):
    """results/coarse as DVC keeps it: a line of dvc.lock, objects in the cache; nothing in git."""
    done = folder(root / "made" / str(seed), seed, n=30)
    listed = [{"md5": put(root / "store", path.read_bytes()), "relpath": path.name} for path in sorted(done.iterdir())]
    content = json.dumps(listed).encode()
    mark = put(root / "store", content)
    target = root / "store/files/md5" / mark[:2] / f"{mark[2:]}.dir"
    target.write_bytes(content)
    (root / "dvc.lock").write_text(yaml.safe_dump({"stages": {"coarse": {"outs": [{"path": "results/coarse", "md5": f"{mark}.dir"}]}}}))
    return target


@pytest.fixture
def history(tmp_path, monkeypatch):
    """Three commits: two whose coarse search DVC keeps, and one whose git tracks it. Returns what makes the first unreadable."""
    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init", "-q")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[cache]\n    dir = ../store\n")
    (tmp_path / ".gitignore").write_text("/made/\n/store/\n/comparison/\n")
    (tmp_path / "reports").mkdir()
    targets = []
    for seed in (1, 2):
        targets.append(kept_by_dvc(tmp_path, seed))
        (tmp_path / "reports/metrics.json").write_text(json.dumps({"coarse": {"best": seed / 10}, "test": {"mean": 0.5 + seed / 100}}))
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-q", "-m", "run")
    folder(tmp_path / "results/coarse", 3, n=30)
    (tmp_path / "dvc.lock").unlink()
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "run")
    git(tmp_path, "rm", "-q", "-r", "--cached", "results")
    return targets


def test_revisions_are_read_from_git_and_from_dvcs_cache(history, tmp_path, capsys):
    code, out, err = run(capsys, "HEAD~2", "HEAD~1", "HEAD")
    assert (code, err) == (0, "")
    assert [line.split(" (")[0] for line in out.splitlines()[:3]] == ["HEAD~2", "HEAD~1", "HEAD"]
    for seed, line in enumerate(out.splitlines()[:3], 1):
        made = tmp_path / "made" / str(seed) if seed < 3 else tmp_path / "results/coarse"
        assert f"{100 * read_sweep(made).best['value']:.2f} % at its end (30 trials" in line
    text = (tmp_path / "comparison/report.md").read_text()
    assert "Runs of the pipeline" in text and "0.51" in text and "0.52" in text


def test_what_the_cache_lacks_is_said_and_the_committed_figures_stay(history, tmp_path, capsys):
    history[0].unlink()
    code, out, _ = run(capsys, "HEAD~2", "HEAD~1")
    assert code == 0 and "results/coarse is not in DVC's cache here" in out and "dvc fetch --all-commits" in out
    text = (tmp_path / "comparison/report.md").read_text()
    assert "only the published figures are compared" in text and "0.51" in text


def test_a_revision_without_results_is_refused(tmp_path, monkeypatch, capsys, two):
    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "nothing")
    code, _, err = run(capsys, "HEAD", two / "sweeps/tpe")
    assert code == 2 and "neither git nor dvc.lock knows results/coarse there" in err
