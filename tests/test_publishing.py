"""Publishing: whole, in one rename, and never over what no publish put there."""

import errno
import os
import shutil

import pytest

from trivet.data import files
from trivet.errors import UserError
from trivet.study import publishing
from trivet.study.publishing import MARK, check_files, missing_files, publish, strangers, target_of
from trivet.study.tables import TABLES
from trivet.sweep.sweep import _make_folder

EXPECTED = {**{name: f"new {name}" for name in TABLES}, **{f"model/{n}.pt": f"model {n}" for n in (0, 1, 12)}}


def write(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def finished(tmp_path, word="new"):
    source = tmp_path / "sweep"
    for name in TABLES:
        write(source / name, f"{word} {name}")
    for number in (0, 1, 12):
        write(source / f"{number}/model.pt", f"model {number}")
    write(source / "0/other.txt", "not asked for")
    write(source / "workers/model.pt", "no trial")
    return source


def content(folder):
    """Text of every file below, the mark left out; it lists the others."""
    found = {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}
    marked = found.pop(MARK, None)
    assert marked is None or set(marked.splitlines()) == set(found)
    return found


def publish_old(tmp_path, target):
    publish(finished(tmp_path, "old"), target, [])
    finished(tmp_path)
    return content(target)


@pytest.mark.parametrize("before", ["missing", "empty", "published"])
def test_publishing(tmp_path, before):
    target = tmp_path / "results/coarse"
    if before == "empty":
        target.mkdir(parents=True)
    if before == "published":
        publish_old(tmp_path, target)
    publish(finished(tmp_path), target, ["model.pt"])
    assert content(target) == EXPECTED
    publish(tmp_path / "sweep", target, [])
    assert content(target) == {name: f"new {name}" for name in TABLES}
    assert [p.name for p in target.parent.iterdir()] == ["coarse"]


class Stopped(BaseException):
    pass


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), Stopped()])
@pytest.mark.parametrize("function", ["copyfile", "replace", "unlink"])
def test_publishing_that_is_cut_short_leaves_the_old_or_the_new(tmp_path, monkeypatch, function, error):
    target = tmp_path / "results/coarse"
    module = {"copyfile": shutil, "replace": os, "unlink": publishing.Path}[function]
    real, k = getattr(module, function), 0
    while True:
        k += 1
        shutil.rmtree(tmp_path / "results", ignore_errors=True)
        old = publish_old(tmp_path, target)
        calls = []

        def cut(*args, calls=calls, k=k, **more):
            calls.append(args)
            if len(calls) == k:
                raise error
            return real(*args, **more)

        with monkeypatch.context() as patch:
            patch.setattr(module, function, cut)
            try:
                publish(tmp_path / "sweep", target, ["model.pt"])
            except (OSError, Stopped):
                if target.exists():
                    assert content(target) in (old, EXPECTED)
            else:
                assert content(target) == EXPECTED
                break
        publish(tmp_path / "sweep", target, ["model.pt"])  # again
        assert content(target) == EXPECTED and [p.name for p in target.parent.iterdir()] == ["coarse"]
    assert k > {"copyfile": 7, "replace": 2, "unlink": 4}[function]


def test_publishing_that_was_killed_between_the_renames_loses_nothing(tmp_path, monkeypatch):
    target = tmp_path / "results/coarse"
    old = publish_old(tmp_path, target)
    target.rename(target.with_name(".coarse.old-x"))

    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr(shutil, "copyfile", full)
        publish(tmp_path / "sweep", target, [])
    assert content(target) == old
    publish(tmp_path / "sweep", target, [])
    assert content(target)["trials.csv"] == "new trials.csv"


def test_folders_that_only_look_like_leftovers_are_kept(tmp_path):
    target = tmp_path / "results/coarse"
    for name in (".coarse.old", ".coarse.old-1", ".coarse.new", ".coarse.new-1"):
        write(target.with_name(name) / "mine.txt", "mine")
    publish(finished(tmp_path), target, [])
    publish(finished(tmp_path), target, [])
    assert {p.parent.name for p in tmp_path.rglob("mine.txt")} == {".coarse.old", ".coarse.old-1", ".coarse.new", ".coarse.new-1"}


def test_what_comes_into_the_folder_while_it_is_replaced_is_kept(tmp_path, monkeypatch):
    target = tmp_path / "results/coarse"
    publish_old(tmp_path, target)
    real = os.replace

    def late(a, b):
        if a == target:
            write(target / "notes.md", "late")
        real(a, b)

    monkeypatch.setattr(os, "replace", late)
    publish(tmp_path / "sweep", target, [])
    assert [p.read_text() for p in target.parent.rglob("notes.md")] == ["late"]


# Where ---------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path):
    """A repository with sources and results, a neighbour, and an app in a folder of its own."""
    root = tmp_path / "project"
    for name in (
        ".git/HEAD",
        "src/train.py",
        "results/notes.md",
        "results/fine/mine.txt",
        "sweep/study.yaml",
        "sub/.git/HEAD",
        "app/run.py",
    ):
        write(root / name, name)
    write(tmp_path / "neighbour" / "thesis.tex", "thesis")
    (tmp_path / "hollow").mkdir()
    (root / "empty/.git").mkdir(parents=True)
    write(root / "file", "a file")
    (root / "link").symlink_to(tmp_path / "neighbour")
    (root / "home").symlink_to(root)
    write(root / "copied/trials.csv", "somebody's")
    write(root / "running/study.yaml", "fingerprint: abc\n")
    write(root / "running/multirun.yaml", "")
    for name in "abcde":
        write(root / f"many/{name}.txt", name)
    return root


