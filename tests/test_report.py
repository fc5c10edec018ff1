"""The report on whole runs of the pipeline and on odd tables: files, figures, words, and that nothing is lost or let through."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import fake_results
import numpy as np
import pandas as pd
import pytest
import yaml

from trivet.errors import UserError
from trivet.reporting import figures
from trivet.reporting.build import build_pipeline, build_sweep
from trivet.reporting.commands import command
from trivet.reporting.sections import curves
from trivet.reporting.tables import read_trials

SRC = Path(__file__).parent.parent / "src"
ODD = "x|y`<b>&\"'*_$[1]é漢字🙂\\"


@pytest.fixture(scope="module")
def run(reported) -> Path:
    """A run of the pipeline and its report."""
    return reported


@pytest.fixture
def no_figures(monkeypatch):
    """Figures as empty files: drawing them takes most of the time of a report, and what they show is tested on a few."""
    monkeypatch.setattr(figures, "draw", lambda chart: b"<?xml version='1.0'?><svg/>")


def published(folder: Path, n: int = 20, curves: bool = True, study: bool = True, trials=None, **more) -> Path:
    """A small published sweep; trials(frame) may change its table."""
    frame, table = fake_results.search(n, fake_results.SPACE, seed=4, first=fake_results.DEFAULTS)
    frame = frame if trials is None else trials(frame)
    table = table[table["number"].isin(frame["number"])]
    settings = fake_results.study("odd", fake_results.SPACE, frame) | more
    return fake_results.publish(folder, frame, table if curves else None, settings if study else None)


def test_the_pipeline_gets_all_files(run):
    names = {str(path.relative_to(run / "reports")) for path in (run / "reports").rglob("*") if path.is_file()}
    assert {"summary.md", "metrics.json", "report.html", "plots/progress.csv", "plots/curves.csv", "plots/seeds.csv"} <= names
    text = (run / "reports" / "summary.md").read_text()
    figures = re.findall(r"!\[.*\]\((figures/[\w-]+\.svg)\)", text)
    assert len(figures) >= 8 and set(figures) <= names and len(figures) == sum(name.startswith("figures/") for name in names)


def test_metrics_are_the_tables_figures(run):
    got = json.loads((run / "reports" / "metrics.json").read_text())
    coarse = pd.read_csv(run / "results" / "coarse" / "trials.csv")
    seeds = pd.read_csv(run / "results" / "seeds" / "trials.csv")
    test = yaml.safe_load((run / "results" / "test" / "test.yaml").read_text())
    winner = seeds[seeds["finalist"] == test["winner"]["finalist"]]["value"]
    complete = coarse[coarse["state"] == "COMPLETE"]
    assert {key: list(part) for key, part in got.items()} == {
        "coarse": ["best", "n_trials", "epochs"], "fine": ["best", "n_trials", "epochs"], "seeds": ["mean", "std", "n"],
        "test": ["mean", "std", "ensemble", "baseline_mean", "baseline_std"], "cost": ["epochs", "epochs_unpruned", "seconds"],
    }  # fmt: skip
    assert got["coarse"] == {"best": complete["value"].max(), "n_trials": 60, "epochs": coarse["step"].sum()}
    assert got["seeds"] == {"mean": pytest.approx(winner.mean()), "std": pytest.approx(winner.std()), "n": 3}
    assert got["test"]["mean"] == pytest.approx(np.mean(list(test["winner"]["seeds"].values())))
    assert got["test"]["ensemble"] == test["ensemble_winner"]
    assert got["cost"]["epochs_unpruned"] > got["cost"]["epochs"]


def test_the_same_tables_give_the_same_bytes(run, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(figures, "draw", lambda chart: (drawn.append(chart), b"")[1])
    build_pipeline(run, tmp_path)
    for path in (run / "reports").rglob("*"):
        if path.is_file() and path.suffix != ".svg":
            assert (tmp_path / path.relative_to(run / "reports")).read_bytes() == path.read_bytes(), path.name
    monkeypatch.undo()
    for chart in (drawn[0], drawn[-1]):
        assert (run / "reports" / "figures" / f"{chart.id}.svg").read_bytes() == figures.draw(chart)


def test_all_sections_are_there_in_order(run):
    titles = re.findall(r"^## (.*)$", (run / "reports" / "summary.md").read_text(), re.MULTILINE)
    assert titles == [
        "Headline", "Learning rate first", "Phase 1: coarse search", "Phase 2: fine search", "Phase 3: seeds", "What mattered",
        "How it went", "Red flags", "What next", "All trials", "Checklist of good practice", "Provenance",
    ]  # fmt: skip


def test_the_first_figure_comes_within_a_screen(run):
    text = (run / "reports" / "summary.md").read_text()
    assert len(text[: text.index("![")].split()) < 320


def test_the_headline_tells_the_story_and_names_the_command(run):
    text = (run / "reports" / "summary.md").read_text()
    head = text[: text.index("## Learning")]
    facts = [line for line in head.splitlines() if line.startswith("- **")]
    assert [line[4 : line.index(":")] for line in facts] == ["Result", "Against the default", "Sure?", "What to do"]
    assert "On test data" not in head and "on test data that no search ever saw" in facts[0] and "seed noise" in facts[2]
    assert "Price:" in facts[3] and "an ensemble" in head and "a person: 96.00 %" in head
    line = re.search(r"```sh\n(.*)\n```", head).group(1)
    assert line.startswith("python src/train.py model=cnn optimizer=") and "hparams" not in line and "optimizer.lr=" in line
    assert line.endswith(" seed=102 save_model=true")
    configuration = next(line for line in head.splitlines() if line.startswith("The winning configuration"))
    assert all(f"`{word.split('=')[0]}=" in configuration for word in line.split()[3:-2])  # no parameter of the winner is left out


def test_pieces_that_are_missing_are_said_to_be(tmp_path, no_figures):
    root = fake_results.results(tmp_path / "run", n_coarse=12, n_fine=8)
    for name in ("fine", "seeds", "test", "check", "narrow", "finalists"):
        for path in (root / "results" / name).iterdir():
            path.unlink()
        (root / "results" / name).rmdir()
    (root / "dvc.yaml").unlink()
    build_pipeline(root, tmp_path / "reports")
    text = (tmp_path / "reports" / "summary.md").read_text()
    for words in ("The fine stage has not been run", "The seeds stage has not been run", "has published no learning-rate range test"):
        assert words in text
    assert list(json.loads((tmp_path / "reports" / "metrics.json").read_text())) == ["coarse", "cost"]


def test_figures_of_an_earlier_report_do_not_stay(tmp_path, no_figures):
    (tmp_path / "out" / "figures").mkdir(parents=True)
    (tmp_path / "out" / "figures" / "old.svg").write_text("<svg/>")
    build_sweep(published(tmp_path / "sweep", n=3), tmp_path / "out")
    assert not (tmp_path / "out" / "figures" / "old.svg").exists()


def odd_names(frame: pd.DataFrame) -> pd.DataFrame:
    renamed = frame.rename(columns={"model.dropout": f"model.{ODD}", "schedule": "step"})
    return renamed.assign(optimizer=frame["optimizer"].map(lambda name: f"{name} {ODD}"), reason=ODD)


def failed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(state="FAIL", value=np.nan, best_step=np.nan, reason="boom <script>alert(1)</script>")


def two_objectives(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.rename(columns={"value": "value_0"})
    frame.insert(frame.columns.get_loc("value_0") + 1, "value_1", np.linspace(1, 9, len(frame)))
    return frame


TABLES = {
    "one trial": {"n": 1},
    "two trials": {"n": 2},
    "all failed": {"trials": failed},
    "all pruned": {"trials": lambda frame: frame.assign(state="PRUNED")},
    "no pruning": {"trials": lambda frame: frame[frame["state"] == "COMPLETE"]},
    "two objectives": {"trials": two_objectives, "directions": ["maximize", "minimize"], "metric": ["val/accuracy", "seconds"]},
    "one parameter": {"trials": lambda f: f.drop(columns=[c for c in fake_results.DEFAULTS if c not in ("optimizer.lr", "value")])},
    "no parameter": {"trials": lambda f: f.drop(columns=list(fake_results.DEFAULTS))},
    "constant values": {"trials": lambda f: f.assign(value=0.5, state="COMPLETE")},
    "constant parameters": {"trials": lambda f: f.assign(**{"optimizer.lr": 0.1, "batch_size": 32, "model.dropout": 0.0})},
    "values that are no numbers": {"trials": lambda f: f.assign(value=["nan", "inf", "-inf", "0.5"] * 5, state="COMPLETE")},
    "odd names": {"trials": odd_names, "metric": f"val/{ODD}", "name": ODD, "command": f"python {ODD}.py -m a={ODD}"},
    "minimize": {"trials": lambda f: f.assign(value=10 ** (-4 * f["value"])), "directions": ["minimize"], "metric": "val/loss"},
    "no curves": {"curves": False},
    "no study": {"study": False},
    "a bare table": {"study": False, "curves": False},
    "nulls and booleans": {"trials": lambda f: f.assign(optimizer=["null", "true"] * 10, schedule="null")},
    "empty": {"trials": lambda f: f.iloc[:0]},
}


DRAWN = ("odd names", "minimize", "one trial", "values that are no numbers")  # what is special about the others is not in the figures


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", TABLES)
def test_odd_tables_give_a_proper_report(name, tmp_path, monkeypatch):
    if name not in DRAWN:
        monkeypatch.setattr(figures, "draw", lambda chart: b"<?xml version='1.0'?><svg/>")
    folder = published(tmp_path / "sweep", **TABLES[name])
    page = build_sweep(folder, tmp_path / "out")
    text, content = (tmp_path / "out" / "report.md").read_text(), page.read_text()
    for figure in re.findall(r"\]\((figures/[^)]*)\)", text):
        assert (tmp_path / "out" / figure).read_bytes().startswith(b"<?xml")
    assert text.count("## ") >= 7 and "nan" not in re.sub(r"`[^`]*`|not a number|nothing", "", text.lower()).split()
    assert content.count("<script") == content.count("</script>") and "<script>alert" not in content
    assert "<b>&" not in content.replace("&lt;b&gt;", "")


def test_odd_names_stay_whole_in_tables(tmp_path, no_figures):
    page = build_sweep(published(tmp_path / "sweep", **TABLES["odd names"]), tmp_path / "out").read_text()
    assert "x|y`&lt;b&gt;&amp;&#34;&#39;*_$[1]é漢字🙂\\" in page
    rows = [line for line in (tmp_path / "out" / "report.md").read_text().splitlines() if line.startswith("|")]
    tables, current = [], []
    for line in (tmp_path / "out" / "report.md").read_text().splitlines():
        if line.startswith("|"):
            current.append(len(re.findall(r"(?<!\\)\|", line)))
        elif current:
            tables.append(current)
            current = []
    assert rows and all(len(set(table)) == 1 for table in tables)  # as many cells in every row of a table


@pytest.mark.slow
def test_the_command_of_a_single_sweep(tmp_path):
    folder = published(tmp_path / "sweep", n=3)
    done = subprocess.run([sys.executable, "-m", "trivet", "report", str(folder)], capture_output=True, text=True, cwd=SRC)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, str(folder / "report" / "report.html"), "")
    gone = subprocess.run([sys.executable, "-m", "trivet", "report", str(tmp_path)], capture_output=True, text=True, cwd=SRC)
    assert gone.returncode == 2 and gone.stderr.startswith("error: ") and gone.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such table"),
        ("", "is no table of trials"),
        ("a,b\n1,2\n", "is no table of trials"),
        ("number,state,step\n0,COMPLETE,1\n", "has no column value"),
    ],
)
def test_a_folder_without_a_table_is_one_line(content, words, tmp_path):
    folder = tmp_path / "sweep"
    folder.mkdir()
    if content is not None:
        (folder / "trials.csv").write_text(content)
    with pytest.raises(UserError, match=words):
        build_sweep(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_project_without_results_is_one_line(tmp_path):
    with pytest.raises(UserError, match="dvc repro"):
        build_pipeline(tmp_path, tmp_path / "reports")
    assert not (tmp_path / "reports").exists()


def test_a_broken_yaml_is_one_line(tmp_path):
    folder = published(tmp_path / "sweep", n=3)
    (folder / "study.yaml").write_text("a: [")
    with pytest.raises(UserError, match=r"study\.yaml: not readable"):
        build_sweep(folder, tmp_path / "out")


def test_parameters_are_what_stands_between_best_step_and_the_tail(tmp_path):
    path = tmp_path / "trials.csv"
    path.write_text(
        "number,state,reason,value,step,best_step,seconds,step,lr,seconds,worker,started,overrun\n0,COMPLETE,,0.5,3,2,9,x,0.1,1.5,0,,0\n"
    )
    frame, params = read_trials(path)
    assert params == ["seconds (parameter)", "step (parameter)", "lr"]
    assert frame.iloc[0][["step", "seconds (parameter)", "lr", "seconds"]].tolist() == [3, 9, 0.1, 1.5]


def test_the_command_trains_one_configuration():
    def line(words: str, *overrides: str) -> str | None:
        trials = pd.DataFrame({"number": [0], "state": ["COMPLETE"], "value": [1.0], "step": [1.0], "lr": [0.1]})
        sweep = read_sweep_from(trials, {"command": words})
        return command(sweep, list(overrides))

    assert line("python train.py -m hparams=coarse model=cnn", "lr=0.1") == "python train.py model=cnn lr=0.1"
    assert line("python train.py -m 'lr=tag(log, interval(0.1, 1))' bs=1,2 seed=3", "lr=0.1") == "python train.py seed=3 lr=0.1"
    assert (
        line("python app/my.py --multirun hydra/sweeper=trivet hydra.sweeper.n_trials=5 +a=b", "lr=0.1") == "python app/my.py +a=b lr=0.1"
    )
    assert line("", "lr=0.1") is None


def read_sweep_from(trials: pd.DataFrame, study: dict):
    from trivet.diagnosis.sweep import Sweep

    return Sweep("x", trials, pd.DataFrame({"number": [], "step": []}), ["lr"], ["value"], ["maximize"], [], study)


def test_rungs_are_where_trials_were_stopped():
    frame = pd.DataFrame({"state": ["PRUNED"] * 40 + ["COMPLETE"] * 5, "step": [1] * 25 + [3] * 13 + [7] * 2 + [30] * 5})
    frame = frame.assign(number=range(45), value=0.5, reason="", best_step=1, lr=0.1, seconds=1.0, worker="", started="")
    sweep = read_sweep_from(frame, {})
    assert curves.rungs(sweep) == [1, 3, 7] and curves.rungs(sweep, most=2) == [1, 3]
    assert curves.rungs(read_sweep_from(frame.iloc[:39], {})) == [1, 3]  # a single stop at 7 is none
