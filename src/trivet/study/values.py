"""What the interpolations of a config come to, as digests: an identity counts their values, and shows and stores no more than their text.

A value may be a secret, or the path of this very clone; the time, or a number drawn at random, is none that a result should hang on.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.basecontainer import BaseContainer

KNOWN_RESOLVERS = ("oc.", "hydra", "now", "python_version")
"""Beginnings of the resolvers that are OmegaConf's and Hydra's; any other one may tell the time."""
PLACES = ("sweep.", "run.", "runtime.output_dir", "job.num", "job.id", "job.override_dirname")
"""Keys of `${hydra:...}` that name a job or where it writes: no matter of its result."""


Place = tuple[Any, ...]


@dataclass(frozen=True)
class Values:
    """`digests`: dotted key -> digest of what its interpolation came to. `varying`: those that came to something else a second time.

    A key that only a job can resolve is in neither: its text is all that there is to know.
    """

    digests: dict[str, str] = field(default_factory=dict)
    varying: list[str] = field(default_factory=list)


def values_of(fresh: Callable[[], DictConfig], paths: Sequence[Place], project: Path) -> Values:
    """Resolve these nodes of a config twice, each time in a `fresh` copy. Paths inside the project count relative to it."""
    if not paths:
        return Values()
    first, second = (_resolve_all(fresh(), paths, project) for _ in range(2))
    stable = {k: v for k, v in first.items() if v != _CLOCK and second.get(k) == v}
    digests = {_dotted(k): hashlib.sha256(v.encode()).hexdigest()[:16] for k, v in stable.items()}
    return Values(digests, [_dotted(k) for k in first if k not in stable])


def interpolated(node: Any, path: Place = ()) -> list[Place]:
    """Where in a config interpolations stand, ranges in `space` left out: each place as the keys on the way to it."""
    if not isinstance(node, (DictConfig, ListConfig)) or node._is_none() or node._is_missing():
        return []
    places = []
    for key in range(len(node)) if isinstance(node, ListConfig) else list(node):
        child: Any = node._get_node(key)
        if child._is_interpolation():
            places.append((*path, key))
        elif key != "space":
            places += interpolated(child, (*path, key))
    return places


def resolve(config: DictConfig, path: Place) -> Any:
    """The value of a node in plain types. Raises whatever a resolver raises, and where the value is missing."""
    value = config
    for key in path:
        value = value[key]
    if OmegaConf.is_config(value):
        return OmegaConf.to_container(value, resolve=True, throw_on_missing=True, enum_to_str=True)
    return value


def _dotted(path: Place) -> str:
    return ".".join(map(str, path))


_CLOCK = "a value that tells the time"


class _OnlyInAJob(Exception):
    """Raised by a resolver whose answer is no matter of results."""


def _resolve_all(config: DictConfig, paths: Sequence[Place], project: Path) -> dict[Place, str]:
    OmegaConf.clear_cache(config)
    found = {}
    with _watched() as heard:
        for path in paths:
            heard.clear()
            with contextlib.suppress(Exception):  # what only a job can resolve; resolvers raise what they like
                value = _text(resolve(config, path), project)
                found[path] = _CLOCK if any(map(_tells_the_time, heard)) else value
    return found


@contextlib.contextmanager
def _watched() -> Iterator[list[Any]]:
    """Collect what resolvers of others give; Hydra's own give nothing where it is the time or a job's place."""
    resolvers, heard = BaseContainer._resolvers, list[Any]()
    before = dict(resolvers)

    def watched(name: str, resolver: Any) -> Any:
        def call(config: Any, parent: Any, node: Any, args: Any, args_str: Any) -> Any:
            if name == "now" or (name == "hydra" and args and str(args[0]).startswith(PLACES)):
                raise _OnlyInAJob
            value = resolver(config, parent, node, args, args_str)
            if not name.startswith(KNOWN_RESOLVERS):
                heard.append(value)
            return value

        return call

    resolvers.update({name: watched(name, resolver) for name, resolver in before.items()})
    try:
        yield heard
    finally:
        resolvers.clear()
        resolvers.update(before)


def _tells_the_time(value: Any) -> bool:
    """Whether a value is this moment in one of its usual forms: two readings within a second are the same."""
    now = datetime.datetime.now()
    if isinstance(value, (datetime.date, datetime.time)):
        return True
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return any(abs(value / unit - time.time()) < 86400 for unit in (1, 1e3, 1e6, 1e9))
    if not isinstance(value, str):
        return False
    if re.fullmatch(r"\d{10,19}(\.\d+)?", value):
        return _tells_the_time(float(value))
    dates = [("%Y", "%m", "%d"), ("%d", "%m", "%Y"), ("%m", "%d", "%Y"), ("%b", "%d"), ("%d", "%b")]
    moments = (now, now.astimezone(datetime.UTC))
    told = [r"\D?".join(map(m.strftime, parts)) for m in moments for parts in dates]
    told += [m.strftime("%y%m%d") for m in moments] + [m.strftime("%H[-_:.h]%M") for m in moments]
    return any(re.search(rf"(?<!\d){pattern}", value) for pattern in told)


def _text(value: Any, project: Path) -> str:
    """A value as text: the same for the same value in every clone."""
    return json.dumps(_relative(value, project), sort_keys=True, default=lambda other: re.sub(r" at 0x[0-9a-f]+", "", repr(other)))


def _relative(value: Any, project: Path) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _relative(v, project) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_relative(v, project) for v in value]
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, (str, os.PathLike)) and str(project) != project.anchor:
        return re.sub(rf"{re.escape(str(project))}(?=/|$)", "<project>", os.fspath(value) if isinstance(value, os.PathLike) else value)
    return value
