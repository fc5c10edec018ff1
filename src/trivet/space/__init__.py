"""The search-space language: read it, check it, narrow it, write it back. Pure functions; nothing of Optuna, torch or pandas.

>>> from trivet.space import parse, to_text
>>> parse("tag(log, interval(1e-4, 1e-1))")
Float(low=0.0001, high=0.1, log=True, step=None)
>>> to_text(parse("relu, gelu"))
'choice(relu, gelu)'
"""

from trivet.space.grammar import collect, dump, load, parse, parse_overrides, parse_params, parse_search_space
from trivet.space.linting import Finding, lint
from trivet.space.narrowing import Move, Narrowed, Rules, is_ladder, narrow
from trivet.space.reading import read_yaml, read_yaml_file
from trivet.space.specs import (
    Choice,
    Fixed,
    Float,
    Int,
    Param,
    Spec,
    check_unique,
    condition_value,
    contains,
    grid_points,
    meets,
    n_configurations,
    n_points,
    option_text,
    searched,
    to_text,
    value_text,
)
from trivet.space.writing import sweep_text

__all__ = [
    "Choice",
    "Finding",
    "Fixed",
    "Float",
    "Int",
    "Move",
    "Narrowed",
    "Param",
    "Rules",
    "Spec",
    "check_unique",
    "collect",
    "condition_value",
    "contains",
    "dump",
    "grid_points",
    "is_ladder",
    "lint",
    "load",
    "meets",
    "n_configurations",
    "n_points",
    "narrow",
    "option_text",
    "parse",
    "parse_overrides",
    "parse_params",
    "parse_search_space",
    "read_yaml",
    "read_yaml_file",
    "searched",
    "sweep_text",
    "to_text",
    "value_text",
]
