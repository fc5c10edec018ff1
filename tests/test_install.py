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


def installed(folder, *options):
    """The Python of a fresh environment in `folder` with this project, installed from a copy of it."""
    copy = folder / "project"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    python = folder / "env" / "bin" / "python"
    where, environment = sources()
    subprocess.run([*uv(), "venv", "--quiet", "--python", sys.executable, str(folder / "env")], check=True, env=environment)
    launcher = "hydra-joblib-launcher>=1.2"  # another project's share of the namespace hydra_plugins
    command = [*uv(), "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *where, *options, str(copy), launcher]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0 and any(words in done.stderr for words in NO_NETWORK):
        pytest.skip(f"no package index: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return python


def ask(python, code, cwd):
    """What a line of code prints as JSON in that environment, away from this repository."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([python, "-c", f"import json, sys; {code}"], capture_output=True, text=True, cwd=cwd, env=environment, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return installed(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def editable(tmp_path_factory):
    return installed(tmp_path_factory.mktemp("editable"), "--editable")


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
    for words, code, said in [
        (["status", "basic"], 0, "5 of 5 trials"),
        (["top", "basic"], 0, "Best 5 of 5 trials"),
        (["report", "basic"], 2, "error: report: needs "),  # the report's libraries are an extra
    ]:
        told = subprocess.run([python, "-m", "trivet", *words], capture_output=True, text=True, cwd=elsewhere, env=clean)
        assert told.returncode == code, told.stderr
        assert said in told.stdout + told.stderr and "Traceback" not in told.stderr
        assert code == 0 or told.stderr.strip().endswith("pip install 'trivet[report]'")


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
