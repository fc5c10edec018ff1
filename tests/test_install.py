"""The sweeper in another project's environment: `pip install .` brings it with little else, installed or editable.

    pytest tests/test_install.py

Needs a package index (or a warm cache of uv).
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from apps.running import HERE, Running, rows
from install import sources, uv

ROOT = Path(__file__).parent.parent
NO_NETWORK = ("dns error", "Could not connect", "error sending request", "Network connectivity is disabled", "Connection refused")


def copied(folder):
    """A copy of this project, as somebody would install it."""
    copy = folder / "project"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    return copy


def install(python, *what):
    where, environment = sources()
    command = [*uv(), "pip", "install", "--quiet", "--python", str(python), *where, *map(str, what)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0 and any(words in done.stderr for words in NO_NETWORK):
        pytest.skip(f"no package index: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


def ask(python, code, cwd):
    """What a line of code prints as JSON in that environment, away from this repository."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([python, "-c", f"import json, sys; {code}"], capture_output=True, text=True, cwd=cwd, env=environment, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The Python of a fresh environment with this project, installed from a copy of it."""
    folder = tmp_path_factory.mktemp("plain")
    python = folder / "env" / "bin" / "python"
    subprocess.run([*uv(), "venv", "--quiet", "--python", sys.executable, str(folder / "env")], check=True, env=sources()[1])
    install(python, copied(folder), "hydra-joblib-launcher>=1.2")  # another project's share of the namespace hydra_plugins
    return python


@pytest.fixture(scope="module")
def editable(plain, tmp_path_factory):
    """The same with an editable install; what the project needs is there already, which takes longest."""
    folder = tmp_path_factory.mktemp("editable")
    shutil.copytree(plain.parents[1], folder / "env", symlinks=True)
    python = folder / "env" / "bin" / "python"
    install(python, "--no-deps", "--editable", copied(folder))
    assert ask(python, "import trivet; print(json.dumps(trivet.__file__))", folder) == str(folder / "project/src/trivet/__init__.py")
    return python


@pytest.mark.slow
@pytest.mark.parametrize("environment", ["plain", "editable"])
def test_the_sweeper_stands_alone(environment, request, tmp_path):
    python = request.getfixturevalue(environment)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("structured.py", "noting.py"):
        shutil.copy(HERE / name, elsewhere)

    names = "sorted({d.metadata['Name'].lower() for d in __import__('importlib.metadata').metadata.distributions()})"
    packages = ask(python, f"print(json.dumps({names}))", elsewhere)
    assert {"trivet", "hydra-core", "optuna"} <= set(packages)
    assert not {"torch", "dvc", "pandas", "scikit-learn", "matplotlib", "plotly", "hydra-optuna-sweeper"} & set(packages)

    modules = set(ask(python, "import trivet; trivet.report(0.5, 1); print(json.dumps(sorted(sys.modules)))", elsewhere))
    assert not {"optuna", "torch", "pandas", "numpy", "hydra", "omegaconf", "sqlalchemy", "rich"} & modules

    space = ["width=int(interval(1,5))", "kind=ROUND,SQUARE"]
    arguments = ["-m", *space, "hydra.sweeper.n_trials=5", "hydra.sweeper.n_jobs=2"]
    for launcher, sweeper in (("basic", "+trivet=search"), ("joblib", "hydra/sweeper=trivet")):  # the first: from the package's own configs
        more = [sweeper, f"hydra/launcher={launcher}", f"hydra.sweep.dir={launcher}"]
        with Running(elsewhere / "structured.py", *arguments, *more, cwd=elsewhere, python=python, env={"PYTHONPATH": ""}) as running:
            ended = running.wait()
        assert ended.code == 0, ended.text
        assert [row["state"] for row in rows(elsewhere / launcher)] == ["COMPLETE"] * 5

    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    for words, said in [
        (["status", "basic"], "5 of 5 trials"),
        (["top", "basic"], "Best 5 of 5 trials"),
        (["report", "basic"], "the tables in short"),  # the report's libraries are an extra
    ]:
        told = subprocess.run([python, "-m", "trivet", *words], capture_output=True, text=True, cwd=elsewhere, env=clean)
        assert told.returncode == 0, told.stderr
        assert said in told.stdout + told.stderr and "Traceback" not in told.stderr
        assert words[0] != "report" or told.stderr.strip().endswith("pip install 'trivet[report]'")


@pytest.mark.slow
def test_an_app_of_the_stock_sweeper_moves_over_without_it_installed(plain, tmp_path):
    python = plain
    here = tmp_path / "app"
    shutil.copytree(HERE / "stock", here / "stock")
    shutil.copy(HERE / "stock.py", here)
    config = here / "stock" / "config.yaml"
    config.write_text(config.read_text().replace("hydra/sweeper: optuna", "hydra/sweeper: trivet"))
    for sampler in ("tpe", "nsgaii"):
        arguments = ["-m", f"hydra/sweeper/sampler={sampler}", "hydra.sweeper.n_trials=3", f"hydra.sweep.dir={sampler}"]
        with Running(here / "stock.py", *arguments, cwd=here, python=python, env={"PYTHONPATH": ""}) as running:
            ended = running.wait()
        assert ended.code == 0, ended.text
        assert len(rows(here / sampler)) == 3
    for sampler, library in {"cmaes": "cmaes", "qmc": "scipy"}.items():
        with Running(
            here / "stock.py", "-m", f"hydra.sweeper.sampler={sampler}", cwd=here, python=python, env={"PYTHONPATH": ""}
        ) as running:
            ended = running.wait()
        assert ended.code == 2
        assert f"needs the library {library}; install it with: pip install {library}" in ended.err.splitlines()[-1]
