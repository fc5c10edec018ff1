"""An app reaches a worker as its script's own import: whatever it holds, however it was started.

Here both sides are this process: the script runs as `__main__` would, is packed, and is imported again under the name of a worker.
"""

import importlib
import pickle
import sys
import textwrap
import types

import pytest
from hydra.core.singleton import Singleton
from omegaconf import OmegaConf
from omegaconf.basecontainer import BaseContainer

from trivet.errors import UserError
from trivet.sweep import main_module

HEAD = """
import functools, logging, threading
import hydra
from omegaconf import OmegaConf
"""
GUARD = """
if __name__ == "__main__":
    main()
"""
PLAIN = """
@hydra.main(version_base=None, config_path=None)
def main(config):
    return config + 1
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """run(text) -> the task function that Hydra is handed when a script of this text runs as `__main__`."""
    hydra_main = importlib.import_module("hydra.main")
    heard = []
    monkeypatch.setattr(hydra_main, "_run_hydra", lambda **given: heard.append(given["task_function"]))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for name in ("__main__", main_module.NAME):
        monkeypatch.setitem(sys.modules, name, sys.modules["__main__"])

    def run(text, file="my app.py", name=None):
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        text = textwrap.dedent(text)
        path.write_text(HEAD + text + (GUARD if "def main" in text and "main()" not in text.replace("def main()", "") else ""))
        module = types.ModuleType("__main__")
        module.__file__ = str(path)
        if name is not None:
            module.__spec__ = importlib.util.spec_from_file_location(name, path)
        sys.modules["__main__"] = module
        monkeypatch.setattr(sys, "argv", [str(path), "-m"])
        exec(compile(path.read_text(), str(path), "exec"), module.__dict__)
        return heard[-1]

    instances, resolvers = dict(Singleton._instances), dict(BaseContainer._resolvers)
    yield run
    Singleton._instances, BaseContainer._resolvers = instances, resolvers
    for name in [name for name, module in sys.modules.items() if str(tmp_path) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]


def there(task_function, content=None):
    """The content and the task function, as a worker has them."""
    data = main_module.pack(content, task_function)
    sys.modules["__main__"] = types.ModuleType("__main__")
    return main_module.unpack(data)


# what stands in the script, and makes its task function known or hidden: 1 -> 2 everywhere
SCRIPTS = {
    "plain": PLAIN,
    "no guard": PLAIN + "\nmain()\nassert __name__ == '__main__', 'what comes after the app is not for workers'\n",
    "a decorator inside": """
        def twice(function):
            @functools.wraps(function)
            def wrapper(config):
                return function(config)
            return wrapper

        @hydra.main(version_base=None, config_path=None)
        @twice
        def main(config):
            return config + 1
        """,
    "a decorator outside": """
        def outer(function):
            @functools.wraps(function)
            def wrapper():
                return function()
            return wrapper

        @outer
        @hydra.main(version_base=None, config_path=None)
        def main(config):
            return config + 1
        """,
    "another name": """
        def train(config):
            return config + 1

        main = hydra.main(version_base=None, config_path=None)(train)
        if __name__ == "__main__":
            main()
        """,
    "a decorator that hides": """
        def hide(function):
            return lambda config: function(config)

        @hydra.main(version_base=None, config_path=None)
        @hide
        def main(config):
            return config + 1
        """,
    "a lambda": "\nhydra.main(version_base=None, config_path=None)(lambda config: config + 1)()\n",
    "a function inside": """
        def start():
            step = 1

            @hydra.main(version_base=None, config_path=None)
            def main(config):
                return config + step

            main()

        if __name__ == "__main__":
            start()
        """,
    "what cannot be pickled": """
        lock, stop = threading.Lock(), threading.Event()
        log, file = logging.getLogger("x"), open(__file__)
        thread = threading.Thread(target=lambda: None)
        generator = (x for x in [1])

        @hydra.main(version_base=None, config_path=None)
        def main(config):
            with lock:
                return config + next(iter([1])) if file.readable() and thread and generator else log
        """,
}


@pytest.mark.parametrize("kind", SCRIPTS)
def test_scripts(kind, run):
    task_function = run(SCRIPTS[kind])
    assert task_function(1) == 2
    _, found = there(task_function)
    assert found(1) == 2
    assert found is not task_function
    assert sys.argv[-1] == "-m"


def test_classes_of_the_script_are_its_own_and_can_be_saved(run):
    task_function = run(
        """
        import enum, pickle

        class Kind(enum.Enum):
            A = 1

        class Net:
            pass

        @hydra.main(version_base=None, config_path=None)
        def main(kind):
            assert isinstance(kind, Kind)
            return pickle.loads(pickle.dumps(Net())).__class__ is Net
        """
    )
    kind = sys.modules["__main__"].Kind.A
    content, found = there(task_function, {"kind": kind, "config": main_module.dumps(OmegaConf.create({"kind": kind}))})
    assert found(content["kind"])
    assert found(pickle.loads(content["config"]).kind)
    assert sys.modules["__main__"] is sys.modules["__mp_main__"]
    assert found.__globals__ is vars(sys.modules["__main__"]), "what the app sets at module level is seen by all of it"


def test_what_the_script_does_at_module_level_is_done_and_tracebacks_name_its_lines(run):
    task_function = run(
        """
        OmegaConf.register_new_resolver("above", lambda: threading.Lock().locked())

        @hydra.main(version_base=None, config_path=None)
        def main(config):
            raise ValueError(config)

        if __name__ == "__main__":
            OmegaConf.register_new_resolver("within", lambda: 5)
            main()
        """
    )
    data = main_module.pack(None, task_function)
    for name in ("above", "within"):
        del BaseContainer._resolvers[name]
    _, found = main_module.unpack(data)
    assert OmegaConf.create({"a": "${above:}", "b": "${within:}"}) == {"a": False, "b": 5}
    with pytest.raises(ValueError) as raised:
        found(3)
    last = raised.traceback[-1]
    assert last.path.name == "my app.py"
    assert "raise ValueError(config)" in str(last.statement)


def test_python_dash_m(run, tmp_path):
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").touch()
    (tmp_path / "pkg" / "beside.py").write_text("STEP = 1\n")
    text = """
        from pkg import beside

        @hydra.main(version_base=None, config_path=None)
        def main(config):
            from .beside import STEP
            return config + STEP
        """
    task_function = run(text, file="pkg/app.py", name="pkg.app")
    _, found = there(task_function)
    assert found(1) == 2
    assert sys.modules["__main__"].__spec__.name == "pkg.app", "so that processes of the app's own are started in the same way"


def test_a_task_function_of_another_module(run, tmp_path):
    (tmp_path / "elsewhere.py").write_text(HEAD + PLAIN)
    task_function = run("from elsewhere import main\n" + GUARD, file="console script")
    _, found = there(task_function)
    assert found is task_function


def test_what_has_no_file_goes_by_value(run):
    task_function = run(PLAIN)
    del sys.modules["__main__"].__file__
    _, found = there(task_function)
    assert found(1) == 2


REFUSED = {
    "neither found nor pickled": (
        """
        import threading

        class Task:
            __module__ = "nowhere"
            def __init__(self):
                self.lock = threading.Lock()
            def __call__(self, config):
                return 1

        hydra.main(version_base=None, config_path=None)(Task())()
        """,
        ["Task", "cannot be sent to a worker", "lock", "hydra.sweeper.n_jobs=0"],
    ),
    "defined under the guard": (
        """
        if __name__ == "__main__":
            @hydra.main(version_base=None, config_path=None)
            def main(config):
                return 1
            main()
        """,
        ["my app.py", "a worker does not find", "main", "outside `if __name__"],
    ),
    "cannot be imported twice": (
        PLAIN + "\nif __name__ != '__main__':\n    raise OSError('the port\\nis taken')\n",
        ["my app.py", "a worker cannot import it", "OSError: the port is taken"],
    ),
    "leaves": (PLAIN + "\nif __name__ != '__main__':\n    raise SystemExit(3)\n", ["a worker cannot import it", "SystemExit: 3"]),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_in_one_line(kind, run):
    text, words = REFUSED[kind]
    task_function = run(text)
    with pytest.raises(UserError) as refusal:
        there(task_function)
    message = str(refusal.value)
    assert len(message.splitlines()) == 1
    for word in words:
        assert word in message


def test_a_frozen_app_is_told_to_run_in_its_own_process(run, monkeypatch):
    task_function = run(PLAIN)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(UserError, match=r"hydra\.sweeper\.n_jobs=0"):
        main_module.pack(None, task_function)
