"""Which trials failed for the same reason: a message often has a number in it that is never the same.

>>> grouped(["loss is 17.2 in epoch 3", "out of memory", "loss is 9e30 in epoch 12"])
[('loss is 17.2 in epoch 3', 2), ('out of memory', 1)]
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_NUMBER = re.compile(r"0x[0-9a-fA-F]+|[-+]?(?<![A-Za-z_])\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def kind(reason: str) -> str:
    """The reason without its numbers and addresses, but for those that are part of a name (`layer2`)."""
    return _NUMBER.sub("#", reason)


def grouped(reasons: Iterable[str]) -> list[tuple[str, int]]:
    """(the first of a kind, how many there are), the most frequent first; of equals the one that came first."""
    reasons = list(reasons)
    first: dict[str, str] = {}
    for reason in reasons:
        first.setdefault(kind(reason), reason)
    return [(first[which], n) for which, n in Counter(map(kind, reasons)).most_common()]
