"""Which test reaches which line of a package, and whether one of those that reach a changed line fails: for scripts/mutate.py."""

import contextlib
import functools
import hashlib
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import coverage
import pytest
from changes import Change

PARTS = ("src", "tests", "conf", "scripts", "pipelines", "benchmarks", "examples", "dvc.yaml", "params.yaml", "README.md", "Makefile")
NOTICED = ("noticed", "out of time")
ARGUMENTS = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow", "--hypothesis-seed=0"]
FAILED = (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)  # the second: a test file that cannot be imported any more
MEMORY = 12 * 2**30  # bytes; a change may make a loop endless


class Record:
    """A pytest plugin: how long each test takes and which lines it runs, those of the fixtures that it shares with others included."""

    def __init__(self, folder: Path, patterns: list[str]):
        self.coverage = coverage.Coverage(data_file=None, include=[str(folder / pattern) for pattern in patterns])
        self.seconds: dict[str, float] = {}
        self.uses: dict[str, list[str]] = {}  # what else ran for a test: fixtures that it shares, results that are kept
        self.tests: list[str] = []
        self.failed: set[str] = set()
        self.inside = [""]
        self.tests_folder = str(folder / "tests")
        self.cache = functools.cache
        mock.patch.object(functools, "cache", self._kept).start()  # before any file of tests is imported

    def _enter(self, context: str) -> None:
        self.inside.append(context)
        self.coverage.switch_context(context)

    def _leave(self) -> None:
        self.inside.pop()
        self.coverage.switch_context(self.inside[-1])

    def _kept(self, function: Callable) -> Callable:
        """functools.cache, which for a function of the tests notes who uses what it keeps: it runs for the first of them alone."""
        kept = self.cache(function)
        if not getattr(getattr(function, "__code__", None), "co_filename", "").startswith(self.tests_folder):
            return kept

        def noting(*arguments, **named):
            context = f"kept {function.__qualname__}{arguments!r}{named!r}"
            self.uses.setdefault(self.inside[-1], []).append(context)
            self._enter(context)
            try:
                return kept(*arguments, **named)
            finally:
                self._leave()

        return functools.update_wrapper(noting, function)

    def _used(self, context: str) -> set[str]:
        found, more = set(), [context]
        while more:
            if (one := more.pop()) not in found:
                found.add(one)
                more += self.uses.get(one, [])
        return found

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self.tests.append(item.nodeid)
        self.uses[item.nodeid] = [f"fixture {name}" for name in item.fixturenames]
        self._enter(item.nodeid)
        try:
            return (yield)
        finally:
            self._leave()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef):
        if fixturedef.scope == "function":
            return (yield)
        self._enter(f"fixture {fixturedef.argname}")
        try:
            return (yield)
        finally:
            self._leave()

    def pytest_runtest_logreport(self, report):
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0) + report.duration
        if report.failed:
            self.failed.add(report.nodeid)

    def reach(self, folder: Path) -> dict[str, dict]:
        """test -> {seconds, failed, lines: {file: lines}}."""
        by_context: dict[str, dict[str, list[int]]] = {}
        data = self.coverage.get_data()
        for file in data.measured_files():
            name = str(Path(file).relative_to(folder))
            for line, contexts in data.contexts_by_lineno(file).items():
                for context in contexts:
                    by_context.setdefault(context, {}).setdefault(name, []).append(line)
        found = {}
        for test in self.tests:
            lines: dict[str, set[int]] = {}
            for context in self._used(test):
                for name, reached in by_context.get(context, {}).items():
                    lines.setdefault(name, set()).update(reached)
            found[test] = {
                "seconds": self.seconds.get(test, 0.0),
                "failed": test in self.failed,
                "lines": {name: sorted(reached) for name, reached in lines.items()},
            }
        return found


