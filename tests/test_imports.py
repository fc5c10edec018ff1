"""The import rule: which wing may know which. Read from the source, so that an import inside a function counts too."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src"
PLUGIN = "hydra_plugins"
GROUND = {
    *("app", "arguments", "changes", "copied", "errors", "options", "ranks", "reasons", "reports", "secrets", "stopped", "studyfile"),
    *("suggested", "targets"),
}
SEARCHING = [*sorted(GROUND), "space", "search", "study", "sweep"]  # each knows those before it
MAY_KNOW = {
    **{wing: {*GROUND, *SEARCHING[:i]} for i, wing in enumerate(SEARCHING)},
    "data": GROUND,
    "training": GROUND | {"data", "space"},  # the range test says whether a search range holds the rates that work
    "conf": set(),
    "adapters": GROUND | {"data", "space", "training"},
    "command": GROUND,
    "integrations": {"errors", "secrets", "ranks", "reports", "suggested"},
    "phases": {*SEARCHING, "command"},  # what trains and evaluates is handed in
    "diagnosis": {"changes", "copied", "errors", "reasons", "secrets", "stopped", "space", "phases"},
    "reporting": {"errors", "app", "secrets", "studyfile", "space", "phases", "diagnosis"},
    "cli": {*SEARCHING, "phases", "reporting"},
    PLUGIN: set(SEARCHING),
}
TABLES_ONLY = {"finalists"}  # the modules of phases that diagnosis and reporting may know: functions of published tables
OPTUNA = {"search", "study"}
TRAINING = {"training", "data"}


def parts_of(module: str) -> tuple[str, str]:
    """Wing and module of a dotted name: `trivet.space.grammar` -> (space, grammar); the plugin counts as one wing."""
    parts = [*module.split("."), "", ""]
    return (PLUGIN, "") if parts[0] == PLUGIN else (parts[1], parts[2])


def module_of(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports() -> dict[str, set[str]]:
    """module -> every module or name that it imports, dotted in full."""
    found = {}
    for path in SRC.rglob("*.py"):
        package = path.relative_to(SRC).parts[:-1]
        names = found.setdefault(module_of(path), set())
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = ".".join([*package[: len(package) - node.level + 1], node.module or ""]).rstrip(".") if node.level else node.module
                names.update({base, *(f"{base}.{alias.name}" for alias in node.names)})
    return found


@cache
def wings() -> dict[str, set[str]]:
    """wing -> the other wings of ours that it imports."""
    known = {parts_of(module)[0] for module in imports()} - {"", "train", "__main__"}
    found: dict[str, set[str]] = {name: set() for name in known}
    for module, names in imports().items():
        wing = parts_of(module)[0]
        if wing in found:
            found[wing] |= {parts_of(name)[0] for name in names if name.split(".")[0] in ("trivet", PLUGIN)} & known - {wing}
    return found


def reach(start: str) -> set[str]:
    """Every wing that `start` imports, however far."""
    seen, todo = set(), [start]
    while todo:
        for name in wings().get(todo.pop(), ()):
            if name not in seen:
                seen.add(name)
                todo.append(name)
    return seen


def users(library: str) -> set[str]:
    """The wings that import a library from outside."""
    return {parts_of(module)[0] for module, names in imports().items() if any(name.split(".")[0] == library for name in names)}


@pytest.mark.parametrize("wing", sorted({parts_of(module_of(path))[0] for path in SRC.rglob("*.py")} - {"", "train", "__main__"}))
def test_a_wing_knows_those_below_it_only(wing):
    assert wings()[wing] <= MAY_KNOW[wing]


@pytest.mark.parametrize("wing", ["diagnosis", "reporting"])
def test_the_report_reads_tables_alone(wing):
    known = {name for module, names in imports().items() if parts_of(module)[0] == wing for name in names}
    assert {parts_of(name)[1] for name in known if parts_of(name)[0] == "phases"} - {""} <= TABLES_ONLY
    for module in TABLES_ONLY:
        assert {parts_of(name)[0] for name in imports()[f"trivet.phases.{module}"] if name.startswith("trivet")} <= {"errors", "space", ""}


def test_training_knows_no_tuner():
    assert not (users("hydra") | users("omegaconf")) & TRAINING


def test_only_search_and_study_import_optuna():
    assert users("optuna") <= OPTUNA


@pytest.mark.parametrize("library", ["torch", "pandas", "dvc", "sklearn", "matplotlib"])
def test_the_sweeper_needs_no_pipeline_library(library):
    assert not (reach(PLUGIN) | {PLUGIN}) & users(library)


def test_import_trivet_is_cheap():
    heavy = "{'torch', 'pandas', 'optuna', 'numpy', 'hydra'}"
    code = f"import sys, trivet; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=SRC, check=True)
    assert done.stdout.strip() == "[]"
