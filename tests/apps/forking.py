"""Run an app again and again, each time in a fork of this process, which has imported what an app imports; see running.run_all."""

import json
import os
import runpy
import sys
import traceback
from pathlib import Path

import hydra._internal.utils  # noqa: F401 - so that each fork finds it imported
import optuna  # noqa: F401

import trivet.sweep  # noqa: F401


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


def main():
    plan = json.loads(Path(sys.argv[1]).read_text())
    sys.path.insert(0, str(Path(plan["app"]).parent))
    codes = []
    for job in plan["jobs"]:
        pid = os.fork()
        if pid == 0:
            child(plan["app"], job)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    print(json.dumps(codes))


if __name__ == "__main__":
    main()