class Chosen:
    """A pytest plugin: runs these tests alone, in this order."""

    def __init__(self, tests: list[str]):
        self.place = {test: place for place, test in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        items[:] = sorted((item for item in items if item.nodeid in self.place), key=lambda item: self.place[item.nodeid])


class Tests:
    """The tests of a package, in a copy of the repository."""

    def __init__(self, root: Path, code: list[str], files: list[str]):
        self.folder = root / "build" / "mutate"
        self._copy(root)
        self.files, self.clock = files, int(time.time())
        self.reach = self._read(code)
        for test in [test for test, one in self.reach.items() if one["failed"]]:
            print(f"left out, as it fails without any change: {test}")
            del self.reach[test]

    def _copy(self, root: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for part in PARTS:
            old = self.folder / part
            old.unlink() if old.is_file() else shutil.rmtree(old, ignore_errors=True)
            if not (root / part).exists():
                continue
            if (root / part).is_dir():
                shutil.copytree(root / part, old, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(root / part, old)
        lines = (root / "pyproject.toml").read_text()
        (self.folder / "pyproject.toml").write_text(lines[lines.index("[tool.pytest.ini_options]") :])

    def _read(self, code: list[str]) -> dict[str, dict]:
        """What each test reaches: from what was kept, or by running the files of tests for which nothing is."""
        common = hashlib.sha256(repr(code).encode())
        for path in sorted(self.folder.glob("src/**/*.py")) + sorted(self.folder.glob("tests/**/*.py")):
            if not path.name.startswith("test_"):
                common.update(str(path).encode() + path.read_bytes())
        kept = {}
        for file in self.files:
            digest = hashlib.sha256(common.digest() + file.encode() + (self.folder / file).read_bytes()).hexdigest()[:20]
            kept[file] = self.folder / "reach" / f"{digest}.json"
        unknown = [file for file, path in kept.items() if not path.exists()]
        if unknown:
            (self.folder / "reach").mkdir(exist_ok=True)
            self._fork(lambda: self._record(code, unknown, kept), 3600)
        if missing := [file for file, path in kept.items() if not path.exists()]:
            raise SystemExit(f"mutate: these tests do not run: {' '.join(missing)}")
        read = [json.loads(path.read_text()) for path in kept.values()]
        for name in sorted({name for one in read for name in one["modules"]}):
            with contextlib.suppress(Exception):  # a module that is there only under a condition
                importlib.import_module(name)
        return {test: reached for one in read for test, reached in one["reach"].items()}

    def _record(self, code: list[str], files: list[str], kept: dict[str, Path]) -> int:
        record = Record(self.folder, code)
        record.coverage.start()
        ended = pytest.main([*ARGUMENTS, *files], plugins=[record])
        record.coverage.stop()
        reach = record.reach(self.folder)
        modules = [name for name, module in sys.modules.items() if "site-packages" in (getattr(module, "__file__", None) or "")]
        modules = [name for name in modules if name.count(".") < 2 and not name.startswith(("hydra_plugins", "trivet"))]
        for file in files:
            of_file = {test: one for test, one in reach.items() if test.partition("::")[0] == file}
            kept[file].write_text(json.dumps({"modules": modules, "reach": of_file}))
        return int(ended)

    def _fork(self, work: Callable[[], int], limit: float) -> int | None:
        """The exit code of `work`, done in a fork inside the copy; None where it took longer than `limit` seconds."""
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            os.setsid()
            quiet = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(quiet, stream)
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
            os.chdir(self.folder)
            os.environ["PYTHONPATH"] = os.pathsep.join(str(self.folder / part) for part in ("src", ".", "scripts"))
            sys.path[:] = [path for path in sys.path if "site-packages" in path or "lib/python" in path]
            code = 99
            try:
                code = work()
            finally:
                os._exit(code)
        end, ended = time.monotonic() + limit, (0, 0)
        try:
            while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0 and time.monotonic() < end:
                time.sleep(0.02)
        finally:  # and what it left behind; also where this process is told to end
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        if ended[0] == 0:
            os.waitpid(pid, 0)
            return None
        return os.waitstatus_to_exitcode(ended[1])

    def _run(self, tests: list[str]) -> int | None:
        files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
        took = sum(self.reach[test]["seconds"] for test in tests)
        basetemp = f"--basetemp={self.folder / 'tmp'}"
        return self._fork(lambda: int(pytest.main([*ARGUMENTS, "-x", basetemp, *files], plugins=[Chosen(tests)])), 30 + 5 * took)

    def _quick_first(self, tests: list[str]) -> list[str]:
        """File by file, as tests of a file share what takes long to set up; the quickest file first, its quickest test first."""
        file = {test: test.partition("::")[0] for test in tests}
        whole: dict[str, float] = {}
        for test in tests:
            whole[file[test]] = whole.get(file[test], 0) + self.reach[test]["seconds"]
        return sorted(tests, key=lambda test: (whole[file[test]], file[test], self.reach[test]["seconds"]))

    def verdict(self, change: Change) -> str:
        """noticed, out of time, survived, or no test."""
        path = self.folder / change.path
        reached = [test for test, one in self.reach.items() if self._meets(one["lines"].get(str(change.path), ()), change.lines)]
        if not reached:
            return "no test"
        original = path.read_text()
        try:
            self._write(path, change.after())
            ended = self._run(self._quick_first(reached))
        finally:
            self._write(path, original)
        if ended is None:
            return "out of time"
        if ended in FAILED or ended < 0:  # a signal: the change ended the process
            return "noticed"
        if ended != 0:
            raise SystemExit(f"mutate: the tests ended with {ended} for {change.name}")
        return "survived"

    @staticmethod
    def _meets(reached: list[int], lines: range | None) -> bool:
        return lines is None or any(line in lines for line in reached)

    def _write(self, path: Path, text: str) -> None:
        """A time of its own for each text, as Python takes a compiled file for current by size and second."""
        path.write_text(text)
        self.clock += 2
        os.utime(path, (self.clock, self.clock))
