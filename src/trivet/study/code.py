"""The code that decides a study's results: the app's script and the project's modules that it imports, found in their source.

Nothing is imported to find them. A module counts where its file lies inside the project's folder and belongs to no installed
library. What counts of a file is its code: comments, layout and docstrings may change freely.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib
import os
import re
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

import trivet

MARKERS = (".git", ".project-root", "pyproject.toml", "setup.py", "setup.cfg")
"""What lies in the top folder of a project."""
_INSTALLED = {"site-packages", "dist-packages"}
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_DECIDES_TOO = "trivet.search"  # proposes and stops trials: it counts where trivet itself is the project

Reference = tuple[str, Path | None]
"""A dotted name, and the folder in which its first part lies (None: wherever imports look)."""


def project_of(script: Path | None, cwd: Path) -> Path:
    """The folder of the project that a script belongs to: the nearest one above it that holds a marker.

    Without any: the working directory, where the script lies in it, else the script's own folder. An app that was installed is a
    project by itself: its top package.
    """
    here = (script.parent if script is not None else cwd).resolve()
    for folder in (here, *here.parents):
        if folder.parent.name in _INSTALLED:
            return folder
        if folder.name in _INSTALLED:
            return here
    found = _marked(here)
    if found is not None:
        return found
    return cwd.resolve() if here.is_relative_to(cwd.resolve()) else here


def _marked(here: Path) -> Path | None:
    return next((folder for folder in (here, *here.parents) if any((folder / name).exists() for name in MARKERS)), None)


def code_hashes(scripts: Iterable[Path], names: Iterable[str], project: Path) -> dict[str, str]:
    """File (relative to the project) -> digest of its code: the scripts, the modules that dotted `names` mean, and all they import.

    Found are import statements anywhere in a file, `import_module("...")`, and texts that name something in a module of the project
    (`_target_`). An import whose name is put together counts for the whole package that it begins with.
    """
    importlib.invalidate_caches()
    seek = _Seeker(project.resolve())
    for script in filter(seek.holds, map(Path.resolve, scripts)):
        seek.add(script)
    for name in names:
        seek.named(name)
    seek.modules(_DECIDES_TOO, None, whole=True)
    seek.follow()
    return {os.path.relpath(file, seek.project): digest for file, digest in sorted(seek.digests.items())}


def code_digest(source: bytes) -> str:
    """A digest of Python source that comments, layout and docstrings do not change; of the bytes, where it is no Python."""
    return _digest(source, _parsed(source))


def _parsed(source: bytes) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None


def _digest(source: bytes, tree: ast.Module | None) -> str:
    """Written out here, as `ast.dump` says more in one version of Python than in another, and `ast.unparse` takes three times as long."""
    if tree is None:
        return hashlib.sha256(source).hexdigest()[:16]
    words: list[str] = []
    stack: list[object] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.AST):
            words.append(type(node).__name__)
            for name in node._fields:
                value = getattr(node, name, None)
                if name == "body" and isinstance(value, list) and _docstring(node):
                    value = value[1:]
                if value is not None and value != []:
                    words.append(name)
                    stack.append(value)
        elif isinstance(node, list):
            words.append(str(len(node)))
            stack += node
        else:
            words.append(repr(node))
    return hashlib.sha256("\0".join(words).encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _docstring(node: ast.AST) -> ast.Expr | None:
    if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) or not node.body:
        return None
    first = node.body[0]
    says = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return first if isinstance(first, ast.Expr) and says else None


@dataclass(frozen=True)
class _Found:
    """The project's files that importing a dotted name runs, the parts of the name that are no modules, and where its modules lie."""

    files: list[Path] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)


