"""Values as Hydra's own sweepers write them into a job's overrides, and so into the name of its folder."""

from __future__ import annotations

import functools

from hydra._internal.grammar.utils import escape_special_characters
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from trivet.space.specs import value_text


def sweep_text(value: object) -> str:
    """What `value_text` writes, but with quotes only where the grammar needs them, and True for true: `p=google/vit`, `flag=True`."""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and _reads_as_text(value):
        return escape_special_characters(value)
    if isinstance(value, list):
        return "[" + ",".join(map(sweep_text, value)) + "]"
    return value_text(value)


@functools.lru_cache(maxsize=4096)
def _reads_as_text(text: str) -> bool:
    """Whether Hydra's grammar reads the text as itself where no quotes stand around it; what would need a backslash was quoted."""
    if not text or any(char in text for char in "\\()[]{}=, \t"):
        return False
    try:
        read = OverridesParser.create().parse_override(f"key={escape_special_characters(text)}")
    except HydraException:
        return False
    return type(read._value) is str and read._value == text and not read.is_sweep_override()
