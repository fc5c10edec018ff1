"""The report where libraries of the report extra are missing: Markdown, and one line that says what is left out."""

import subprocess
import sys

import fake_results
import pytest

from trivet import cli, reporting
from trivet.reporting import plain

HIDDEN = "import sys; sys.modules.update(dict.fromkeys({libraries})); from trivet import cli; sys.exit(cli.main())"
NO_TABLES = "note: all but the tables in short is left out, for want of pandas, scipy, sklearn, matplotlib, plotly, jinja2: pip install"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return fake_results.results(tmp_path_factory.mktemp("run"), n_coarse=12, n_fine=6)


@pytest.fixture
def no_drawing(monkeypatch):
    """No matplotlib, no plotly, no jinja2, and nothing imported yet that would import them."""
    for name in ("build", "figures", "html"):
        monkeypatch.delitem(sys.modules, f"trivet.reporting.{name}", raising=False)
        monkeypatch.delattr(reporting, name, raising=False)
    for name in plain.DRAWING:
        monkeypatch.setitem(sys.modules, name, None)


def trivet(libraries, *words):
    """`trivet <words>` in a process that has none of the libraries."""
    code = HIDDEN.format(libraries=libraries)
    return subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True)


def test_without_figures_the_report_is_markdown(run, no_drawing, tmp_path, capsys):
    assert cli.main(["report", str(run / "results"), "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert out == f"report: {tmp_path / 'summary.md'}\n"
    assert err == "note: there are no figures and no HTML page, for want of matplotlib, plotly, jinja2: pip install 'trivet[report]'\n"
    text = (tmp_path / "summary.md").read_text()
    assert "## Phase 3: seeds" in text and "figures/" not in text and not (tmp_path / "report.html").exists()
    assert (tmp_path / "metrics.json").exists()


def test_without_any_of_them_it_is_the_tables_in_short(run, tmp_path):
    done = trivet([*plain.TABLES, *plain.DRAWING], "report", run / "results", "--out", tmp_path)
    assert (done.returncode, done.stdout) == (0, f"report: {tmp_path / 'summary.md'}\n")
    assert done.stderr.startswith(NO_TABLES) and done.stderr.count("\n") == 1
    text = (tmp_path / "summary.md").read_text()
    assert all(f"## {name}" in text for name in ("Coarse", "Fine", "Seeds")) and "12 trials: " in text and "| finalist | mean |" in text


def test_the_best_of_a_sweep_in_short(tmp_path):
    rows = ["0,COMPLETE,,0.5,3,3,0.1,1", "1,PRUNED,,0.9,1,1,0.2,1", "2,COMPLETE,,0.7,3,2,0.3,1", "3,FAIL,diverged,,,,0.4,1"]
    (tmp_path / "trials.csv").write_text("number,state,reason,value,step,best_step,a|b,seconds\n" + "\n".join(rows) + "\n")
    (tmp_path / "study.yaml").write_text("{metric: val/acc, directions: [maximize]}\n")
    page = plain.build({"Trials": tmp_path}, tmp_path / "out", "report.md", "Report")
    lines = page.read_text().splitlines()
    assert "4 trials: 2 complete, 1 pruned, 1 fail. Objective: val/acc (maximize)." in lines
    assert [line.split(" | ")[0] for line in lines if line.startswith("| ")][1:] == ["| ---", "| 2", "| 0", "| 1"]
    assert r"| best\_step | a\|b |" in page.read_text()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("trials.csv", "a,b\n1,2\n", "is no table of trials"),
        ("trials.csv", "number,state,value,step\n0,\udcff\n", "not readable as CSV"),
        ("study.yaml", "- a", "must be a mapping"),
        ("study.yaml", "a: [", "not readable as YAML"),
    ],
)
def test_what_is_no_sweep(tmp_path, name, content, message):
    (tmp_path / "trials.csv").write_text("number,state,value,step\n0,COMPLETE,1,1\n")
    (tmp_path / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(plain.UserError, match=message):
        plain.build({"Trials": tmp_path}, tmp_path / "out", "report.md", "Report")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("words", "told"), [(["run"], True), (["run", "report"], True), (["run", "fine"], False)])
def test_a_run_says_beforehand_what_it_will_want(monkeypatch, capsys, words, told):
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setattr("trivet.phases.runner.run", lambda *_: 0)
    assert cli.main(words) == 0
    line = "note: finalists and report need pandas: pip install 'trivet[report]' before they are reached\n"
    assert capsys.readouterr().err == (line if told else "")
