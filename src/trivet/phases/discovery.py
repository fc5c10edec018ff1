"""What a folder's Hydra app is: its script, its composed config, and the keys in it that trivet must know."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from trivet.errors import UserError, last_words

SKIPPED = {"node_modules", "site-packages", "build", "dist", "tests", "test", "sweeps", "outputs", "multirun", "results", "reports"}
SEED = re.compile(r"(random_|global_|manual_)?seed|random_state")
EPOCHS = re.compile(r"(max_|n_|num_|total_)?epochs|(num|n)_train_epochs|max_steps|(n|num)_iterations")
METRIC = re.compile(r"(optimized_|objective_|target_)?metric|objective|monitor")
LOWER_IS_BETTER = re.compile(r"loss|error|err|rmse|mse|mae|perplexity|ppl|wer|cer|nll|bpb|fid|regret|time|latency")


@dataclass(frozen=True)
class Composed:
    """What `--cfg all` says: the app's own config (interpolations as text), its groups' choices, and the sweeper that it names."""

    config: dict[str, Any]
    choices: dict[str, str]
    sweeper: str
    folders: tuple[Path, ...]  # of its config files

    @property
    def values(self) -> dict[str, Any]:
        """Every value by its dotted key, `space:` nodes left out."""
        return dict(_flat(self.config))

    @property
    def groups(self) -> dict[str, list[str]]:
        """The options of every group of the app's own that offers a choice."""
        found = {}
        for group in self.choices:
            options = sorted({path.stem for folder in self.folders for path in (folder / group.partition("@")[0]).glob("*.yaml")})
            if len(options) > 1 and not group.startswith("hydra/"):
                found[group] = options
        return found


def scripts(root: Path) -> list[Path]:
    """The Python files under `root` that have a `@hydra.main` function, by depth and name; hidden folders and environments are left out."""
    found = []
    for folder, names, files in os.walk(root):
        here = Path(folder)
        names[:] = sorted(n for n in names if not n.startswith(".") and n not in SKIPPED and not (here / n / "pyvenv.cfg").exists())
        found += [here / name for name in sorted(files) if name.endswith(".py") and _has_main(here / name)]
    return sorted((path.relative_to(root) for path in found), key=lambda path: (len(path.parts), path))


def _has_main(path: Path) -> bool:
    try:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text) if "hydra" in text else None
    except (OSError, UnicodeDecodeError, SyntaxError, ValueError):
        return False
    nodes = ast.walk(tree) if tree is not None else ()
    return any(isinstance(node, ast.FunctionDef) and any(map(_is_main, node.decorator_list)) for node in nodes)


