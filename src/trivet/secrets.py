"""Keep passwords out of files, tables and screens, and control characters out of lines.

What counts as a secret: the password in a URL, and a value whose name says secret, password, token or key. `${oc.env:NAME}` is the way to
give one: it is written and shown as it stands, never as the value that it has.

>>> text("postgresql://ann:hunter2@host/db?sslpassword=x")
'postgresql://ann:***@host/db?sslpassword=***'
>>> values({"db": {"password": "hunter2"}, "max_tokens": 512})
{'db': {'password': '***'}, 'max_tokens': 512}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"
_SECRET = {"secret", "password", "passwd", "passphrase", "pwd", "credential", "apikey"}
_OFTEN = {"token", "key"}  # secret as the last word of a name: api_key, hf_token, but not key_dim
_URL = re.compile(r"(?P<before>[A-Za-z][\w+.-]{0,30}://[^\s:/@'\"]*):(?P<password>[^\s'\"]*)@")
_QUERY = re.compile(r"(?P<before>[?&][\w.-]*?(?:password|passwd|pwd|secret|token|key)=)(?P<password>[^\s&'\"]+)", re.IGNORECASE)
_ASSIGNED = re.compile(r"(?P<quote>['\"]?)(?P<plus>[+~]{0,2})(?P<key>[A-Za-z_][\w./@-]*)=(?P<value>.*)", re.DOTALL)
_PLAIN = re.compile(r"[-+]?[\d._]+(e[-+]?\d+)?|true|false|null|\[[-+\d.e_, ]*\]", re.IGNORECASE)
_IN_BRACES = re.compile(r"(?P<before>(?P<key>[\w.-]+)['\"]?\s*:\s*)(?P<value>\"[^\"]*\"|'[^']*'|[^\s,{}\[\]'\"]+)")


def is_secret(name: str) -> bool:
    """Whether a name (of a config key, dotted or not) says that its value is a secret."""
    words = _words(name)
    return _is_certain(name) or (bool(words) and words[-1].removesuffix("s") in _OFTEN)


def _words(name: str) -> list[str]:
    last = re.split(r"[./@]", str(name))[-1]
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", last)]


def text(message: str) -> str:
    """A text with the passwords of its URLs masked; `${...}` in the place of a password stays."""
    return _QUERY.sub(_masked, _URL.sub(lambda found: f"{_masked(found)}@", message))


def _masked(found: re.Match[str]) -> str:
    password = found["password"]
    colon = ":" if found.re is _URL else ""
    return f"{found['before']}{colon}{password if password.startswith('${') else MASK}"


def values(config: Any, name: str = "") -> Any:
    """A copy of plain nested values with secrets masked, by their names and in URLs.

    Numbers under a name that only may mean a secret stay (`max_tokens: 512`), and so do null, flags and `${...}`.
    """
    if isinstance(config, Mapping):
        return {k: values(v, name if _is_certain(name) else str(k)) for k, v in config.items()}
    if isinstance(config, (list, tuple)):
        return [values(v, name) for v in config]
    if isinstance(config, str):
        return MASK if is_secret(name) and config and not config.startswith("${") else argument(config)
    return MASK if _is_certain(name) and config is not None and not isinstance(config, bool) else config


def _is_certain(name: str) -> bool:
    return any(word.removesuffix("s") in _SECRET for word in _words(name))


def argument(override: str) -> str:
    """A command line's `key=value` with its secrets masked, those inside `{...}` too."""
    found = _ASSIGNED.fullmatch(override)
    if found is None:
        return text(override)
    value = found["value"]
    kept = value.lstrip("'\"").startswith("${") or (not _is_certain(found["key"]) and _PLAIN.fullmatch(value))
    if is_secret(found["key"]) and value and not kept:
        value = MASK
    elif "{" in value:
        value = _IN_BRACES.sub(lambda m: m["before"] + MASK if is_secret(m["key"]) and not m["value"].startswith("$") else m[0], value)
    return text(f"{found['quote']}{found['plus']}{found['key']}={value}")


def line(message: object) -> str:
    """Anything as one printable line: passwords masked, control characters, surrogates and line breaks written as escapes."""
    try:
        found = str(message)
    except Exception as error:  # somebody's __str__ may do anything
        found = f"(a message that raises {type(error).__name__})"
    return text("".join(c if c.isprintable() else _escape(c) for c in found.strip("\r\n").rstrip()))


def lines(message: str) -> str:
    """A text of several lines, each as `line` has it: what is printed to a terminal and holds names or values of others."""
    return "\n".join(map(line, message.split("\n")))


def _escape(character: str) -> str:
    return {"\n": " ", "\t": " ", "\r": " "}.get(character) or character.encode("unicode_escape", "backslashreplace").decode("ascii")
