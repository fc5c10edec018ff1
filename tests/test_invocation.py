"""The command that starts an app again: as a script, a module, a console script, with the config that was chosen."""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from trivet.study.invocation import Invocation


@pytest.fixture
def started(monkeypatch, tmp_path):
    """`started(argv, module)`: as if this process had been started so."""

    def start(argv, module=None):
        main = ModuleType("__main__")
        main.__spec__ = None if module is None else ModuleSpec(module, None)
        monkeypatch.setitem(sys.modules, "__main__", main)
        monkeypatch.setattr(sys, "argv", argv)
        return Invocation.current()

    return start


@pytest.mark.parametrize(
    ("argv", "module", "expected"),
    [
        (["app.py", "-m", "lr=interval(0,1)"], None, "python app.py lr=0.5"),
        (["src/my app.py", "--multirun"], None, "python 'src/my app.py' lr=0.5"),
        (["app.py", "--config-name", "exp", "-m"], None, "python app.py --config-name exp lr=0.5"),
        (["app.py", "-cn", "exp", "-cp=a b", "-m"], None, "python app.py --config-path 'a b' --config-name exp lr=0.5"),
        (["app.py", "-m", "--config-dir=more", "x=1"], None, "python app.py --config-dir more lr=0.5"),
        (["app.py"], None, "python app.py hydra.mode=RUN lr=0.5"),
        (["/x/pkg/app.py", "-m"], "pkg.app", "python -m pkg.app lr=0.5"),
        (["/x/pkg/__main__.py", "-m"], "pkg.__main__", "python -m pkg lr=0.5"),
        (["-f", "kernel.json", "--nothing-of-hydra"], None, "python -f lr=0.5"),
    ],
)
def test_the_command_of_one_training(started, argv, module, expected):
    assert started(argv, module).single(["lr=0.5"]) == expected


@pytest.mark.parametrize(("on_path", "expected"), [(True, "tool lr=0.5"), (False, "{folder}/tool lr=0.5")])
def test_a_console_script(started, tmp_path, monkeypatch, on_path, expected):
    script = tmp_path / "tool"
    script.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path) if on_path else "/nowhere")
    assert started([str(script), "-m"]).single(["lr=0.5"]) == expected.format(folder=tmp_path)


def test_overrides_are_quoted(started):
    command = started(["app.py", "-m"]).single(["model=a b", "x='it$'", "l=[1,2]"])
    assert command == """python app.py 'model=a b' 'x='"'"'it$'"'"'' 'l=[1,2]'"""


def test_the_command_can_be_typed(started):
    assert started(["app.py", "-m", "lr=tag(log, interval(1, 2))"]).command == "python app.py -m 'lr=tag(log, interval(1, 2))'"
    assert started(["/x/app.py", "-m", "a=1"], "pkg.app").command == "python -m pkg.app -m a=1"


def test_what_is_searched_is_shown_whatever_its_name(started):
    assert started(["app.py", "-m"]).single(["attention.key=[a,b]"]) == "python app.py 'attention.key=[a,b]'"
