"""YAML files as people write them beside a sweep: numbers in them are read as Hydra's command line reads them."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import yaml

from trivet.errors import UserError

MOST_CHARACTERS = 1 << 24  # of a file that a person writes; a device or a model that is named by mistake has no end
_INT = re.compile(r"[-+]?(?:0|[1-9](?:_?\d)*)$")
_FLOAT = re.compile(
    r"""[-+]?(?:\d(?:_?\d)*)?\.\d(?:_?\d)*(?:[eE][-+]?\d(?:_?\d)*)?$
       |[-+]?\d(?:_?\d)*\.?[eE][-+]?\d(?:_?\d)*$
       |[-+]?\d(?:_?\d)*\.$
       |[-+]?\.?(?:inf|Inf|INF)$|\.?(?:nan|NaN|NAN)$""",
    re.VERBOSE,
)
_OTHERWISE = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp"}


class _Loader(yaml.SafeLoader):
    """PyYAML's, with Hydra's numbers. `differing`: the first text that YAML 1.1 reads otherwise."""

    differing: str | None = None

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        tag = super().resolve(kind, value, implicit)
        if kind is yaml.ScalarNode and implicit[0] and self.differing is None and tag != _yaml_1_1.resolve(kind, value, implicit):
            self.differing = value
        return tag

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Raises `ConstructorError` for a key that is there twice: PyYAML drops the first in silence."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"{key.value} is there twice", key.start_mark)
                seen.add(key.value)
        return node


_yaml_1_1 = yaml.resolver.Resolver()
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag not in _OTHERWISE]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789iInN"))


def read_yaml_file(path: Path) -> Any:
    """The content of a YAML file, as `read_yaml` has it. Raises `UserError` in one line that says what is wrong with it."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MOST_CHARACTERS + 1)
        if len(text) > MOST_CHARACTERS:
            raise ValueError(f"longer than {MOST_CHARACTERS} characters")
        return read_yaml(text, str(path))
    except OSError as error:
        cause = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        cause = "not UTF-8"
    except RecursionError:
        cause = "nested too deeply"
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        cause = f"{error.problem or type(error).__name__}{line}"
    except (ValueError, yaml.YAMLError) as error:
        cause = str(error)
    raise UserError(f"{path}: cannot be read ({cause})")


def read_yaml(text: str, name: str) -> Any:
    """The content of a YAML text. `1e-3` is a number, `010`, `1:30` and `2020-01-01` are texts; warns once per file (`name`) of such.

    Raises `yaml.YAMLError`.
    """
    loader = _Loader(text)
    try:
        content = loader.get_single_data()
    finally:
        loader.dispose()
    if loader.differing is not None:
        warnings.warn(
            f"{name}: {loader.differing} is read as on Hydra's command line, where numbers and texts are told apart otherwise than in "
            "YAML 1.1; quote what is meant as text",
            stacklevel=2,
        )
    return content
