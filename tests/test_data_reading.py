"""CSV and its kin: separators, encodings, quotes and ways to write numbers; and one line with the row for what cannot be read."""

import gzip

import numpy as np
import pandas as pd
import pytest
from data_checks import SPLIT, prepared, refused

from trivet.data.kinds import Writing, typed
from trivet.data.reading import read_frame
from trivet.errors import UserError

READING = {"sep": None, "decimal": ".", "thousands": None, "encoding": None, "na_values": []}


def read(tmp_path, content, name="a.csv", **changes):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    frame, facts = read_frame(path, "data.file", {**READING, **changes})
    return frame.astype(object).where(frame.notna(), None).values.tolist(), list(frame), facts


PLAIN = [["1", "red"], ["2", "green"]]


@pytest.mark.parametrize(
    ("content", "name", "changes", "separator"),
    [
        ("size,colour\n1,red\n2,green\n", "a.csv", {}, "comma"),
        ("size;colour\n1;red\n2;green\n", "a.csv", {}, "semicolon"),
        ("size\tcolour\n1\tred\n2\tgreen\n", "a.csv", {}, "tab"),
        ("size\tcolour\n1\tred\n2\tgreen\n", "a.TSV", {}, "tab"),
        ("size|colour\n1|red\n2|green\n", "a.csv", {}, "bar"),
        ("size,colour\n\u00a01,red\n2\u202f,green\n", "a.csv", {}, "comma"),  # spaces that do not break
        ("size:colour\n1:red\n2:green\n", "a.csv", {"sep": ":"}, ":"),
        ("size\tcolour\n1\tred\n2\tgreen\n", "a.csv", {"sep": "\\t"}, "tab"),
        ("size\tcolour\n1\tred\n2\tgreen\n", "a.csv", {"sep": "tab"}, "tab"),
        ("size,colour\r\n1,red\r\n2,green\r\n", "a.csv", {}, "comma"),
        ("size , colour\n 1, red\n2 ,green ", "a.csv", {}, "comma"),
        ("\ufeffsize,colour\n1,red\n2,green\n", "a.csv", {}, "comma"),
        ("\ufeffsize,colour\n1,red\n2,green\n", "a.csv", {"encoding": "UTF8"}, "comma"),
        ("size,colour\n1,red\n2,green\n".encode("utf-16"), "a.csv", {}, "comma"),
        (gzip.compress(b"size,colour\n1,red\n2,green\n", mtime=0), "a.csv.gz", {}, "comma"),
        (gzip.compress(b"size\tcolour\n1\tred\n2\tgreen\n", mtime=0), "a.tsv.gz", {}, "tab"),
        ("size,colour,\n1,red,\n2,green,\n", "a.csv", {}, "comma"),  # separators at the ends of the rows
        ('"size","colour"\n"1","red"\n"2","green"\n', "a.csv", {}, "comma"),
        ("size,colour\n1,red\n2,green\n".encode("utf-32"), "a.csv", {}, "comma"),
        ("size,colour\n1,red\n2,green\n  \n\n", "a.csv", {}, "comma"),  # blanks in the last line
        ('"size\n ",colour\n1,red\n2,green\n', "a.csv", {}, "comma"),  # a line that ends inside a name
    ],
)
def test_the_same_table_however_it_is_written(tmp_path, content, name, changes, separator):
    rows, names, facts = read(tmp_path, content, name, **changes)
    assert (rows, names, facts["separator"]) == (PLAIN, ["size", "colour"], separator)


def test_quotes_keep_separators_line_ends_and_quotes(tmp_path):
    rows, _, _ = read(tmp_path, 'size,note\n1,"a, b"\n2,"first\nsecond"\n3,"say ""no"""\n')
    assert rows == [["1", "a, b"], ["2", "first\nsecond"], ["3", 'say "no"']]


