"""Run an app again and again, each time in a fork of this process, which has imported what an app imports; see running.run_all."""

import gc
import json
import os
import runpy
import sys
import traceback
from pathlib import Path

import numpy.random  # noqa: F401 - so that each fork finds it imported
import optuna  # noqa: F401
import rich._emoji_codes  # noqa: F401
import sqlalchemy  # noqa: F401
from hydra.core.plugins import Plugins

import trivet.sweep.sweep  # noqa: F401


def child(app, job):
    """Become the app: its folder, its arguments, its output."""
    os.chdir(job["folder"])
    for stream, path in ((1, job["out"]), (2, job["err"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    sys.argv = [app, *job["arguments"]]
    code = 1
    try:
        runpy.run_path(app, run_name="__main__")
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def ended(running, codes):
    """Wait for one of the forks to end."""
    pid, status = os.wait()
    codes[running.pop(pid)] = os.waitstatus_to_exitcode(status)


def main():
    plan = json.loads(Path(sys.argv[1]).read_text())
    sys.path.insert(0, str(Path(plan["app"]).parent))
    Plugins.instance()
    gc.disable()  # its forks are short, and going through what they share would copy all of it
    running, codes = {}, [None] * len(plan["jobs"])
    for i, job in enumerate(plan["jobs"]):
        if len(running) >= plan["at_once"]:
            ended(running, codes)
        pid = os.fork()
        if pid == 0:
            child(plan["app"], job)
        running[pid] = i
    while running:
        ended(running, codes)
    # A file of its own: whatever an import or an app prints on this process's output is not in it.
    Path(plan["codes"]).write_text(json.dumps(codes))


if __name__ == "__main__":
    main()
