"""Composed configs as plain data: what is the app's, which options were chosen, which keys are there."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from trivet.errors import UserError


def task_of(config: DictConfig) -> DictConfig:
    """The app's part of a composed config."""
    return OmegaConf.masked_copy(config, [str(k) for k in config if k != "hydra"])


def mapping(node: Any, **how: Any) -> dict[str, Any]:
    """A config that is a mapping in plain types, read as `OmegaConf.to_container(node, **how)` reads it."""
    content: Any = OmegaConf.to_container(node, **how)
    assert isinstance(content, dict)
    return content


def plain(config: DictConfig) -> dict[str, Any]:
    """The app's part of a composed config as a plain dict, interpolations as written."""
    content = mapping(config, resolve=False, enum_to_str=True)
    content.pop("hydra", None)
    return content


def without_space(node: Mapping[str, Any]) -> dict[str, Any]:
    """A copy without `space:` nodes: what is searched is told apart from what is set."""
    return {k: without_space(v) if isinstance(v, Mapping) else v for k, v in node.items() if not (k == "space" and isinstance(v, Mapping))}


def choices(config: DictConfig) -> dict[str, str]:
    """Group -> option of a composed config, Hydra's own groups left out, and those of which a list of options was chosen."""
    return {k: v for k, v in config.hydra.runtime.choices.items() if isinstance(v, str) and not k.startswith("hydra/")}


def as_written(value: Any) -> Any:
    """A config's value in plain types: enums by name and paths as text, as an override would write them."""
    if OmegaConf.is_config(value):
        return OmegaConf.to_container(value, enum_to_str=True)
    return value.name if isinstance(value, Enum) else str(value) if isinstance(value, Path) else value


def has(config: DictConfig, key: str) -> bool:
    parent, _, last = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    if OmegaConf.is_dict(node):
        return last in map(str, node)  # `in` says no to a key that is ???
    return OmegaConf.is_list(node) and last.isdigit() and int(last) < len(node)


def check_key(config: DictConfig, key: str, where: str = "") -> None:
    """Raise `UserError` where a composed config has no such key (`where` says under which choices), with the nearest one that it has."""
    if has(config, key):
        return
    known = _dotted(plain(config))
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known[:8])}"
    if where:
        raise UserError(f"{key}: not in the config {where}; search it only where it is there, under group=option in hydra.sweeper.params")
    raise UserError(f"{key}: not in the config; {hint} (to add a new key write +{key}=...)")


def _dotted(node: Mapping[str, Any], prefix: str = "") -> list[str]:
    keys = []
    for key, value in node.items():
        if key == "space":
            continue
        keys += _dotted(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [f"{prefix}{key}"]
    return keys


def strings(value: Any) -> Iterator[str]:
    """Every text in plain nested values, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (Mapping, Sequence)):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from strings(inner)
