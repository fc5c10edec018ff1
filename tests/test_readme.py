"""Every command of the README is here, with what shows that it works.

A command that is not in COMMANDS fails test_every_command_is_in_the_table, which says what to add. The cheap ones are tried here: Hydra
composes what train.py is given, make's targets and the subcommands of programs are looked up. Those that take long name the end-to-end
test that runs them.
"""

import ast
import re
import runpy
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir

from trivet import cli, space

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PROGRAMS = ("make", "dvc", "python", "trivet", "pip", "git", "optuna-dashboard", "pytest", "ruff", "bash", "uv", ".", "cd", "dvclive")
KILLED = "test_pipeline.py::test_a_killed_pipeline_continues_to_the_same_tables"

OWN_APP = "test_own_app.py::test_a_strangers_hydra_app_from_init_to_the_report"
PARSED = "test_cli.py::test_the_words_that_a_subcommand_takes"

COMPOSED = "composed: Hydra takes its overrides"  # and test_train_app.py and test_conf_choices.py run the choices
MAKES = "make: the target is there"
HELPED = "helped: the program knows the subcommand"
PREPARED = "prepared: run on such a file"
# command, as the README has it -> one of the four above, or file::function of the test that runs it
COMMANDS = {
    "make repro": MAKES,
    "make test": MAKES,
    "make": MAKES,
    "make clean": "test_clean.py::test_the_makefile_calls_it",
    "make clean ALL=1": "test_clean.py::test_the_script_says_what_stayed_and_refuses_other_words",
    ". .venv/bin/activate": "test_readme.py::test_make_puts_the_environment_where_it_is_activated",
    "dvc repro": KILLED,
    "dvc exp run -S model=mlp -S coarse.n_trials=20": "test_readme.py::test_experiments_set_knobs_that_there_are",
    "dvc exp run -S data=table -S model=mlp": "test_readme.py::test_experiments_set_knobs_that_there_are",
    "dvc exp run -S seeds.race=true": "test_readme.py::test_experiments_set_knobs_that_there_are",
    "dvc exp run -S seed=1": "test_readme.py::test_experiments_set_knobs_that_there_are",
    "dvc exp show": HELPED,
    "dvc plots show": HELPED,
    "dvc dag --outs": HELPED,
    "dvc add data/my.csv": "test_readme.py::test_git_sees_what_dvc_writes_of_a_data_file",
    "git add data/my.csv.dvc data/.gitignore conf dvc.yaml": "test_readme.py::test_git_sees_what_dvc_writes_of_a_data_file",
    "dvc commit --force narrow": HELPED,
    "dvc repro --single-item --force report": HELPED,
    "python src/train.py optimizer=sgd optimizer.lr=0.05": COMPOSED,
    "python src/train.py hparams=lr_range": COMPOSED,
    "python src/train.py -m hparams=search": COMPOSED,
    "python src/train.py -m hparams=ladder": COMPOSED,
    "python src/train.py -m hparams=tiers": COMPOSED,
    "python src/train.py -m hparams=ablation": COMPOSED,
    "python src/train.py -m hparams=pbt": COMPOSED,
    "python src/train.py data=mnist5k epochs=6 save_model=true hydra.run.dir=outputs/backbone": COMPOSED,
    "python src/train.py experiment=transfer": COMPOSED,
    "python src/train.py experiment=transfer model.pretrained=null": COMPOSED,
    "python src/train.py -m experiment=transfer hparams=transfer": COMPOSED,
    "python src/train.py -m hparams=replay hydra.sweeper.sampler.of=sweeps/pbt-1234abcd": COMPOSED,
    "python src/train.py -m optimizer.lr=0.001,0.01 model.channels=16,32": COMPOSED,
    "python src/train.py -m hparams=search optimizer=sgd 'optimizer.lr=tag(log, interval(1e-2, 1))'": COMPOSED,
    "python src/train.py -m hparams=search lr_scaling=sqrt": COMPOSED,
    "python src/train.py -m hparams=search costs=[parameters] 'hydra.sweeper.constraints={parameters: \"<= 20000\"}'": COMPOSED,
    "python src/train.py -m hparams=search pruner=none objectives=[flops] hydra.sweeper.direction=[maximize,minimize]": COMPOSED,
    "python src/train.py -m hparams=search 'hydra.sweeper.replicates={key: seed, values: [0, 1, 2], aggregate: mean}'": COMPOSED,
    "python src/train.py -m hparams=search +replicates=folds": COMPOSED,
    "python src/train.py -m hparams=search hydra/launcher=joblib": COMPOSED,
    "python src/train.py -m hparams=search hydra/launcher=submitit_slurm hydra.sweeper.n_jobs=16 hydra.sweeper.lag=16": COMPOSED,
    "python src/train.py -m hparams=search hydra.sweeper.storage=postgresql://user@host/optuna": COMPOSED,
    "python pipelines/prepare.py data=table data.file=data/my.csv data.target=price data.task=regression": PREPARED,
    "python pipelines/check.py": "test_check.py::test_the_whole_stage_writes_both_files",
    "python pipelines/audit.py results/coarse --n 8": "test_audit.py::",
    "python examples/strategies/app.py -m": "test_own_strategies.py::test_the_example_as_a_sweep",
    "python -m trivet.sweep.settings": "test_settings.py::test_every_key_is_in_the_table_and_in_hydras_schema",
    "python app.py -m +hydra.callbacks.tracker._target_=trivet.integrations.trackers.MLflow": "integrations/test_trackers.py::",
    "python src/train.py -m hparams=search logger=mlflow": COMPOSED,
    "python -m trivet.integrations.trackers mlflow <folder>": "integrations/test_trackers.py::test_a_sweep_that_is_over",
    "trivet init --command 'python fit.py --lr {lr} --out {folder}' --range 'lr=tag(log, interval(1e-5, 1))' --metric 'acc=([0-9.]+)'": (
        "test_own_app.py::test_any_program_from_init_to_the_report"
    ),
    "trivet advise --hours 2": "test_advice.py::test_a_finished_check_is_read",
    "trivet advise --trial-seconds 60 'lr=tag(log, interval(1e-4, 1))' --app 'python app.py'": "test_advice.py::test_ranges_are_enough",
    "trivet compare <folder> <folder>": "test_comparing.py::test_two_folders_give_a_page_a_text_and_a_plot",
    "trivet compare HEAD~3 HEAD": "test_comparing.py::test_revisions_are_read_from_git_and_from_dvcs_cache",
    "trivet init": OWN_APP,
    "trivet run": OWN_APP,
    "trivet report results": OWN_APP,
    "trivet run --accept narrow": "test_runner.py::test_an_edited_result_is_accepted",
    "trivet init --app train.py --metric val/acc --direction maximize --range 'optimizer.lr=tag(log, interval(1e-5, 1))' --yes": PARSED,
    "trivet audit results/coarse": PARSED,
    "trivet ablation": "test_ablation.py::test_the_command_is_the_apps_own_with_what_the_seeds_stage_fixed",
    "trivet nested --outer 5 -- python src/train.py -m hparams=search +replicates=folds hydra.sweeper.n_trials=20": (
        "test_nested.py::test_each_search_is_judged_on_the_fold_that_it_did_not_see"
    ),
    "python train.py -m +trivet=search": "test_trivet_group.py::test_every_option_composes_in_an_app",
    "pip install 'trivet[report]'": "test_readme.py::test_every_extra_that_is_named_exists",
    "pip install '.[report]'": "test_readme.py::test_every_extra_that_is_named_exists",
    "trivet status <folder>": HELPED,
    "trivet top <folder>": HELPED,
    "trivet report <folder>": HELPED,
    "trivet watch <folder>": HELPED,
    "optuna-dashboard <folder>/journal.log": "test_storage.py::",
    "pip install": "test_install.py::",
    "pip install 'trivet[lightning]'": "test_readme.py::test_every_extra_that_is_named_exists",
    "python benchmarks/sweeper.py search": "test_readme.py::test_every_benchmark_that_is_named_exists",
    "python benchmarks/search_quality.py --tables FOLDER --kinds lcbench --methods trivet,lag-1,... --seeds 10": (
        "test_readme.py::test_every_benchmark_that_is_named_exists"
    ),
    "python benchmarks/search_quality.py --methods trivet,tiers": "test_readme.py::test_every_benchmark_that_is_named_exists",
    "python benchmarks/sweeper.py scale": "test_readme.py::test_every_benchmark_that_is_named_exists",
    "python benchmarks/sweeper.py noop": "test_readme.py::test_every_benchmark_that_is_named_exists",
    "python -m benchmarks.report": "test_readme.py::test_every_benchmark_that_is_named_exists",
    "python benchmarks/training.py": "test_readme.py::test_every_benchmark_that_is_named_exists",
}


