"""However an app is started, its workers are the same app: `python -m`, no guard, standard input, a folder with spaces.

pytest tests/test_sweeper_starts.py
"""

import os
import subprocess
import sys

import pytest
from apps.running import SRC, rows
from hydra_apps import write

APP = """
import hydra, pickle, threading
lock = threading.Lock()
class Net:
    pass
@hydra.main(version_base=None, config_path=None)
def main(config):
    with lock:
        return config.x + (pickle.loads(pickle.dumps(Net())).__class__ is not Net)
"""
GUARD = 'if __name__ == "__main__":\n    main()\n'
SWEEP = ["-m", "hydra/sweeper=trivet", "+x=1,2", "hydra.sweeper.sampler=grid", "hydra.sweeper.n_jobs=1", "hydra.sweep.dir=out"]

BY_VALUE = """
import hydra
@hydra.main(version_base=None, config_path=None)
def main(config):
    return config.x
"""
CALL = "from tool.app import main\n" + GUARD

# name -> files of the app, what stands behind `python`, standard input
STARTS = {
    "a module of a package": ({"tool/__init__.py": "", "tool/app.py": APP + GUARD}, ["-m", "tool.app"], None),
    "no guard": ({"app.py": APP + "main()\n"}, ["app.py"], None),
    "a script without a suffix that calls a package": ({"tool/__init__.py": "", "tool/app.py": APP, "run": CALL}, ["run"], None),
    "the text of a command": ({"tool/__init__.py": "", "tool/app.py": APP}, ["-c", "from tool.app import main; main()"], None),
    "standard input": ({}, ["-"], BY_VALUE + GUARD),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", STARTS)
def test_starts(kind, tmp_path):
    files, command, fed = STARTS[kind]
    here = write(tmp_path / "my apps", {"note.txt": "", **files})
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    ended = subprocess.run(
        [sys.executable, *command, *SWEEP], cwd=here, env=environment, input=fed, capture_output=True, text=True, timeout=200, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [(row["state"], row["value"], row["worker"]) for row in rows(here / "out")] == [
        ("COMPLETE", "1.0", "worker-0"),
        ("COMPLETE", "2.0", "worker-0"),
    ]
