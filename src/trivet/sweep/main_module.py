"""How an app reaches a worker: its script is imported there, as Python's own `spawn` does, and objects of the script go by name.

The script runs once in each worker under the name `__mp_main__`, so `if __name__ == "__main__":` guards as usual, classes of the script can
be pickled and saved, and whatever it does at module level is done. A script without a guard is imported as far as its call of the app.
Only what has no file (a notebook, `python -c`) is sent by value.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import os
import pickle
import sys
import types
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cloudpickle
from hydra.core.singleton import Singleton
from hydra.types import TaskFunction

from trivet import secrets
from trivet.errors import UserError

NAME = "__mp_main__"
MAX_WRAPPERS = 20
"""Decorators between a name and the task function that are looked through."""


class _Pickler(cloudpickle.Pickler):
    """Pickles by name what a worker finds under the same name, also in `__main__`, and everything else by value."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, (type, types.FunctionType)) and obj.__module__ == "__main__" and main_file() is not None:
            found: Any = sys.modules["__main__"]
            for name in obj.__qualname__.split("."):
                found = getattr(found, name, None)
            if found is obj:
                return NotImplemented  # pickle's own way
        return super().reducer_override(obj)


def dumps(thing: Any) -> bytes:
    """Pickle for a worker of the same app."""
    buffer = io.BytesIO()
    _Pickler(buffer).dump(thing)
    return buffer.getvalue()


def main_file() -> str | None:
    """The file of `__main__`; None where it has none that could be imported again."""
    file = getattr(sys.modules["__main__"], "__file__", None)
    return os.path.abspath(file) if file is not None and os.path.isfile(file) else None


@dataclass(frozen=True)
class Main:
    """What stands for a process's main module in another process. Both None: it has no file."""

    path: str | None = None
    name: str | None = None  # where it was started by `python -m`
    argv: tuple[str, ...] = ()
    sys_path: tuple[str, ...] = ()

    @classmethod
    def of_this_process(cls, task_function: TaskFunction) -> Main:
        """The main module here. Raises `UserError` where there is no Python to start a worker with."""
        if getattr(sys, "frozen", False):
            raise UserError("a frozen app has no Python to start workers with; hydra.sweeper.n_jobs=0 runs the trials in this process")
        spec = getattr(sys.modules["__main__"], "__spec__", None)
        path, name = main_file(), getattr(spec, "name", None)
        if name == "__main__":  # a profiler or a debugger that runs the script
            name = None
        if name is not None and name.endswith(".__main__") and task_function.__module__ != "__main__":
            path = name = None  # a tool that calls the app (pytest): nothing of the app is in it
        return cls(path, name if path else None, tuple(sys.argv), tuple(sys.path))


@dataclass(frozen=True)
class Reference:
    """A task function by name: `depth` decorators below what stands in its module under `name`."""

    module: str
    name: str
    depth: int

    @classmethod
    def to(cls, function: TaskFunction) -> Reference | None:
        """None where a worker would not find it: a function inside another, a partial, what has no file."""
        module = sys.modules.get(getattr(function, "__module__", None) or "")
        if module is None or (module.__name__ == "__main__" and main_file() is None) or getattr(module, "__file__", None) is None:
            return None
        own = getattr(function, "__name__", "")
        for name in sorted(vars(module), key=lambda name: name != own):
            for depth, found in enumerate(_unwrapped(vars(module)[name])):
                if found is function:
                    return cls(function.__module__, name, depth)
        return None

    def find(self) -> TaskFunction:
        """The function, in the worker."""
        chain = list(_unwrapped(getattr(importlib.import_module(self.module), self.name)))
        return chain[self.depth]


def _unwrapped(thing: Any) -> Iterator[Any]:
    for _ in range(MAX_WRAPPERS):
        yield thing
        if not callable(thing) or isinstance(thing, type) or "__wrapped__" not in getattr(thing, "__dict__", {}):
            return
        thing = thing.__wrapped__


# There ---------------------------------------------------------------------------------------------------------------


class _Called(BaseException):
    """The app without a guard has called itself: everything above that is imported."""