def commands(text):
    """The commands of a Markdown text: lines indented by four spaces and lines of shell blocks, without their comments, and code in a
    sentence that begins with a program's name and a space (or is one)."""
    found, fence = [], None
    for line in text.splitlines():
        mark = re.match(r"\s*```(\w*)", line)
        if mark:
            fence = None if fence is not None else mark[1]
        elif (fence is None and line.startswith("    ")) or fence in ("bash", "sh", "shell", "console"):
            found.append(re.split(r"\s+#\s", line.strip())[0].removeprefix("$ "))
        elif fence is None:
            found += [code for code in re.findall(r"`([^`]+)`", line) if is_command(code)]
    return list(dict.fromkeys(command for command in found if command))


def is_command(code):
    first, _, rest = code.partition(" ")
    return first in PROGRAMS and (bool(rest) or first == "make")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("    dvc repro     # it\n\n    a\n", ["dvc repro", "a"]),
        ("```bash\n$ make x\n# said\n```\n```yaml\nmake: y\n    z\n```\n    dvc\n", ["make x", "# said", "dvc"]),
        ("`make` and `make clean`, `dvc.yaml`, `python`, `python a.py`, `trivet.report`\n", ["make", "make clean", "python a.py"]),
        ("    dvc repro\n`dvc repro`\n", ["dvc repro"]),
    ],
)
def test_commands_are_found_wherever_they_stand(text, expected):
    assert commands(text) == expected


