"""Processes of an app for the price of importing once: forks of one process that has imported what a sweep imports.

A fork is the leader of a session of its own, with the app's arguments, folder, environment and output, and ends as the app would.
Workers and jobs of launchers are started by it as ever. `start` is the side of the tests.
"""

import atexit
import gc
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

IMPORTED = ("trivet.sweep.sweep", "trivet.sweep.launched", "optuna", "sqlalchemy", "numpy.random", "rich._emoji_codes")


class Forked:
    """A started fork, as a `subprocess.Popen` is."""

    def __init__(self, server, pid):
        self._server, self.pid, self.returncode = server, pid, None
        self._ends = os.pidfd_open(pid)  # the server keeps the number until it is asked for the exit code

    def poll(self):
        return self._end(0)

    def wait(self, timeout=None):
        if self._end(None if timeout is None else 1000 * timeout) is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return self.returncode

    def _end(self, milliseconds):
        if self.returncode is None:
            waiting = select.poll()
            waiting.register(self._ends, select.POLLIN)
            if waiting.poll(milliseconds):
                self.returncode = self._server.ask(reap=self.pid)
                os.close(self._ends)
        return self.returncode


class _Server:
    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        atexit.register(self._end)

    def _end(self):
        self._process.stdin.close()
        self._process.wait()

    def ask(self, **what):
        """One request, and its answer."""
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


_servers = []


def start(app, arguments, folder, environment, out, err):
    """A fork of this test process's server, which is started for the first of them."""
    if not _servers:
        _servers.append(_Server())
    places = {"app": str(app), "folder": str(folder), "out": str(out), "err": str(err)}
    return Forked(_servers[0], _servers[0].ask(job={"arguments": arguments, "environment": environment, **places}))


def become(app, arguments, folder, environment, out, err):
    """Be the app; never returns."""
    from ending import as_a_program  # this side is a script, which knows no package of tests

    with as_a_program(at_exit=True):
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell started the tests in its background
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        tempfile.tempdir = None
        for stream, path, flags in ((0, os.devnull, os.O_RDONLY), (1, out, os.O_WRONLY), (2, err, os.O_WRONLY)):
            os.dup2(os.open(path, flags), stream)
        sys.argv, sys.path[0] = [app, *arguments], str(Path(app).parent)
        runpy.run_path(app, run_name="__main__")


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever an import prints is no answer
    for name in IMPORTED:
        __import__(name)
    from hydra._internal.hydra import Hydra
    from hydra.core.plugins import Plugins

    Plugins.instance()
    Hydra.get_mode = lambda *_, **__: None  # Hydra composes all twice, first to read `hydra.mode`, which these apps leave to `-m`
    gc.disable()  # its forks are short, and going through what they share would copy all of it
    for line in sys.stdin:
        request = json.loads(line)
        if "reap" in request:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["reap"], 0)[1])
        elif not (answer := os.fork()):
            answers.close()
            become(**request["job"])
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
