"""What a file that may come with data (a list of trials, a file of ranges) can ask of an app: values, and nothing that runs.

`instantiate` calls whatever a `_target_` names, and an app's own resolvers may evaluate what they are given. Both are taken from such a
file only where the app's config or the command line names the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from trivet import space
from trivet.errors import UserError
from trivet.sweep.configs import strings

_RESOLVER = re.compile(r"\$\{\s*[\w.-]+\s*:")


class Named:
    """What an app's config and command line name: `knows` says whether a text is among them."""

    def __init__(self, config: DictConfig) -> None:
        self._texts = "\n".join(strings(OmegaConf.to_container(config, resolve=False, enum_to_str=True)))

    def knows(self, text: str) -> bool:
        """Whether the text stands anywhere in them as a word of its own."""
        return re.search(rf"(?<![\w.]){re.escape(text)}(?![\w.])", self._texts) is not None

    def check_trial(self, entry: Any, file: str) -> None:
        """Raise `UserError` where a trial of a list names what this does not. A foreign form is somebody else's to refuse."""
        if isinstance(entry, Mapping):
            for key, value in entry.items():
                self._check(str(key), value, file)
        elif isinstance(entry, (list, tuple)):
            for text in entry:
                key, _, value = str(text).partition("=")
                read = space.condition_value(value)
                self._check(key, read, file)
                self._check(key, value if _RESOLVER.search(value) else None, file)

    def check_range(self, param: space.Param, file: str) -> None:
        """Raise `UserError` where a range has an option that names what this does not."""
        if isinstance(param.spec, (space.Choice, space.Fixed)):
            for option in space.grid_points(param.spec):
                self._check(param.key, option, file)

    def _check(self, key: str, value: Any, file: str) -> None:
        called = [text for name, text in _leaves(key, value) if name.rpartition(".")[2] == "_target_"]
        called += [text for _, text in _leaves(key, value) if _RESOLVER.search(text)]
        for text in called:
            if not self.knows(text):
                raise UserError(f"{file}: {key}: {text}: a file can name only what the app's config names too; write it into conf/")


def _leaves(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every text in a value, with the dotted key that it stands at."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(f"{key}.{name}", inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _leaves(key, inner)
    elif isinstance(value, str):
        yield key, value
