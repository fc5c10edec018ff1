"""`make clean`: what goes, what stays because it is the only copy, and that nothing else is touched."""

import importlib.util
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "clean.py"
spec = importlib.util.spec_from_file_location("clean_script", SCRIPT)
cleaning = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cleaning)

IGNORED = "/sweeps/\n/outputs/\n/multirun/\n/build/\n/data/\n/results/*\n__pycache__/\n.venv/\n"


@pytest.fixture
def project(tmp_path):
    """A repository that ignores what ours does, with one tracked file."""
    root = tmp_path / "project"
    root.mkdir()
    (root / ".gitignore").write_text(IGNORED)
    (root / "tracked.txt").write_text("mine")
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    return root


def write(root, path, text=""):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def study(stopped_by, fingerprint="f1"):
    return f"name: search\nfingerprint: {fingerprint}\nstopped_by: {stopped_by}\n"


def files(root):
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and ".git/" not in str(path.relative_to(root))}


REMOVED = [
    ("sweeps/search-1/study.yaml", study("null")),
    ("sweeps/search-1/study.yaml", study("interrupted")),
    ("sweeps/search-1/0/checkpoint.pt", ""),
    ("outputs/2026-01-01/10-00-00/train.log", ""),
    ("multirun/2026-01-01/10-00-00/0/train.log", ""),
    ("build/x", ""),
    ("src/a/__pycache__/b.pyc", ""),
]
KEPT = [
    ("sweeps/search-1/study.yaml", study("n_trials"), "a finished search that is published nowhere"),
    ("sweeps/search-1/study.yaml", study("plateau"), "a finished search that is published nowhere"),
    ("sweeps/a/b/search-1/study.yaml", study("'target'"), "a finished search that is published nowhere"),
    ("sweeps/odd name [1]*/study.yaml", study("n_trials"), "a finished search that is published nowhere"),
    ("multirun/d/t/optimization_results.yaml", "best_value: 1", "a finished search"),
    ("outputs/d/t/model.pt", "", "a saved model"),
    ("multirun/d/t/3/model.pt", "", "a saved model"),
]
ALWAYS = ["data/raw/x", "results/coarse/trials.csv", "tracked.txt", "new.txt", ".venv/lib/__pycache__/x.pyc", "elsewhere/sweeps/x"]


@pytest.mark.parametrize(("path", "text"), REMOVED, ids=[f"{path} {text[-12:]!r}" for path, text in REMOVED])
def test_what_can_be_made_again_goes(project, path, text):
    for name in ALWAYS:
        write(project, name, "mine")
    before = files(project)
    write(project, path, text)
    assert cleaning.clean(project) == []
    assert files(project) == before


@pytest.mark.parametrize(("path", "text", "why"), KEPT, ids=[path for path, *_ in KEPT])
def test_the_only_copy_of_a_result_stays_and_is_named(project, path, text, why):
    folder = Path(path).parent
    write(project, path, text)
    write(project, f"{folder}/0/curves.csv", "")
    before = files(project)
    for other, content in REMOVED[1:]:
        write(project, other.replace("search-1", "search-2").replace("10-00-00", "11"), content)
    assert cleaning.clean(project) == [f"kept {folder}: {why}"]
    assert files(project) == before
    assert cleaning.clean(project, everything=True) == []
    assert files(project) == {".gitignore", "tracked.txt"}
    for name in ALWAYS:
        write(project, name, "mine")
    cleaning.clean(project, everything=True)
    assert set(ALWAYS) <= files(project)


def test_a_search_whose_tables_are_published_goes(project):
    write(project, "sweeps/coarse-1/study.yaml", study("n_trials", "f7"))
    write(project, "sweeps/coarse-2/study.yaml", study("n_trials", "f8"))
    write(project, "results/coarse/study.yaml", study("n_trials", "f7"))
    assert cleaning.clean(project) == ["kept sweeps/coarse-2: a finished search that is published nowhere"]
    assert not (project / "sweeps/coarse-1").exists() and (project / "results/coarse/study.yaml").exists()


def test_links_and_tracked_files_are_safe(project, tmp_path):
    write(tmp_path, "disk/search-1/study.yaml", study("null"))
    (project / "sweeps").symlink_to(tmp_path / "disk")
    write(project, "outputs/tracked/x", "mine")
    subprocess.run(["git", "add", "-f", "outputs/tracked/x"], cwd=project, check=True)
    cleaning.clean(project)
    assert (project / "sweeps/search-1/study.yaml").exists()
    assert (project / "outputs/tracked/x").read_text() == "mine"


def test_without_a_repository_it_works_too(tmp_path):
    write(tmp_path, "outputs/d/train.log")
    assert cleaning.clean(tmp_path) == [] and not (tmp_path / "outputs").exists()


def test_the_script_says_what_stayed_and_refuses_other_words(project, capsys, monkeypatch):
    monkeypatch.setattr(cleaning, "ROOT", project)
    assert cleaning.main([]) == 0 and capsys.readouterr().out == ""
    write(project, "sweeps/search-1/study.yaml", study("n_trials"))
    assert cleaning.main([]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "`make clean ALL=1` removes these, too"
    assert cleaning.main(["--everything"]) == 2
    assert (project / "sweeps/search-1").exists()
    assert cleaning.main(["--all"]) == 0 and not (project / "sweeps").exists()


def test_the_makefile_calls_it():
    text = (SCRIPT.parent.parent / "Makefile").read_text()
    recipe = text.partition("\nclean:")[2].splitlines()[1]
    assert recipe == "\t@$(or $(PYTHON),python3) scripts/clean.py $(if $(ALL),--all)"
