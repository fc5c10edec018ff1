"""The import rule: which room may know which. Read from the source, so that an import inside a function counts too."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src"
PURE = {"space", "finalists", "diagnosis"}
STUDY = {"study", "storage", "records", "sampling", "pruning", "history", "journal", "metrics"}  # the only rooms with Optuna
TRAINING = {"training", "data", "models", "losses", "optimizers", "schedules", "options"}
PLUGIN = "hydra_plugins"


def room(module: str) -> str:
    """The room of a dotted module name: `trivet.space.grammar` -> space; the plugin counts as one room."""
    parts = module.split(".")
    return PLUGIN if parts[0] == PLUGIN else parts[1] if len(parts) > 1 else ""


@cache
def imports() -> dict[str, set[str]]:
    """module -> every module or name that it imports, dotted in full."""
    found = {}
    for path in SRC.rglob("*.py"):
        parts = path.relative_to(SRC).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        package = parts[:-1]
        names = found.setdefault(module, set())
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = ".".join([*package[: len(package) - node.level + 1], node.module or ""]).rstrip(".") if node.level else node.module
                names.update({base, *(f"{base}.{alias.name}" for alias in node.names)})
    return found


@cache
def rooms() -> dict[str, set[str]]:
    """room -> the other rooms of ours that it imports."""
    known = {room(module) for module in imports()} - {""}
    found: dict[str, set[str]] = {name: set() for name in known}
    for module, names in imports().items():
        if room(module):
            ours = {room(name) for name in names if name.split(".")[0] in ("trivet", PLUGIN)}
            found[room(module)] |= (ours & known) - {room(module)}
    return found


def reach(start: str) -> set[str]:
    """Every room that `start` imports, however far."""
    seen, todo = set(), [start]
    while todo:
        for name in rooms().get(todo.pop(), ()):
            if name not in seen:
                seen.add(name)
                todo.append(name)
    return seen


def users(library: str) -> set[str]:
    """The rooms that import a library from outside."""
    return {room(module) for module, names in imports().items() if any(name.split(".")[0] == library for name in names)}


@pytest.mark.parametrize("name", sorted(PURE))
def test_pure_rooms_import_only_each_other(name):
    assert rooms()[name] <= PURE | {"errors"}


def test_training_knows_no_tuner():
    assert reach("training") <= TRAINING | {"errors", "trial"}
    assert not (users("hydra") | users("omegaconf")) & TRAINING


def test_a_study_knows_no_training():
    assert reach("study") <= STUDY | {"space", "errors"}


def test_the_report_reads_tables_alone():
    assert not reach("reporting") & (TRAINING | STUDY | {PLUGIN})


def test_only_the_study_imports_optuna():
    assert users("optuna") <= STUDY


@pytest.mark.parametrize("library", ["torch", "pandas", "dvc", "sklearn", "matplotlib"])
def test_the_sweeper_needs_no_pipeline_library(library):
    assert not (reach(PLUGIN) | {PLUGIN}) & users(library)


def test_import_trivet_is_cheap():
    heavy = "{'torch', 'pandas', 'optuna', 'numpy', 'hydra'}"
    code = f"import sys, trivet; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=SRC, check=True)
    assert done.stdout.strip() == "[]"