# publish -> words of the one line that refuses it
REFUSED = [
    ("", "is the project's folder"),
    (".", "is the project's folder"),
    ("results/..", "is the project's folder"),
    ("home", "is the project's folder"),
    ("..", "holds the project's folder"),
    ("/", "holds the project's folder"),
    ("sweep", "is the sweep's own folder"),
    ("results", "holds fine/mine.txt, notes.md, which no publish of a sweep put there"),
    ("results/fine", "holds mine.txt"),
    ("src", "holds train.py"),
    ("copied", "holds trials.csv"),
    ("running", "holds multirun.yaml, study.yaml"),
    ("many", "holds a.txt, b.txt, c.txt and 2 more, which"),
    ("sub", "is a git repository"),
    (".git", "lies in .git, which is version control's own"),
    (".git/hooks", "lies in .git"),
    ("empty/.git", "is version control's own"),
    ("empty/.GIT/tables", "is version control's own"),
    (".dvc/cache", "lies in .dvc"),
    ("app/.hg", "lies in .hg"),
    ("../neighbour", "lies outside"),
    ("../new", "lies outside"),
    ("../hollow", "lies outside"),
    ("link", "holds thesis.tex"),
    ("file", "cannot be written"),
    ("file/x", "cannot be written"),
    ("~/results", "'~' is not expanded"),
]


@pytest.mark.parametrize(("given", "words"), REFUSED)
def test_publishing_over_what_is_not_ours_is_refused(project, given, words):
    with pytest.raises(UserError, match=r"^hydra\.sweeper\.publish=") as error:
        target_of(given, project, project / "sweep")
    assert words in str(error.value) and "\n" not in str(error.value)


def test_an_absolute_neighbour_must_be_ours_or_empty(project, tmp_path):
    with pytest.raises(UserError, match=r"holds thesis\.tex"):
        target_of(str(tmp_path / "neighbour"), project)
    assert target_of(str(tmp_path / "hollow"), project) == tmp_path / "hollow"
    assert target_of(str(tmp_path / "new/tables"), project) == tmp_path / "new/tables"


def test_a_repository_that_lies_within_dvcs_own_folder_publishes(tmp_path):
    run = tmp_path / ".dvc/tmp/exps/tmp1"  # as of `dvc exp run --temp`
    write(run / ".git/HEAD")
    assert target_of("results/coarse", run) == run / "results/coarse"


def test_an_app_in_a_folder_of_its_repository(project):
    assert target_of("../results/coarse", project / "app") == project / "results/coarse"
    with pytest.raises(UserError, match="holds the project's folder"):
        target_of("..", project / "app")


def test_a_published_folder_with_something_of_the_users_in_it_is_refused(project, tmp_path):
    target = project / "results/coarse"
    publish_old(tmp_path, target)
    assert target_of("results/coarse", project) == target
    write(target / "model/notes.md", "mine")
    (target / "plots").mkdir()
    (target / "data").symlink_to(project)
    with pytest.raises(UserError, match=r"holds data, model/notes.md, plots/, which"):
        target_of("results/coarse", project)
    with pytest.raises(UserError, match="since the sweep began"):
        publish(tmp_path / "sweep", target, [])


def test_a_folder_published_before_there_was_a_mark(tmp_path):
    source = finished(tmp_path)
    write(source / "study.yaml", "name: x\nfingerprint: abc\n")
    target = tmp_path / "coarse"
    publish(source, target, ["model.pt"])
    (target / MARK).unlink()
    assert strangers(target) == []
    publish(source, target, [])
    assert sorted(content(target)) == sorted(TABLES)
    (target / MARK).unlink()
    write(target / "weights.bin")
    assert strangers(target) == ["weights.bin"]


# Which files ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["/etc/passwd"], "a file's path within a trial's folder"),
        (["../secret"], "a file's path within"),
        (["*.pt"], "a file's path within"),
        ([""], "a file's path within"),
        (["a/model.pt", "b/model.pt"], "under one name"),
        (["trials.csv.gz"], "in place of trials.csv"),
    ],
)
def test_names_that_are_no_file_of_a_trial(names, words):
    with pytest.raises(UserError, match=words):
        check_files(names)


def test_files_that_trials_have_not_left_are_told(tmp_path):
    assert missing_files(finished(tmp_path), ["model.pt", "other.txt"], [0, 1, 2]) == {"model.pt": [2], "other.txt": [1, 2]}


# Elsewhere -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [["test.npz"], ["data.yaml", "search.npz"], ["search.npz"]])
def test_preparing_data_keeps_files_of_the_same_name(tmp_path, there):
    for name in there:
        write(tmp_path / name, "mine")
    with pytest.raises(UserError, match="was not written by prepare"):
        files.write(tmp_path, {}, {}, {})
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == dict.fromkeys(there, "mine")


@pytest.mark.parametrize("given", [".git", ".git/hooks/x", "empty/.git", "app/.hg/a"])
def test_a_sweeps_folder_is_not_made_in_version_controls_own(project, given):
    before = sorted(project.rglob("*"))
    with pytest.raises(UserError, match=r"^hydra\.sweep\.dir=.* lies in \.(git|hg), "):
        _make_folder(project / given)
    assert sorted(project.rglob("*")) == before
