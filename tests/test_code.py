"""Which of an app's code counts for a study's identity, and what of it."""

import sys

import pytest
from hydra_apps import write

import trivet
from trivet.study import code
from trivet.study.code import code_digest, code_hashes, project_of

APP = "import hydra\nfrom models import net\n\n\ndef main(config):\n    return net.build(config)\n"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("import hydra\nfrom models import net\n# a comment\ndef main(config):\n\n    return net.build( config )", True),
        ('"""A docstring."""\n' + APP.replace("    return", '    "Another."\n    return'), True),
        (APP.replace("build(config)", "build((config))"), True),
        (APP.replace("net.build", "net.build2"), False),
        (APP.replace("    return", "    'text'.strip()\n    return"), False),
        (APP + "main.x = 1\n", False),
        (APP.replace("import hydra", "import os"), False),
    ],
)
def test_what_counts_of_a_file(other, same):
    assert (code_digest(APP.encode()) == code_digest(other.encode())) is same


@pytest.mark.parametrize(
    ("one", "other"),
    [("x = 1", "x = True"), ("x = 1", "x = 1.0"), ("f(a, b)", "f((a, b))"), ("x = 'a'", "x = b'a'"), ("if a:\n b\nc", "if a:\n b\n c")],
)
def test_what_looks_alike_is_not_the_same(one, other):
    assert code_digest(one.encode()) != code_digest(other.encode())


def test_numbers_and_quotes_may_be_written_otherwise():
    assert code_digest(b"x = 1e-3\ny = 'a'") == code_digest(b'x = 0.001\ny = "a"')


def test_what_is_no_python_counts_by_its_bytes():
    assert code_digest(b"print 'two'  # comment") != code_digest(b"print 'two'")
    assert code_digest(b"\x00\xff") != code_digest(b"\x00\xfe")


PROJECT = {
    "pyproject.toml": "",
    "src/train.py": "",
    "src/net.py": "",
    "src/unused.py": "",
    "src/pkg/__init__.py": "",
    "src/pkg/a.py": "class Net: pass",
    "src/pkg/b.py": "def build(): pass",
    "src/pkg/deep/__init__.py": "",
    "src/pkg/deep/c.py": "",
    "src/space/d.py": "",  # a package without __init__.py
    "src/space/e.py": "",
    "src/.venv/lib/python3/site-packages/library.py": "import net",
}
DEEP = "pkg/__init__.py pkg/deep/__init__.py pkg/deep/c.py"
ALL = f"pkg/__init__.py pkg/a.py pkg/b.py {DEEP}"

# the script -> the files that count beside it
IMPORTS = [
    ("", ""),
    ("import net", "net.py"),
    ("import net, numpy, missing.module", "net.py"),
    ("import pkg.a", "pkg/__init__.py pkg/a.py"),
    ("import pkg.deep.c as c", DEEP),
    ("from pkg import a, missing", "pkg/__init__.py pkg/a.py"),
    ("from pkg.b import build", "pkg/__init__.py pkg/b.py"),
    ("from pkg import *", "pkg/__init__.py"),
    ("from . import net", "net.py"),
    ("from .pkg.deep import c", DEEP),
    ("from .pkg import a", "pkg/__init__.py pkg/a.py"),
    ("import space.d", "space/d.py"),
    ("from space import e", "space/e.py"),
    ("import library", ""),
    ("def main():\n    try:\n        import net\n    except ImportError:\n        pass", "net.py"),
    ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import net\nelse:\n    import pkg", "pkg/__init__.py"),
    ("import typing as t\nimport net\nif t.TYPE_CHECKING:\n    import pkg", "net.py"),
    ("import typing as t\nif t.TYPE_CHECKING:\n    import net", ""),
    ("import importlib\nimportlib.import_module('pkg.a')", "pkg/__init__.py pkg/a.py"),
    ("from importlib import import_module\nimport_module('.a', 'pkg')", "pkg/__init__.py pkg/a.py"),
    ("from importlib import import_module\nimport_module('..b', package='pkg.deep')", "pkg/__init__.py pkg/b.py pkg/deep/__init__.py"),
    ("from importlib import import_module\nimport_module('.net', package=__package__)", "net.py"),
    ("__import__('net')", "net.py"),
    ("import importlib.util\nimportlib.util.find_spec('net')", "net.py"),
    ("loader.load_module('net')", "net.py"),
    ("load('net'); loader.load_module(); loader.load_module(3)", ""),
    ("import pkgutil\nfor m in pkgutil.walk_packages(['pkg']): pass", ALL + " net.py unused.py space/d.py space/e.py broken.py circle.py"),
    ("import importlib\nimportlib.import_module(f'pkg.{name}')", ALL),
    ("import importlib\nimportlib.import_module('pkg.' + name)", ALL),
    ("import importlib\nimportlib.import_module('pkg.deep.%s' % name)", DEEP),
    ("import importlib\nimportlib.import_module('space.{}'.format(name))", "space/d.py space/e.py"),
    ("import importlib\nimportlib.import_module(name)", ""),
    ("target = 'pkg.a.Net'", "pkg/__init__.py pkg/a.py"),
    ("target = 'pkg.a'", "pkg/__init__.py pkg/a.py"),
    ("key = 'pkg.a.lr'", ""),  # a config key, as it seems: the module has nothing of the name
    ("text = 'net'; other = 'see pkg.a.Net'", ""),
    ('"""Not pkg.a.Net."""', ""),
    ("import broken", "broken.py"),
    ("import circle", "circle.py net.py"),
]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project's folder whose script is about to be run."""
    monkeypatch.setattr(code, "_DECIDES_TOO", "nothing")
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    sys.path.append(str(tmp_path / "src/.venv/lib/python3/site-packages"))
    return write(tmp_path, {**PROJECT, "src/broken.py": "import net (", "src/circle.py": "import net, circle, train"})