def test_latin_1_is_read_when_it_is_named(tmp_path):
    content = "stra\xdfe,y\nK\xf6ln,1\n".encode("latin-1")
    with pytest.raises(UserError, match=r"line 1: the byte after 'stra' is not utf-8: set data.encoding, for example latin-1"):
        read(tmp_path, content)
    rows, names, facts = read(tmp_path, content, encoding="latin-1")
    assert (rows, names, facts["encoding"]) == ([["K\xf6ln", "1"]], ["stra\xdfe", "y"], "latin-1")


def test_letters_that_nobody_wrote_are_refused(tmp_path):
    """A wrong encoding that is given reads every file; the letters tell."""
    with pytest.raises(
        UserError, match=r"data.encoding=latin-1: the letters of .* are utf-8, and would be others: leave data.encoding out"
    ):
        read(tmp_path, "town,y\nK\xf6ln,1\nUlm,2\n", encoding="latin-1")
    content = "town,y\nUlm,1\n5 \u20ac,2\n".encode("cp1252")
    with pytest.raises(UserError, match=r"line 3: what comes after '5 ' is no letter in latin-1: set data.encoding=cp1252"):
        read(tmp_path, content, encoding="latin-1")
    assert read(tmp_path, content, encoding="cp1252")[0][1] == ["5 \u20ac", "2"]


def test_letters_that_look_the_same_are_the_same(tmp_path):
    rows, names, _ = read(tmp_path, "sto\u0308rung,y\nKo\u0308ln,1\nK\xf6ln,2\n")
    assert (names[0], rows[0][0]) == ("st\xf6rung", rows[1][0])


def test_a_mark_that_also_cuts_the_cells_may_stand_inside_quotes(tmp_path):
    content = 'size,y\n"1,234",no\n"2,345",yes\n'
    assert read(tmp_path, content, thousands=",")[0] == [["1,234", "no"], ["2,345", "yes"]]
    assert read(tmp_path, content, decimal=",")[0][0][0] == "1,234"


def test_rows_are_numbered_as_a_spreadsheet_does_and_empty_lines_count(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n\n3,4\n\n")
    frame, _ = read_frame(path, "data.file", READING)
    assert list(frame.index) == [2, 4]


def test_a_column_without_a_name_is_called_as_pandas_calls_it(tmp_path):
    assert read(tmp_path, ",a\n0,5\n1,6\n")[1] == ["Unnamed: 0", "a"]


def test_only_empty_cells_and_named_markers_are_missing(tmp_path):
    content = "a,b\nNA,1\n,-999\nNone,-999.0\n?,2\n"
    assert read(tmp_path, content)[0] == [["NA", "1"], [None, "-999"], ["None", "-999.0"], ["?", "2"]]
    assert read(tmp_path, content, na_values={"b": [-999, 2]})[0] == [["NA", "1"], [None, None], ["None", None], ["?", None]]
    with pytest.raises(UserError, match=r"data.na_values=B: there is no such column; did you mean b\?"):
        read(tmp_path, content, na_values={"B": ["?"]})
    assert read(tmp_path, content, na_values=["?", "NA", -999])[0] == [[None, "1"], [None, None], ["None", None], [None, "2"]]


@pytest.mark.parametrize(
    ("content", "changes", "message"),
    [
        ("a,b\n1,2\n1,2,3\n", {}, "row 3 has 3 cells, the header 2; the last is '3': mend it, or set data.sep"),
        ("a,b\n1,2\n1\n", {}, "row 3 has 1 cells, the header 2; nothing for column b"),
        ('a,b\n1,2\n"1,2\n', {}, "row 3 cannot be read (unexpected end of data): look for a quote without its partner"),
        ('a,b\n1,2\n"1"2,3\n', {"sep": ","}, "row 3 cannot be read ("),
        ("a\n1\n2\n", {}, "its first row is one cell, 'a': set data.sep"),
        ("a,b;c,d\n1,5;2,5\n", {}, "comma and semicolon both cut its rows into equal numbers of cells: set data.sep"),
        ("a,a\n1,2\n", {}, "has two columns called a: rename one"),
        ("\n\na,b\n1,2\n", {}, "row 1 is empty: it must hold the names of the columns"),
        ("a,b\n", {}, "has no rows"),
        (" \n  \n", {}, "holds nothing but blanks"),
        ("a,b\n1,2\n", {"sep": ";"}, "cut by semicolon its first row is one cell, 'a,b': set data.sep"),
        ("a,b\n1,\x002\n", {}, "line 2 holds a NUL"),
        ("sep=;\na;b\n1;2\n", {}, "row 1, 'sep=;', is no row of names: remove it, and set 'data.sep=\";\"'"),
        ("# made by us\na,b\n1,2\n", {}, "row 1, '# made by us', is a remark: remove it"),
        (b"PK\x03\x04", {}, "is a zip archive or an Excel workbook: unpack it, or save its table as CSV"),
        (b"PAR1", {}, "is a Parquet file: name it .parquet"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0), {}, "is compressed with gzip: name it .csv.gz"),
        (b"\x93NUMPY", {}, "is a NumPy array"),
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            {},
            "is a pointer of Git LFS, not the file itself: run git lfs pull",
        ),
        ("\n <!DOCTYPE html>", {}, "is a web page"),
        ('\ufeff{"a": [1, 2]}', {}, "is JSON: save its table as CSV"),
        ("a,b\n1,2\n", {"encoding": "utf-99"}, "data.encoding=utf-99: there is no such text encoding"),
        ("a,b\n1,2\n", {"encoding": "base64"}, "data.encoding=base64: there is no such text encoding"),
        ("a,b\n1,2\n", {"encoding": "utf-16"}, "cannot be read"),
        ("a,b\n1,2\n", {"decimal": ","}, "data.decimal=,: also separates the cells"),
        ("a;b\n1;2\n", {"thousands": ";"}, "data.thousands=;: also separates the cells"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_row(tmp_path, content, changes, message):
    with pytest.raises(UserError) as error:
        read(tmp_path, content, **changes)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content"), [("a.csv.gz", b"no gzip"), ("a.csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0)[:-9]), ("a.gz", b"x"), ("a", b"x")]
)
def test_files_that_are_not_what_their_names_say(tmp_path, name, content):
    with pytest.raises(UserError, match=r"cannot be read|must end in"):
        read(tmp_path, content, name)


