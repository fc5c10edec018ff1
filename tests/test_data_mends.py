"""The mends that a line names are read back by a shell and by Hydra as what they are meant to be."""

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from trivet.data.mends import listed, mark, missing
from trivet.data.patterns import OTHER_WAYS


@pytest.mark.parametrize(
    "values",
    [
        ["id"],
        ["a", "b_2"],
        ["height (cm)"],
        ["a,b", "c=d", "[e]"],
        ["?"],
        ["-999"],
        ["null", "true", "nan"],
        ["it's"],
        ['say "no"'],
        ["\\N"],
        ["end\\"],
        ["5 $"],
    ],
)
@pytest.mark.parametrize("quoted", [False, True])
def test_a_list_is_read_as_it_was_meant(values, quoted):
    [word] = shlex.split(listed("data.drop", values, quoted))
    override = OverridesParser.create().parse_override(word)
    assert (override.key_or_group, override.value()) == ("data.drop", values)
    assert all(isinstance(value, str) for value in override.value())


def test_a_mark_of_one_column_is_read_as_it_was_meant():
    [word] = shlex.split(missing("age", "-999"))
    assert OverridesParser.create().parse_override(word).value() == {"age": ["-999"]}
    assert missing("height (cm)", "-999") == "'data.na_values=[\"-999\"]', which holds in every column"


@pytest.mark.parametrize("character", [",", ";", "|", "\t", ".", " ", "_", "'", "\u2019", "^", ":", "~", "$", "#"])
def test_a_character_is_read_as_it_was_meant(character):
    [word] = shlex.split(mark("data.sep", character))
    assert OverridesParser.create().parse_override(word).value() == ("tab" if character == "\t" else character)


def test_every_other_way_to_write_numbers_has_a_mend_that_can_be_typed():
    named = [word.strip("()") for _, mend in OTHER_WAYS for word in shlex.split(mend) if "data." in word]
    values = {(o.key_or_group, o.value()) for o in map(OverridesParser.create().parse_override, named)}
    assert {value for key, value in values if key == "data.thousands"} == {".", ",", "'", "\u2019", " ", "_"}
    assert {value for key, value in values if key == "data.decimal"} == {","}