class _Seeker:
    """Goes from file to file of one project."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.digests: dict[Path, str] = {}
        self._left_out = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")]
        own = Path(trivet.__file__).resolve().parent
        if _marked(own) != project:  # a library, though it may lie inside the project, installed for editing
            self._left_out.append(own)
        self._todo: list[tuple[Path, ast.Module]] = []
        self._top = functools.cache(_top_level)

    def holds(self, file: Path) -> bool:
        """Whether a file is the project's own."""
        if not file.is_relative_to(self.project) or _INSTALLED & set(file.relative_to(self.project).parts):
            return False
        return not any(file.is_relative_to(folder) and not self.project.is_relative_to(folder) for folder in self._left_out)

    def add(self, file: Path) -> None:
        """Take a file in."""
        if file in self.digests or not file.is_file():
            return
        source = file.read_bytes()
        tree = _parsed(source)
        self.digests[file] = _digest(source, tree)
        if tree is not None:
            self._todo.append((file, tree))

    def follow(self) -> None:
        """Take in all that the files taken in so far import."""
        while self._todo:
            file, tree = self._todo.pop()
            for kind, (name, folder) in _references(tree, file):
                if kind == "text":
                    self.named(name)
                else:
                    self.modules(name, folder, whole=kind == "package")

    def named(self, text: str) -> None:
        """Take in the module in which a dotted text names something; most dotted texts name nothing of the kind."""
        if _DOTTED.fullmatch(text):
            found = self._resolve(text, None)
            if found.files and (not found.rest or _mentions(found.files[-1], found.rest[0])):
                for file in found.files:
                    self.add(file)

    def modules(self, name: str, folder: Path | None, whole: bool = False) -> None:
        """Take in the modules that a dotted name runs; `whole`: and all below it."""
        found = self._resolve(name, folder)
        below = [file for place in found.places for file in sorted(Path(place).resolve().rglob("*.py"))] if whole else []
        for file in (*found.files, *filter(self.holds, below)):
            self.add(file)

    def _resolve(self, name: str, folder: Path | None) -> _Found:
        places = None if folder is None else [str(folder)]
        found = _Found(places=places or [])
        parts = name.split(".") if name else []
        for i, part in enumerate(parts):
            spec = self._top(part) if places is None else PathFinder.find_spec(part, places)
            if spec is None:
                return replace(found, rest=parts[i:], places=[])
            origin = Path(spec.origin).resolve() if spec.has_location and spec.origin else None
            if origin is not None and not self.holds(origin):
                return replace(found, rest=parts[i + 1 :], places=[])  # a library's
            places = list(spec.submodule_search_locations or ())
            found = replace(found, files=[*found.files, origin] if origin is not None else found.files, places=places)
        return found


def _mentions(file: Path, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b".encode(), file.read_bytes()) is not None


def _top_level(name: str) -> ModuleSpec | None:
    """Where a fresh process would find a module; what this process has loaded under the name does not matter."""
    for finder in sys.meta_path:
        find: Callable[..., ModuleSpec | None] | None = getattr(finder, "find_spec", None)
        try:
            spec = find(name, None) if find is not None else None
        except (ImportError, ValueError, AttributeError):
            continue
        if spec is not None:
            return spec
    return None


def _references(tree: ast.Module, file: Path) -> Iterator[tuple[str, Reference]]:
    """What a file refers to, each with its kind: module, package (all of it), or text."""
    for node in _walk(tree):
        if isinstance(node, ast.Import):
            yield from (("module", (alias.name, None)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            folder = _above(file.parent, node.level) if node.level else None
            base = f"{node.module}." if node.module else ""
            if folder is not None:
                yield "module", ("__init__", folder)
            yield from (("module", (base + alias.name if alias.name != "*" else base[:-1], folder)) for alias in node.names)
        elif isinstance(node, ast.Call):
            yield from _called(node, file)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield "text", (node.value, None)


def _called(node: ast.Call, file: Path) -> Iterator[tuple[str, Reference]]:
    """Imports by function: of one module by its name, or of whatever begins so."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
    if name in ("iter_modules", "walk_packages"):
        yield "package", ("", file.parent)
    if name not in ("import_module", "__import__", "find_spec", "load_module") or not node.args:
        return
    text = _beginning(node.args[0])
    whole = not isinstance(node.args[0], ast.Constant)
    if not text or (whole and "." not in text):
        return
    level = len(text) - len(text.lstrip("."))
    text = text[level:].rpartition(".")[0] if whole else text[level:]  # what is put together begins with a package
    package = node.args[1] if len(node.args) > 1 else next((k.value for k in node.keywords if k.arg == "package"), None)
    if level and package is not None and (above := _beginning(package)):
        text, level = ".".join([*above.split(".")[: 1 - level or None], text]), 0
    yield ("package" if whole else "module"), (text, _above(file.parent, level) if level else None)


def _beginning(node: ast.expr) -> str:
    """The constant text with which an expression begins; empty where it begins with anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return _beginning(node.values[0]) if node.values else ""
    if isinstance(node, ast.BinOp):
        return _beginning(node.left).partition("%")[0]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _beginning(node.func.value).partition("{")[0]
    return ""


def _above(folder: Path, level: int) -> Path:
    for _ in range(level - 1):
        folder = folder.parent
    return folder


def _walk(tree: ast.Module) -> Iterator[ast.AST]:
    """Every node that can run: no docstrings, and nothing under `if TYPE_CHECKING:`."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in (getattr(node.test, "id", ""), getattr(node.test, "attr", "")):
            stack += node.orelse
        else:
            docstring = _docstring(node)
            stack += [child for child in ast.iter_child_nodes(node) if child is not docstring]