@pytest.mark.parametrize(
    ("writing", "text", "number"),
    [
        (Writing(), "1.5", 1.5),
        (Writing(), "-2e3", -2000),
        (Writing(), "1,5", None),
        (Writing(), "1_000", None),
        (Writing(","), "1,5", 1.5),
        (Writing(","), ",5", 0.5),
        (Writing(","), "-1,5e2", -150),
        (Writing(","), "1.5", None),
        (Writing(",", "."), "1.234,56", 1234.56),
        (Writing(",", "."), "1.234.567", 1234567),
        (Writing(",", "."), "12,5", 12.5),
        (Writing(",", "."), "12.34", None),  # no group of three: pandas would read 1234
        (Writing(".", ","), "1,234", 1234),
        (Writing(".", ","), "1,5", None),
        (Writing(".", " "), "1 234.5", 1234.5),
        (Writing(".", "'"), "12'345", 12345),
        (Writing(",", "."), "", None),
    ],
)
def test_numbers_as_they_are_written(writing, text, number):
    found = writing.parse(pd.Series([text], dtype=object)).iloc[0]
    assert np.isnan(found) if number is None else found == number


def table(tmp_path, cells, **changes):
    """A table of two columns whose first has these cells, and 40 - n cells that are numbers."""
    rows = [*cells, *(str(n) for n in range(40 - len(cells)))]
    lines = [f'"{cell}";{"no" if i % 2 else "yes"}' for i, cell in enumerate(rows)]
    (tmp_path / "a.csv").write_text("\n".join(["size;y", *lines, ""]))
    return {"name": "table", "file": str(tmp_path / "a.csv"), "target": "y", "task": "classification", **SPLIT, **changes}


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["1,5"], "column size: '1,5' in row 2 is no number as numbers are written here: set 'data.decimal=\",\"'"),
        (["1,5"] * 40, "'1,5' in row 2 is no number as numbers are written here: set 'data.decimal=\",\"'"),
        (["1,234.5"], "'1,234.5' in row 2 is no number as numbers are written here: set 'data.thousands=\",\"'"),
        (["1.234,5"], "'1.234,5' in row 2 is no number as numbers are written here: set data.thousands=. and 'data.decimal=\",\"'"),
        (["1 234"], "set 'data.thousands=\" \"'"),
        (["1\u00a0234"], "set 'data.thousands=\" \"'"),
        (["1_234"], "set data.thousands=_"),
        (
            ["5 %", "6 %", "7 %"] * 10,
            "column size: '5 %' in row 2 is a number with '%' beside it: write the number alone, or set data.categor",
        ),
        (["$5", "$6.50", "$1,000"] * 10, "a number with '$' beside it"),
        (["-5kg", "6kg", "7kg"] * 10, "a number with 'kg' beside it"),
        (["12\u20ac", "3,50\u20ac", "4\u20ac"] * 10, "a number with '\u20ac' beside it"),
        ((["May 1, 2024", "12 Jun 2024", "January 2024"] * 14)[:40], "holds dates or times"),
        ((["Mon, 01 Jan 2024", "1. M\u00e4rz 2024", "2024-05", "2024Q3", "10:30 pm"] * 8), "holds dates or times"),
        (
            ["2024-05-01", "2024-06-01", "2024-07-01", "NA"] * 10,
            "holds dates or times: turn it into numbers, or add it to data.drop, or set",
        ),
        (["1'234"], "set 'data.thousands=\"'"),
        (["1\u2019234"], "set 'data.thousands=\"\u2019\"'"),
        (["12,34,567"], "write them without marks between the digits"),
        (["1.5D+03"], "write e for the exponent"),
        (["EUR 5", "EUR 6", "EUR 7"] * 10, "a number with 'EUR' beside it"),
        (["'5", "'6", "'7"] * 10, 'a number with "\'" beside it'),
        ([f"{n} {'kg' if n % 2 else 'lb'}" for n in range(40)], "with 'kg' or 'lb' beside it: write the number alone, all in one unit"),
        (["80 km/h", "90 km/h", "100 km/h"] * 10, "a number with 'km/h' beside it"),
        (["far"] * 26, "'far' in row 2 is not a number (and 25 more such cells): mend it, or set 'data.na_values=[\"far\"]' if it is"),
        (["7", "abc"], "column size: 'abc' in row 3 is not a number: mend it, or set data.categorical=[size]"),
        (["abc", "def"], "'abc' in row 2 is not a number (and 1 more such cells)"),
        (["7", "?", "?"], "'?' stands for a missing number in 2 row(s), the first is row 3: set 'data.na_values=[\"?\"]', and data.impute"),
        (["NA", "-"], 'set \'data.na_values=["NA","-"]\''),
        (["nan"], "'nan' stands for a missing number"),
        ([""], "column size has 1 missing values, the first in row 2: set data.impute=median"),
        (["1e400"], "column size has infinite or too large values, the first in row 2"),
        (["2024-05-01"] * 40, "column size holds dates or times: turn it into numbers, or add it to data.drop"),
    ],
)
def test_a_cell_that_is_no_number_is_told_and_never_made_a_category(tmp_path, cells, message):
    refused(table(tmp_path, cells), tmp_path, message)


