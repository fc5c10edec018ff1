"""Every sentence in the code of the report is said by a run whose report is pinned word for word (said/), and left out by another.

A new sentence has no such run: give it one in said_stories.py, and write said/ anew.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_said import SAID, pinned, variations

from trivet.diagnosis.thresholds import THRESHOLDS

PACKAGE = Path(__file__).parent.parent / "src/trivet"
ROOMS = ("diagnosis", "reporting/sections")
WORDS = 3
"""A text of fewer is a label or a name: the pinned texts hold these, too, but nothing can be found by them."""
UNSAID = {
    *(text for row in THRESHOLDS.values() if row.key in ("comparable", "enough", "enough_complete") for text in (row.meaning, row.source)),
    "no parameter stands out.",  # of a model that predicts well from none: only chance makes it
}


def texts() -> dict[str, str]:
    """What is pinned, by run."""
    found = {path.stem: pinned(path.stem) for path in SAID.glob("*.txt") if path.stem != "variations"}
    return {name: _plain(text) for name, text in (found | variations()).items()}


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"[*`\\]", "", text)).lower()


def sentences() -> Iterator[tuple[str, tuple[str, ...]]]:
    """(where, its fixed parts) of every text of some words, without docstrings."""
    for room in ROOMS:
        for path in sorted((PACKAGE / room).glob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            other = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            other |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
            for node in ast.walk(tree):
                parts = [node] if isinstance(node, ast.Constant) else node.values if isinstance(node, ast.JoinedStr) else []
                fixed = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
                known = tuple(_plain(text).strip() for text in fixed if len(text.split()) > 1 and "|" not in text)  # no patterns
                if id(node) not in other and sum(len(re.findall(r"[a-z]{2,}", text)) for text in known) >= WORDS:
                    yield f"{room}/{path.name}:{node.lineno}", known


SENTENCES = list(sentences())


@pytest.fixture(scope="module")
def said():
    return texts()


def test_there_are_many():
    assert len(SENTENCES) > 400


def test_every_sentence_is_said_by_a_run_and_left_out_by_another(said):
    missing, everywhere = [], []
    for where, parts in SENTENCES:
        runs = [name for name, text in said.items() if all(part in text for part in parts)]
        if not runs and not any(all(part in text.lower() for part in parts) for text in UNSAID):
            missing.append(f"{where} {' ... '.join(parts)}")
        if len(runs) == len(said):
            everywhere.append(f"{where} {' ... '.join(parts)}")
    assert missing == [] and everywhere == []
