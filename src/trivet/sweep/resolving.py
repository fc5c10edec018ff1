"""Resolve a config's interpolations for a file or a screen: what comes from the environment stays as `${oc.env:NAME}`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.resolvers import oc

_DEEPEST = 60  # levels: a node that holds itself through an interpolation ends there, as it is written
_NOTHING = object()


def resolved(config: DictConfig | ListConfig) -> Any:
    """Plain values. An interpolation that only a job can resolve, or that needs the environment's value, stays as written."""
    with _environment_kept():
        return _plain(config, 0)


@contextlib.contextmanager
def _environment_kept() -> Iterator[None]:
    def as_written(name: str, default: Any = _NOTHING) -> str:
        return f"${{oc.env:{name}}}" if default is _NOTHING else f"${{oc.env:{name},{'null' if default is None else default}}}"

    OmegaConf.register_new_resolver("oc.env", as_written, replace=True)
    try:
        yield
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)


def _plain(node: Any, depth: int) -> Any:
    if isinstance(node, DictConfig) and not node._is_none() and not node._is_missing():
        return {_key(key): _item(node, key, depth) for key in node}
    if isinstance(node, ListConfig) and not node._is_none() and not node._is_missing():
        return [_item(node, i, depth) for i in range(len(node))]
    if OmegaConf.is_config(node):
        return None if node._is_none() else "???"
    if isinstance(node, Enum):
        return node.name
    return str(node) if isinstance(node, Path) else node


def _key(key: Any) -> Any:
    return key.name if isinstance(key, Enum) else key


def _item(node: Any, key: Any, depth: int) -> Any:
    child = node._get_node(key)
    if child._is_missing():
        return "???"
    if not child._is_interpolation():  # of a union the node's own value is another node
        return _plain(child if OmegaConf.is_config(child) else node[key], depth + 1)
    raw = child._value()
    try:
        return raw if depth > _DEEPEST else _plain(node[key], depth + 1)
    except Exception:  # resolvers are anybody's functions
        return raw