def test_a_column_that_is_written_in_another_way_than_was_said_is_refused(tmp_path):
    message = (
        "column size: '1.5' in row 2 is no number as numbers are written here ('data.decimal=\",\"'): write those of all columns in one"
    )
    refused(table(tmp_path, ["1.5", "2.5"] * 20, decimal=","), tmp_path, message)
    refused(table(tmp_path, ["1,234.5"] * 40, decimal=","), tmp_path, "'1,234.5' in row 2 is no number as numbers are written here (")


def test_a_name_with_the_word_column_in_it_is_named_whole(tmp_path):
    config = table(tmp_path, ["abc"])
    text = (tmp_path / "a.csv").read_text().replace("size;", "my column 5;", 1)
    (tmp_path / "a.csv").write_text(text)
    refused(config, tmp_path, "or set 'data.categorical=[\"my column 5\"]' if its numbers are names")


@pytest.mark.parametrize(
    ("cells", "changes", "columns"),
    [
        (["1,5", "2,5"], {"decimal": ","}, ["size"]),
        (["1.234,5"], {"decimal": ",", "thousands": "."}, ["size"]),
        (["?", "NA", ""], {"na_values": ["?", "NA"], "impute": "median"}, ["size"]),
        (["3+"] * 2, {"categorical": ["size"]}, None),
        (["small"] * 30, {"categorical": ["size"]}, None),
        (["true", "False"] * 20, {}, ["size"]),
        (["\u22125", "\u2212.5", "3"] * 10, {}, ["size"]),  # the minus of typesetters
        (["5 %", "6 %", "7 %"] * 10, {"categorical": ["size"]}, None),
        (["2door", "4door"] * 20, {}, ["size=2door", "size=4door"]),
        (["1A", "2A", "3A", "1B"] * 10, {}, ["size=1A", "size=1B", "size=2A", "size=3A"]),  # seats
        (["far"] * 31, {"categorical": ["size"]}, None),
        (["12D34", "5D6", "7D8"] * 13 + ["12D34"], {}, ["size=12D34", "size=5D6", "size=7D8"]),
        (["10-19", "20-29", "500-1000", "16:9"] * 10, {}, ["size=10-19", "size=16:9", "size=20-29", "size=500-1000"]),
        (["10+ years", "2 years", "< 1 year", "1 year"] * 10, {}, ["size=1 year", "size=10+ years", "size=2 years", "size=< 1 year"]),
        (["1Fam", "2fmCon", "1.5Fin", "SLvl"] * 10, {}, ["size=1.5Fin", "size=1Fam", "size=2fmCon", "size=SLvl"]),
        ((["1st", "2nd", "3rd"] * 14)[:40], {}, ["size=1st", "size=2nd", "size=3rd"]),
        ((["10-20", "20-30", "30-40"] * 14)[:40], {}, ["size=10-20", "size=20-30", "size=30-40"]),
        (["a", "b", "c", "1"] * 10, {}, ["size=1", "size=a", "size=b", "size=c"]),
    ],
)
def test_the_mend_that_a_line_names_works(tmp_path, cells, changes, columns):
    meta, search, _ = prepared(table(tmp_path, cells, **changes), tmp_path)
    if columns is None:
        assert all(name.startswith("size=") for name in meta["columns"])
    else:
        assert meta["columns"] == columns
    assert search.train.x.isfinite().all()


