"""The app that is tuned, as its trivet.yaml describes it: how it is started, what it reports, what decides its results, what it leaves.

    trivet init            # writes one; every key may be edited
    app = read(Path())     # UserError naming the key and the mend

The same keys reach Hydra configs as `${trivet:key,default}`.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivet.errors import UserError
from trivet.options import ListOf, MapOf, Maybe, OneOf, Text, nearest, show

FILE = "trivet.yaml"
TEST_FIELDS: dict[str, Any] = {"command": Text(), "metric": Text(default=""), "name": Text(default="")}
FIELDS: dict[str, Any] = {
    "app": Text(),
    "objective": Text(),
    "direction": OneOf(("maximize", "minimize")),
    "seed_key": Maybe(Text()),
    "epochs_key": Maybe(Text()),
    "space": Text(default="space.yaml"),
    "code": ListOf(Text(), 0, default=[]),
    "data": ListOf(Text(), 0, default=[]),
    "ignore": ListOf(Text(), 0, default=[]),
    "overrides": ListOf(Text(), 0, default=[]),
    "smoke": ListOf(Text(), 0, default=[]),
    "keep": Maybe(Text()),
    "test": Maybe(MapOf(Text())),
}


HOW_TO_SEARCH = re.compile(
    r"[+~]{0,2}hydra(\.sweeper\.(sampler|pruner|n_trials|baseline|enqueue|params|params_file|constraints)\b|/sweeper/sampler=(?!default$))"
)
OF_OTHERS = ("command", "parameters")  # read by trivet.command, for programs that are no Hydra app


@dataclass(frozen=True)
class Test:
    """How a kept model is evaluated on test data. `command` is filled in per model: {model}, {folder}, {number}, {seed}, {overrides},
    {predictions}. `metric`: a regular expression whose first group is the value in what the command prints; without one, the last line
    counts, a number or a JSON mapping that has the metric's name. `name`: of the metric, test/<name>; else that of the objective."""

    command: str
    metric: str = ""
    name: str = ""


@dataclass(frozen=True)
class App:
    """What trivet.yaml says; `root` is its folder, from which every path in it counts."""

    root: Path
    app: str  # the command that trains once; Hydra overrides are put behind it
    objective: str  # a name for what it returns and reports, split/name
    direction: str
    seed_key: str | None  # of its config; None: it cannot be seeded
    epochs_key: str | None  # of its config: how many steps a full training has; None: not known
    space: str  # the YAML file of ranges
    code: list[str]  # files and folders: a change re-runs the stages that train
    data: list[str]  # files, folders and globs: a change starts a new search, too
    ignore: list[str]  # keys of its config that change no result
    overrides: list[str]  # that hold in every training
    smoke: list[str]  # that make a training short, for the check; none: it is stopped at its first report
    keep: str | None  # a file in a trial's folder: what the test command evaluates
    test: Test | None

    @property
    def words(self) -> list[str]:
        """The command's words, this interpreter for `python`."""
        words = shlex.split(self.app)
        return [sys.executable, *words[1:]] if words[0] in ("python", "python3") else words

    @property
    def task_overrides(self) -> list[str]:
        """Those of the overrides that are about the training, not about the sweep."""
        return [text for text in self.overrides if not text.lstrip("+~").startswith("hydra")]

    @property
    def listed_overrides(self) -> list[str]:
        """Those that hold where a phase gives its trials outright (check, seeds, audit): without those that say how to search."""
        return [text for text in self.overrides if not HOW_TO_SEARCH.match(text)]

    @property
    def metric(self) -> str:
        """The objective's name without its split: val/acc -> acc."""
        return self.objective.rpartition("/")[2]


def read(root: Path = Path()) -> App:
    """The description in `root`/trivet.yaml. Raises `UserError` where it is missing or wrong."""
    return of(_content(root), root)


def of(content: Mapping[str, Any], root: Path) -> App:
    """The same from the content of such a file."""
    values = _checked({k: v for k, v in content.items() if k not in OF_OTHERS}, FILE, FIELDS)
    test = values.pop("test")
    if test is not None:
        test = Test(**_checked(test, f"{FILE}: test", TEST_FIELDS))
        _check_test(test, values["keep"])
    try:
        words = shlex.split(values["app"])
    except ValueError as error:
        raise UserError(f"{FILE}: app={show(values['app'])}: {error}; write the command that trains, as on a command line") from None
    if not words:
        raise UserError(f"{FILE}: app is empty; write the command that trains, such as python train.py")
    return App(root=root, test=test, **values)


def is_here(root: Path = Path()) -> bool:
    """Whether the folder has a description."""
    return (root / FILE).is_file()


def setting(key: str, root: Path = Path()) -> Any:
    """What configs read: a key of the description, `publish_files` and `identity_files` that follow from it; None without a description."""
    if not is_here(root):
        return None
    app = read(root)
    if key == "publish_files":
        return [app.keep] if app.keep else []
    if key == "identity_files":
        return identity_files(app)
    if key not in FIELDS:
        raise UserError(f"${{trivet:{key}}}: {FILE} has no such key{nearest(key, FIELDS)}")
    return getattr(app, key)


def identity_files(app: App) -> list[str]:
    """The data as what `hydra.sweeper.identity.files` takes, a folder as all that is in it. Code is found by the sweeper itself."""
    return [f"{entry.rstrip('/')}/**/*" if (app.root / entry).is_dir() else entry for entry in app.data]


def _content(root: Path) -> Mapping[str, Any]:
    import yaml

    path = root / FILE
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: there is none; `trivet init` writes one for a Hydra app in this folder") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read ({type(error).__name__}); it must be YAML") from None
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: must be a mapping of {', '.join(FIELDS)}")
    return content


def _checked(content: Mapping[str, Any], where: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The values of `fields`, defaults filled in. UserError for an unknown key, a missing one, or a value that is not allowed."""
    for key in content:
        if key not in fields:
            raise UserError(f"{where}: {key} is not a key of it; there are {', '.join(fields)}{nearest(key, fields)}")
    values = {}
    for key, field in fields.items():
        if key not in content and not isinstance(field.default, str | list | type(None)):
            raise UserError(f"{where}: {key} is missing: must be {field.allowed()}")
        value = content.get(key, field.default)
        if key in content and not field.accepts(value):
            raise UserError(f"{where}: {key}={show(value)}: must be {field.allowed()}")
        values[key] = value
    return values


def _check_test(test: Test, keep: str | None) -> None:
    if keep is None and "{model}" in test.command:
        raise UserError(f"{FILE}: test.command uses {{model}}, and keep names no file; set keep to what a training leaves in its folder")
    try:
        n_groups = re.compile(test.metric).groups
    except re.error as error:
        raise UserError(f"{FILE}: test.metric={show(test.metric)}: is no regular expression ({error})") from None
    if test.metric and n_groups < 1:
        raise UserError(f"{FILE}: test.metric={show(test.metric)}: needs a group around the number, such as acc=([0-9.eE+-]+)")