def _is_main(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(called) in ("hydra.main", "hydra_main")


def command_of(app: str, root: Path = Path()) -> str:
    """What `--app` names, as the command that trains: a script or `-m module` gets python before it, a script that imports its neighbours
    as a package does is started as a module of that."""
    words = shlex.split(app)
    if words and words[0].endswith(".py") and _in_package(root / words[0]):
        module = ".".join(Path(words[0]).with_suffix("").parts)
        return shlex.join(["python", "-m", module, *words[1:]])
    if words and (words[0].endswith(".py") or words[0] == "-m"):
        return f"python {app}"
    return app


def _in_package(path: Path) -> bool:
    """Whether a script has `from .neighbour import ...`, so that Python runs it as a module alone."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, SyntaxError, ValueError):
        return False
    return any(isinstance(node, ast.ImportFrom) and node.level > 0 for node in ast.walk(tree))


def compose(app: str, root: Path) -> Composed:
    """Ask the app itself for its config: nothing else knows its search path, schemas and plugins. UserError where it cannot say."""
    words = shlex.split(app)
    words = [sys.executable, *words[1:]] if words[0] in ("python", "python3") else words
    try:
        done = subprocess.run([*words, "--cfg", "all"], cwd=root, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise UserError(f"app={app}: cannot be started ({error.strerror}); name the script, such as --app train.py") from None
    try:
        content = yaml.safe_load(done.stdout) if done.returncode == 0 else None
    except yaml.YAMLError:
        content = None
    if not isinstance(content, dict) or "hydra" not in content:
        why = last_words(done.stderr, "it printed no config")
        raise UserError(f"app={app}: `{app} --cfg all` does not give its config: {why}")
    hydra = content.pop("hydra")
    runtime = hydra.get("runtime") or {}
    sources = [s.get("path") for s in runtime.get("config_sources") or [] if s.get("provider") == "main" and s.get("schema") == "file"]
    choices = {k: v for k, v in (runtime.get("choices") or {}).items() if isinstance(v, str)}
    sweeper = str((hydra.get("sweeper") or {}).get("_target_"))
    return Composed(content, choices, sweeper, tuple(Path(source) for source in sources if source))


def _flat(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            if key != "space":
                yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def find_key(values: Mapping[str, Any], pattern: re.Pattern[str]) -> str | None:
    """The outermost key whose last part matches and that holds a whole number; the first of equals. A seed may be null: not seeded yet."""
    kinds = (int, type(None)) if pattern is SEED else (int,)
    found = [key for key, value in values.items() if pattern.fullmatch(key.rpartition(".")[2]) and type(value) in kinds]
    return min(found, key=lambda key: (key.count("."), values[key] is None), default=None)


def find_metric(values: Mapping[str, Any]) -> str | None:
    """What the config itself calls its metric, such as optimized_metric: val/acc."""
    found = [str(value) for key, value in values.items() if METRIC.fullmatch(key.rpartition(".")[2]) and _is_name(value)]
    return found[0] if found else None


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[\w/@-]+", value) is not None


def direction_of(metric: str) -> str:
    """What a metric of this name is usually wanted to be."""
    parts = re.split(r"[\W_]+", metric.lower())
    return "minimize" if any(LOWER_IS_BETTER.fullmatch(part) for part in parts) else "maximize"


def code_of(app: str, root: Path, folders: tuple[Path, ...]) -> list[str]:
    """What a change of which re-runs training: the script, its configs, and the project's modules that these import or name as
    `_target_`, found from the source."""
    found: list[Path] = []
    script = next((root / word for word in shlex.split(app) if word.endswith(".py")), None)
    module = next((after for word, after in zip(shlex.split(app), shlex.split(app)[1:], strict=False) if word == "-m"), None)
    if script is None and module is not None:
        script = next((path for path in _places(module, root, [root])), None)
    todo = [script.resolve()] if script is not None and script.is_file() else []
    bases = [script.parent, root] if script is not None else [root]
    todo += [place for name in _targets(folders) for place in _places(name, root, bases)]
    while todo:
        path = todo.pop(0)
        if path not in found:
            found.append(path)
            todo += [place for name in _imports(path) for place in _places(name, root, [path.parent, root])]
    inside = [path for path in [*found, *(folder.resolve() for folder in folders)] if path.is_relative_to(root.resolve())]
    names = [path.relative_to(root.resolve()) for path in inside]
    tops = [Path(*name.parts[:1]) if len(name.parts) > 1 and (root / name.parts[0] / "__init__.py").exists() else name for name in names]
    return list(dict.fromkeys(str(top) for top in tops if str(top) != "."))


def _targets(folders: Sequence[Path]) -> list[str]:
    """The modules that the config files name for `instantiate`, with those that may be classes within one."""
    texts = [path.read_text(encoding="utf-8", errors="replace") for folder in folders for path in sorted(folder.rglob("*.yaml"))]
    names = dict.fromkeys(name for text in texts for name in re.findall(r"_target_:\s*[\"']?([\w.]+)", text))
    holders = [name.rpartition(".")[0] for name in names]
    return [holder for holder in dict.fromkeys([*holders, *(name.rpartition(".")[0] for name in holders)]) if holder]


def _imports(path: Path) -> list[str]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, SyntaxError, ValueError):
        return []
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def _places(name: str, root: Path, bases: list[Path]) -> list[Path]:
    """The files of a module, where the project has it."""
    stems = [base.joinpath(*name.split(".")) for base in bases]
    files = [path.resolve() for stem in stems for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()]
    return [path for path in files if root.resolve() in path.parents]