def test_whole_numbers_stay_whole():
    assert typed(pd.Series(["1", "2"], dtype="str"), "x", Writing()).dtype == np.int64


def test_rows_without_a_target_are_told_or_left_out(tmp_path):
    config = table(tmp_path, [])
    text = (tmp_path / "a.csv").read_text().replace(";no\n", ";\n", 1)
    (tmp_path / "a.csv").write_text(text)
    refused(
        config, tmp_path, "data.target=y: 1 rows have no value, the first is row 3: drop those rows, or set data.drop_missing_target=true"
    )
    meta, *_ = prepared({**config, "drop_missing_target": True}, tmp_path)
    assert meta["n_train"] + meta["n_val"] + meta["n_test"] == 39
    assert meta["understood"]["file"] == {"separator": "semicolon", "encoding": "utf-8", "rows": 40, "rows_without_target": 1}
    (tmp_path / "a.csv").write_text("size;y\n1;\n2;\n")
    refused({**config, "drop_missing_target": True}, tmp_path, "no row has a value of y")


def test_a_target_of_measurements_is_no_list_of_classes(tmp_path):
    config = table(tmp_path, [], target="size")
    refused(config, tmp_path, "they look like measurements, not classes: set data.task=regression")
    assert prepared({**config, "task": "regression"}, tmp_path)[0]["task"] == "regression"