@pytest.mark.parametrize(("script", "files"), IMPORTS)
def test_what_a_script_imports_of_its_project(project, script, files):
    (project / "src/train.py").write_text(script)
    found = code_hashes([project / "src/train.py"], [], project)
    assert set(found) == {"src/train.py", *(f"src/{name}" for name in files.split())}


def test_modules_that_import_modules_and_register_themselves(project):
    write(project, {"src/train.py": "import net", "src/net.py": "from pkg.deep import c"})
    write(project, {"src/pkg/deep/__init__.py": "import pkgutil\nfor m in pkgutil.iter_modules(__path__): pass", "src/pkg/deep/f.py": ""})
    files = f"train.py net.py {DEEP} pkg/deep/f.py"
    assert set(code_hashes([project / "src/train.py"], [], project)) == {f"src/{name}" for name in files.split()}


@pytest.mark.parametrize(
    ("name", "files"),
    [("pkg.a.Net", ["pkg/__init__.py", "pkg/a.py"]), ("torch.nn.Linear", []), ("pkg.a.nothing", []), ("a b", []), ("pkg", [])],
)
def test_names_that_a_config_holds(project, name, files):
    assert list(code_hashes([], [name], project)) == [f"src/{file}" for file in files]


def test_only_what_is_imported_changes_the_hashes(project):
    (project / "src/train.py").write_text("import net")
    before = code_hashes([project / "src/train.py"], [], project)
    (project / "src/unused.py").write_text("x = 1")
    (project / "src/net.py").write_text("# said\n")
    assert code_hashes([project / "src/train.py"], [], project) == before
    (project / "src/net.py").write_text("x = 1")
    after = code_hashes([project / "src/train.py"], [], project)
    assert {name for name in after if after[name] != before.get(name)} == {"src/net.py"}


LIBRARY = "venv/site-packages/pkg"


@pytest.mark.parametrize(
    ("files", "script", "cwd", "expected"),
    [
        (["proj/.git/x", "proj/src/app.py"], "proj/src/app.py", "elsewhere", "proj"),
        (["proj/pyproject.toml", "proj/a/app.py"], "proj/a/app.py", "proj/a", "proj"),
        (["proj/a/app.py"], "proj/a/app.py", "proj", "proj"),
        (["proj/a/app.py"], "proj/a/app.py", "elsewhere", "proj/a"),
        (["proj/.git/x", f"proj/{LIBRARY}/sub/app.py"], f"proj/{LIBRARY}/sub/app.py", "proj", f"proj/{LIBRARY}"),
    ],
)
def test_where_a_project_ends(tmp_path, monkeypatch, files, script, cwd, expected):
    write(tmp_path, dict.fromkeys(files, ""))
    real = code._marked  # the folder of all tests may itself lie in a project
    monkeypatch.setattr(code, "_marked", lambda here: found if (found := real(here)) and found.is_relative_to(tmp_path) else None)
    assert project_of(tmp_path / script, tmp_path / cwd) == tmp_path / expected


def test_trivet_counts_where_it_is_the_project_and_nowhere_else(tmp_path):
    home = project_of(None, code.Path(trivet.__file__).parent)
    app = home / "src/train.py"
    counted = set(code_hashes([app], [], project_of(app, home)))
    assert {"src/train.py", "src/trivet/training/run.py", "src/trivet/search/sampling.py"} <= counted
    assert not [name for name in counted if name.startswith(("src/trivet/reporting", "src/trivet/sweep", "tests"))]
    write(tmp_path, {".git/config": "", "app.py": "import trivet\ntrivet.report(1, 1)\nfrom trivet import training"})
    assert set(code_hashes([tmp_path / "app.py"], [], project_of(tmp_path / "app.py", tmp_path))) == {"app.py"}
    # a copy inside the project, installed for editing, is a library all the same
    assert code_hashes([], ["trivet.search.sampling"], home.parent) == {}
