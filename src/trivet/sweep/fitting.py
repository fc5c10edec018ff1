"""Ranges against the config's schema: values that its types refuse are told before any trial."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from omegaconf import AnyNode, DictConfig, IntegerNode, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from trivet import space
from trivet.errors import UserError
from trivet.sweep.jobs import Composer

log = logging.getLogger("trivet")
MOST_TRIED = 200  # options of one choice


def fitted(param: space.Param, config: DictConfig) -> space.Param:
    """The range as its user means it, given the type of the key in the config: whole numbers, lists that were quoted.

    Raises `UserError` for a range of whole numbers with ends that are none.
    """
    node = _node(config, param.key)
    if isinstance(node, IntegerNode) and isinstance(param.spec, space.Float):
        return replace(param, spec=_whole(param, param.spec))
    if isinstance(node, (ListConfig, DictConfig)) and isinstance(param.spec, space.Choice):
        options = tuple(_unquoted(option) for option in param.spec.options)
        if any(isinstance(old, str) and not isinstance(new, str) for old, new in zip(param.spec.options, options, strict=True)):
            return replace(param, spec=space.Choice(options))
    return param


def _whole(param: space.Param, spec: space.Float) -> space.Int:
    ends = [x for x in (spec.low, spec.high, spec.step) if x is not None]
    if not all(float(x).is_integer() for x in ends) or (spec.log and spec.low < 1):
        raise UserError(
            f"{param.key}={space.to_text(spec)}: the config's schema has a whole number there; write int(interval(a, b)) with whole ends"
        )
    whole = space.Int(int(spec.low), int(spec.high), log=spec.log, step=int(spec.step or 1))
    log.info(f"{param.key}={space.to_text(spec)}: the config's schema has a whole number there, so it is {space.to_text(whole)}")
    return whole


def _unquoted(option: Any) -> Any:
    """A text that is a list or a mapping in Hydra's grammar as what it means; anything else as it is."""
    if not isinstance(option, str) or option.strip()[:1] not in ("[", "{"):
        return option
    value = space.condition_value(option.strip())
    return value if isinstance(value, (list, dict)) else option


def check_values(composer: Composer, chosen: Mapping[str, Any], param: space.Param, config: DictConfig) -> None:
    """Raise `UserError` for a value that the config's types refuse; ends and middle stand for a range."""
    if isinstance(_node(config, param.key), AnyNode):  # takes all
        return
    for value in _tried(param.spec):
        check_override(composer, chosen, f"{param.key}={space.value_text(value)}")


def check_override(composer: Composer, chosen: Mapping[str, Any], override: str) -> None:
    """Raise `UserError` where the config under these choices refuses an override."""
    try:
        composer.check(chosen, [override])
    except UserError as error:
        reason = str(error).partition("; ")[2] or str(error)
        raise UserError(f"{override}: {reason}; give what the config's schema takes") from None


def _tried(spec: space.Spec | space.Fixed) -> list[Any]:
    if isinstance(spec, space.Float):
        return [spec.low, spec.high, *([(spec.low + spec.high) / 2] if spec.step is None else [])]
    return [spec.low, spec.high] if isinstance(spec, space.Int) else space.grid_points(spec)[:MOST_TRIED]


def _node(config: DictConfig, key: str) -> Any:
    """The node of a key, its type with it; None where there is none, or an interpolation stands in the way."""
    node: Any = config
    for part in key.lstrip("+").split("."):
        try:
            if OmegaConf.is_list(node):
                node = node._get_node(int(part))
            else:
                node = next(node._get_node(name) for name in node if str(name) == part)
        except (OmegaConfBaseException, StopIteration, ValueError, IndexError, AttributeError, TypeError):
            return None
    return node
