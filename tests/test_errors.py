"""What a failed program said of its end."""

import pytest

from trivet.command import Definitions, Extractor
from trivet.errors import last_words

HINT = "Set the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "nothing"),
        (f"\n{HINT}\n", "nothing"),
        ("a\n  b  \n\n", "b"),
        (f"Traceback (most recent call last):\n  File x\nKeyError: 'lr'\n\n{HINT}", "KeyError: 'lr'"),
        (f"_pickle.UnpicklingError: Weights only load failed.\n\tmore of it\nCheck the documentation.\n{HINT}\n", None),
        ("ErrorBars drawn\nused by 3 Errors", "used by 3 Errors"),
        ("omegaconf.errors.ConfigAttributeError: Key 'x'\n    full_key: x", "omegaconf.errors.ConfigAttributeError: Key 'x'"),
    ],
)
def test_the_line_that_says_why(text, expected):
    assert last_words(text, "nothing") == (expected or "_pickle.UnpicklingError: Weights only load failed.")


def test_hydras_hint_is_no_last_line_of_a_command():
    extractor = Extractor(Definitions.read("x", {"x": "x=(.)"}, None), lambda *_: None)
    extractor.feed(f"KeyError: 'lr'\n{HINT}\n")
    assert extractor.last_line == "KeyError: 'lr'"
