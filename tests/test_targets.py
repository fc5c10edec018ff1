"""Code that a config names by its path: whatever it raises where it is imported or called is one line."""

import itertools
import sys

import pytest
from omegaconf import OmegaConf

from trivet import targets
from trivet.errors import UserError
from trivet.sweep import identifying, worker


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class Told(UserError):
    pass


RAISED = {
    "an error": (ValueError("a\nb\x1b[2J"), "ValueError: a"),
    "an error without a text": (Mute(), "Mute"),
    "an end of the process": (SystemExit(0), "SystemExit: 0"),
    "an end with a text": (SystemExit("usage: app.py"), "SystemExit: usage: app.py"),
    "too deep a recursion": (RecursionError("deep"), "RecursionError: deep"),
    "too much memory": (MemoryError(), "MemoryError"),
}
RAISING = None


def anybodys(*_given, **_named):
    raise RAISING


WAYS = {
    "identity.call": lambda path: identifying._called(path, OmegaConf.create({"lr": 1})),
    "custom_search_space": lambda path: worker._extension(path, OmegaConf.create({"lr": 1}))(None),
    "x": lambda path: targets.build(path, {"seed": 1}, "hydra.sweeper.x"),
}


@pytest.mark.parametrize(("kind", "way"), list(itertools.product(RAISED, WAYS)))
def test_what_the_code_raises_is_one_line(kind, way, monkeypatch):
    error, words = RAISED[kind]
    monkeypatch.setattr(sys.modules[__name__], "RAISING", error)
    with pytest.raises(UserError) as told:
        WAYS[way](f"{__name__}.anybodys")
    text = str(told.value)
    assert text.startswith(f"hydra.sweeper.{way}={__name__}.anybodys: ") and text.endswith(words) and text.isprintable()


@pytest.mark.parametrize("way", WAYS)
def test_a_line_of_its_own_stays(way, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "RAISING", Told("data=x: is missing; run prepare"))
    with pytest.raises(Told, match=r"^data=x: is missing; run prepare$"):
        WAYS[way](f"{__name__}.anybodys")


@pytest.mark.parametrize("text", ["import sys; sys.exit(0)", "raise SystemExit", "1 / 0", "def f(:", "raise Exception('\\ud800')", "\x00"])
@pytest.mark.parametrize("way", WAYS)
def test_a_module_that_cannot_be_imported_is_one_line(way, text, tmp_path, monkeypatch):
    (tmp_path / "odd_module.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=rf"^hydra\.sweeper\.{way}=odd_module\.f: cannot be imported") as told:
        WAYS[way]("odd_module.f")
    assert str(told.value).isprintable()