def become(main: Main) -> None:
    """Import the main module into this process, in the place of its own. Raises `UserError` in one line where that fails."""
    sys.path[:], sys.argv[:] = main.sys_path, main.argv
    if main.path is None:
        return
    module = types.ModuleType(NAME)
    sys.modules["__main__"] = sys.modules[NAME] = module
    hydra_main: Any = importlib.import_module("hydra.main")
    before = hydra_main._run_hydra
    hydra_main._run_hydra = _stop
    try:
        exec(_code(main, module), module.__dict__)
    except _Called:
        pass
    except (Exception, SystemExit) as error:
        import traceback

        traceback.print_exc()
        what = secrets.line(f"{type(error).__name__}: {error}")
        raise UserError(f"{main.name or main.path}: a worker cannot import it ({what}); see its log") from None
    finally:
        hydra_main._run_hydra = before


def _stop(*args: Any, **kwargs: Any) -> None:
    raise _Called


def _code(main: Main, module: types.ModuleType) -> types.CodeType:
    """The module's code; sets what a module knows of itself."""
    assert main.path is not None
    if main.name is not None:
        spec = importlib.util.find_spec(main.name)
        if spec is None or spec.loader is None:
            raise ImportError(f"no module named {main.name}")
        module.__spec__, module.__loader__, module.__file__ = spec, spec.loader, spec.origin
        module.__package__ = spec.parent
        loader: Any = spec.loader  # those of files and of archives have the method, and no class in common
        code = loader.get_code(main.name)
        assert isinstance(code, types.CodeType)
        return code
    module.__file__, module.__package__ = main.path, None
    with io.open_code(main.path) as file:
        return compile(file.read(), main.path, "exec", dont_inherit=True)


# Both ----------------------------------------------------------------------------------------------------------------


def absent(config: Any) -> Any:
    """Stands in a plan for the task function, which travels beside it and takes this place on arrival."""
    raise AssertionError("a worker begins with the app itself in its plan")


def pack(content: Any, task_function: TaskFunction) -> bytes:
    """`content` and the app, for a worker. Raises `UserError` naming what can neither be found by name nor be pickled."""
    main, reference = Main.of_this_process(task_function), Reference.to(task_function)
    header = {"main": asdict(main), "task": None if reference is None else asdict(reference)}
    state = Singleton.get_state()
    resolvers = {name: _or_none(resolver) for name, resolver in state["omegaconf_resolvers"].items()}
    try:
        body = dumps((state["instances"], resolvers, task_function if reference is None else None, content))
    except Exception as error:  # pickle's errors are of any kind
        what = secrets.line(f"{type(error).__name__}: {error}".splitlines()[0])
        name = getattr(task_function, "__qualname__", type(task_function).__name__)
        raise UserError(
            f"{name}: cannot be sent to a worker ({what}); put what it names into a module, or set hydra.sweeper.n_jobs=0"
        ) from error
    return json.dumps(header).encode() + b"\n" + body


def _or_none(resolver: Any) -> bytes | None:
    """A resolver that cannot be sent is one that the script registers again when it is imported, or one that is missed when it is used."""
    try:
        return dumps(resolver)
    except Exception:
        return None


def unpack(data: bytes) -> tuple[Any, TaskFunction]:
    """The content and the app's task function, after this process has become the app's."""
    from hydra.core.utils import setup_globals
    from omegaconf.basecontainer import BaseContainer

    line, _, body = data.partition(b"\n")
    header = json.loads(line)
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in header["main"].items()}
    main = Main(**fields)
    become(main)
    setup_globals()
    try:
        instances, resolvers, function, content = pickle.loads(body)
        if header["task"] is not None:
            function = Reference(**header["task"]).find()
    except (AttributeError, ImportError, IndexError) as error:
        where = main.name or (Path(main.path).name if main.path else "the app")
        raise UserError(
            f"{where}: a worker does not find what it needs ({secrets.line(str(error))}); define it outside `if __name__ == '__main__':`"
        ) from error
    known = dict(BaseContainer._resolvers)
    Singleton.set_state({"instances": instances, "omegaconf_resolvers": {}})
    sent = {name: pickle.loads(resolver) for name, resolver in resolvers.items() if resolver is not None and name not in known}
    BaseContainer._resolvers = sent | known
    return content, function
