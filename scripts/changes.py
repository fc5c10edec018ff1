"""The changes of code that scripts/mutate.py tries: mutmut's, without those that no test could notice."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import libcst as cst
import libcst.matchers as m
from libcst.metadata import CodeRange, MetadataWrapper, ParentNodeProvider, PositionProvider
from mutmut.mutation.file_mutation import ChildReplacementTransformer, Mutation, create_mutations

QUIET_CALLS = ("log", "logger", "logging", "LOG")  # what they are given is read by nobody's test
QUIET_KEYWORDS = ("encoding", "strict")  # UTF-8 is the default wherever tests run; strict says that two lists are of one length
STATEMENTS = (cst.SimpleStatementLine, cst.BaseCompoundStatement)


@dataclass
class Change:
    """One change of one file: its name (path:line, and which of that line), the lines that a test must run to meet it."""

    name: str
    path: Path
    lines: range | None = field(repr=False)  # None: it is met by whoever imports the file
    module: cst.Module = field(repr=False)
    mutation: Mutation = field(repr=False)

    @property
    def before(self) -> str:
        return self.module.code

    def after(self) -> str:
        """The whole file as it reads with the change."""
        changed = self.module.visit(ChildReplacementTransformer(self.mutation.original_node, self.mutation.mutated_node))
        assert isinstance(changed, cst.Module)
        return changed.code


def of(root: Path, patterns: list[str]) -> list[Change]:
    """Every change of the files under `root` that fit a pattern, in order."""
    paths = sorted({path for pattern in patterns for path in root.glob(pattern) if path.suffix == ".py"})
    return [change for path in paths for change in of_file(path.relative_to(root), path.read_text())]


def of_file(path: Path, code: str) -> list[Change]:
    module, mutations, _, _ = create_mutations(str(path), code)
    wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
    where, parent = wrapper.resolve(PositionProvider), wrapper.resolve(ParentNodeProvider)
    found, n_of_line = [], {}
    for mutation in mutations:
        above = list(_above(mutation.original_node, parent))
        if unnoticeable(mutation, above):
            continue
        line = where[next(node for node in (mutation.original_node, *above) if node in where)].start.line
        n_of_line[line] = n_of_line.get(line, 0) + 1
        found.append(Change(f"{path}:{line} ({n_of_line[line]})", path, _lines(mutation, above, where), module, mutation))
    return found


def _above(node: cst.CSTNode, parent: Mapping[cst.CSTNode, cst.CSTNode]) -> Iterator[cst.CSTNode]:
    while node in parent:
        node = parent[node]
        yield node


def _lines(mutation: Mutation, above: list[cst.CSTNode], where: Mapping[cst.CSTNode, CodeRange]) -> range | None:
    """From the start of the statement to the end of what is changed: what runs there meets the change."""
    functions = [node for node in above if isinstance(node, cst.FunctionDef)]
    if not functions:
        return None
    nodes = [mutation.original_node, *above]
    statement = next(node for node in nodes if isinstance(node, STATEMENTS))
    if statement is functions[0]:  # a default of one of its parameters: read whenever the function runs
        return range(where[functions[0].body].start.line, where[functions[0].body].end.line + 1)
    changed = next(node for node in nodes if node in where)
    return range(where[statement].start.line, where[changed].end.line + 1)


def unnoticeable(mutation: Mutation, above: list[cst.CSTNode]) -> bool:
    """Whether a change is of a kind that no test could notice, as nothing that a test can look at depends on it."""
    inside = [mutation.original_node, *above]
    if any(isinstance(node, cst.FunctionDef) and node.name.value == "__repr__" for node in above):
        return True
    if isinstance(above[0], cst.Expr) and isinstance(mutation.original_node, cst.BaseString):  # a docstring
        return True
    for node, outer in itertools.pairwise(inside):
        if isinstance(node, cst.Arg) and isinstance(outer, cst.Call) and _quiet(node, outer):
            return True
    if isinstance(mutation.original_node, cst.Call):  # an argument taken away or made None
        return _quietly_called(mutation.original_node, mutation.mutated_node)
    return any(m.matches(node, m.Assign(targets=[m.AssignTarget(target=m.Name("__all__"))])) for node in inside)


def _quiet(argument: cst.Arg, call: cst.Call) -> bool:
    if argument.keyword is not None and argument.keyword.value in QUIET_KEYWORDS:
        return True
    if m.matches(call.func, m.Attribute(value=m.Name())) and call.func.value.value in QUIET_CALLS:  # type: ignore[attr-defined]
        return True
    name = call.func.attr.value if isinstance(call.func, cst.Attribute) else getattr(call.func, "value", "")
    return name in ("cast", "TypeVar", "encode", "decode") and argument is call.args[0]


def _quietly_called(before: cst.Call, after: cst.CSTNode) -> bool:
    """Whether the only arguments that differ are ones that nobody could miss."""
    if not isinstance(after, cst.Call):
        return False
    kept = {id(argument) for argument in after.args}
    gone = [argument for argument in before.args if id(argument) not in kept]
    return bool(gone) and all(_quiet(argument, before) for argument in gone)