def test_every_command_is_in_the_table():
    written = commands(README)
    for command in written:
        mend = "add it to COMMANDS in tests/test_readme.py, with the test that runs it"
        assert command in COMMANDS, f"README.md: no test knows `{command}`: {mend}"
    for command in COMMANDS:
        assert command in written, f"tests/test_readme.py: `{command}` is no longer in README.md: take it out of COMMANDS"


@cache
def functions(file):
    return {node.name for node in ast.walk(ast.parse((ROOT / "tests" / file).read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("shown", sorted({how for how in COMMANDS.values() if "::" in how}))
def test_the_tests_that_are_named_exist(shown):
    file, _, function = shown.partition("::")
    assert function in functions(file) or (not function and any(name.startswith("test_") for name in functions(file)))


def of_kind(kind):
    return [command for command, how in COMMANDS.items() if how == kind]


@pytest.mark.parametrize("command", of_kind(COMPOSED))
def test_hydra_takes_the_overrides(command):
    program, script, *words = shlex.split(command)
    multirun = words[0] == "-m"
    words = words[multirun:]
    assert (program, script) == ("python", "src/train.py")
    swept = [word for word in words if "(" in word or ("," in word and multirun and not re.search(r"=[[{]", word))]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", [word for word in words if word not in swept], return_hydra_config=multirun)
        for word in swept:
            key, _, text = word.partition("=")
            for end in text.split(",") if "(" not in text else ["0.05"]:
                compose("config", [word for word in words if word not in swept] + [f"{key}={end}"])
            if "(" in text:
                space.parse(text, key)
    if multirun and "hparams=search" in words:
        assert config.hydra.sweeper._target_.startswith("hydra_plugins.trivet")


@pytest.mark.parametrize("command", of_kind(MAKES))
def test_make_has_the_target(command):
    _, *targets = shlex.split(command)
    assert set(targets) <= set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    if not targets:
        listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert "make repro" in listed and "make clean" in listed


def test_make_puts_the_environment_where_it_is_activated():
    assert re.search(r"^VENV := \$\(CURDIR\)/\.venv$", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", of_kind(HELPED))
def test_the_program_knows_the_subcommand(command, capsys):
    program, *words = shlex.split(command.replace("<folder>", "folder"))
    if program == "trivet":
        with pytest.raises(SystemExit) as ended:
            cli.main([words[0], "--help"])
        assert ended.value.code == 0 and "folder" in capsys.readouterr().out
    else:
        from dvc.cli import parse_args

        assert parse_args(words).func.__module__.startswith("dvc.")


@pytest.mark.parametrize("command", of_kind(PREPARED))
def test_the_stage_prepares_such_a_file(command, tmp_path, monkeypatch, capsys):
    _, script, *words = shlex.split(command)
    given = dict(word.split("=") for word in words)
    path = tmp_path / given["data.file"]
    path.parent.mkdir()
    path.write_text(f"size,{given['data.target']}\n" + "".join(f"{n % 7},{n / 3}\n" for n in range(50)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [script, *words])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / script), run_name="__main__")
    assert ended.value.code == 0 and "table: regression, 1 target(s), inputs 1" in capsys.readouterr().out


def test_experiments_set_knobs_that_there_are():
    knobs = yaml.safe_load((ROOT / "params.yaml").read_text())
    for command in commands(README):
        if command.startswith("dvc exp run"):
            assert "data=table" not in command or "model=mlp" in command  # the default takes no vectors
            for key, value in (word.split("=") for word in shlex.split(command) if "=" in word):
                inner = knobs
                for part in key.split("."):
                    inner = inner[part]
                assert key not in ("data", "model") or (ROOT / "conf" / key / f"{value}.yaml").is_file()


def test_git_sees_what_dvc_writes_of_a_data_file():
    def ignored(path):
        return subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT).returncode == 0

    for path in ("data/prepared/search.npz", "data/prepared-table-1a/data.yaml", "data/.prepared.lock", "data/raw/x.tar.gz", "dvc_plots/x"):
        assert ignored(path), path
    assert not ignored("data/my.csv.dvc") and not ignored("data/.gitignore")
    assert not ignored("data/")  # DVC looks for no .dvc file in a folder that git ignores


def test_every_extra_that_is_named_exists():
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"trivet\[(\w+)\]", README)) <= set(extras)


def test_every_benchmark_that_is_named_exists():
    for command in commands(README):
        words = shlex.split(command)
        named = words[2] if words[:2] == ["python", "-m"] else words[1] if words[0] == "python" and len(words) > 1 else ""
        if named.startswith("benchmarks"):
            path = ROOT / (named if named.endswith(".py") else named.replace(".", "/") + ".py")
            assert path.is_file(), command
            given = (
                [part for word in words[2:] for part in word.split(",") if re.fullmatch(r"[a-z-][\w-]*", part)] if words[1] != "-m" else []
            )
            assert all(re.search(rf"[\"']{word}[\"']|def {word}\b", path.read_text()) for word in given), command
