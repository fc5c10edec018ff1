"""`trivet report` and `trivet watch` on a sweep that has no tables of its own, as one that runs or was killed has none."""

from __future__ import annotations

import pytest
import yaml
from apps.running import run

from trivet import cli
from trivet.reporting import figures, live
from trivet.reporting.tables import read_sweep


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """(folder, table): a sweep as a kill leaves it, and what its table would have been."""
    base = tmp_path_factory.mktemp("killed")
    ended = run("curves.py", "-m", "hydra.sweeper.pruner=median", "hydra.sweeper.n_trials=8", cwd=base)
    assert ended.code == 0, ended.text
    folder = base / "sweep"
    table = (folder / "trials.csv").read_text()
    for name in ("trials.csv", "curves.csv", "best.yaml", "optimization_results.yaml"):
        (folder / name).unlink()
    study = yaml.safe_load((folder / "study.yaml").read_text())
    (folder / "study.yaml").write_text(yaml.safe_dump(study | {"stopped_by": None, "finished": None}))
    return folder, table


def test_the_report_of_a_killed_sweep(killed, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(figures, "draw", lambda chart: b"")
    folder, _ = killed
    before = sorted(path.name for path in folder.iterdir())
    assert cli.main(["report", str(folder), "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "report.html")
    text = (tmp_path / "out" / "report.md").read_text()
    assert text.startswith("# Report of the sweep sweep") and "8 trials of the search" in text
    assert sorted(path.name for path in folder.iterdir()) == before  # looked at, not touched


def test_its_tables_are_those_of_the_sweep(killed, tmp_path):
    folder, table = killed
    written = cli._tables(folder, tmp_path)
    fixed = [line.split(",")[:9] for line in table.splitlines()]
    assert [line.split(",")[:9] for line in (written / "trials.csv").read_text().splitlines()] == fixed
    assert len(read_sweep(written).curves) > 8


def test_a_finished_sweep_is_read_as_it_stands(killed, tmp_path):
    (tmp_path / "trials.csv").write_text(killed[1])
    assert cli._tables(tmp_path, tmp_path / "new") == tmp_path and not (tmp_path / "new").exists()


def test_watch_serves_the_folder(killed, monkeypatch):
    seen = {}
    monkeypatch.setattr(
        live, "watch", lambda tables, port: seen.update(folder=tables(), port=port, there=(tables() / "trials.csv").is_file())
    )
    assert cli.main(["watch", str(killed[0]), "--port", "0"]) == 0
    assert seen["there"] and seen["port"] == 0 and not seen["folder"].exists()  # what was written for it is gone afterwards


def test_watch_of_nothing_is_one_line(tmp_path, capsys):
    assert cli.main(["watch", str(tmp_path)]) == 2
    why = "is not a sweep's folder (it holds no study.yaml); name the folder that a sweep printed"
    assert capsys.readouterr().err == f"error: {tmp_path}: {why}\n"
