"""What a trial's end means: its row, and a reason that is one printable line, the same in every run."""

import errno
import itertools
import math
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
from hydra.core.utils import JobReturn, JobStatus

import trivet
from trivet.study.records import Outcome
from trivet.sweep.alarm import TrialTimeout
from trivet.sweep.outcome import is_studys_disk, outcome_of


class Odd:
    """Says nothing of itself."""

    def __str__(self):
        return str(1 / 0)

    __repr__ = __str__


class Mute(Exception):
    """An error that cannot say what it is."""

    def __str__(self):
        raise RuntimeError


def returned(value):
    result = JobReturn()
    result.return_value, result.status = value, JobStatus.COMPLETED
    return result


def raised(error):
    result = JobReturn()
    result._return_value, result.status = error, JobStatus.FAILED
    return result


@pytest.mark.parametrize(
    ("value", "n", "outcome"),
    [
        (0.5, 1, Outcome("COMPLETE", (0.5,))),
        (3, 1, Outcome("COMPLETE", (3.0,))),
        (np.float32(0.25), 1, Outcome("COMPLETE", (0.25,))),
        (np.array(0.25), 1, Outcome("COMPLETE", (0.25,))),
        ("0.5", 1, Outcome("COMPLETE", (0.5,))),
        (None, 1, Outcome("FAIL", reason="returned nothing: the task function must return the objective")),
        (None, 2, Outcome("FAIL", reason="returned nothing: the task function must return the objective")),
        ("good", 1, Outcome("FAIL", reason="returned 'good': must be a number")),
        ({"a": 1}, 1, Outcome("FAIL", reason="returned a mapping of a: the objective must be in it as `value`")),
        ({"value": 2, "a": 1}, 1, Outcome("COMPLETE", (2.0,), metrics={"a": 1.0})),
        ({"value": [2, 3], "a": True}, 2, Outcome("COMPLETE", (2.0, 3.0), metrics={"a": 1.0})),
        ({"value": 2, "a": "many"}, 1, Outcome("FAIL", reason="returned {'value': 2, 'a': 'many'}: what is in a mapping must be numbers")),
        ({"value": "x"}, 1, Outcome("FAIL", reason="returned 'x': must be a number")),
        ((1, 2), 1, Outcome("FAIL", reason="returned '(1, 2)': must be a number")),
        (math.nan, 1, Outcome("FAIL", reason="diverged: the objective is nan")),
        (-math.inf, 1, Outcome("FAIL", reason="diverged: the objective is -inf")),
        ((1, 2.5), 2, Outcome("COMPLETE", (1.0, 2.5))),
        ([1, 2], 2, Outcome("COMPLETE", (1.0, 2.0))),
        (np.array([1, 2]), 2, Outcome("COMPLETE", (1.0, 2.0))),
        ((x for x in (1, 2)), 2, Outcome("COMPLETE", (1.0, 2.0))),
        (0.5, 2, Outcome("FAIL", reason="returned 0.5: must be 2 numbers, one per direction")),
        ("12", 2, Outcome("FAIL", reason="returned '12': must be 2 numbers, one per direction")),
        ((1, 2, 3), 2, Outcome("FAIL", reason="returned 3 values: must be 2, one per direction")),
        ((1, "a"), 2, Outcome("FAIL", reason="returned \"(1, 'a')\": must be numbers")),
        ((1, math.nan), 2, Outcome("FAIL", reason="diverged: the objective is 1.0, nan")),
        (10**400, 1, Outcome("FAIL", reason="returned a whole number of 1329 bits: no float is as large")),
        pytest.param(10**5000, 1, Outcome("FAIL", reason="returned a whole number of 16610 bits: no float is as large"), id="huge"),
        (Fraction(10**400), 1, Outcome("FAIL", reason=f"returned '1{'0' * 79}': no float is as large")),
        ((1, 10**400), 2, Outcome("FAIL", reason=f"returned '(1, 1{'0' * 75}': no float is as large")),
        (Decimal("sNaN"), 1, Outcome("FAIL", reason="returned 'sNaN': must be a number")),
        (Decimal("1e999"), 1, Outcome("FAIL", reason="diverged: the objective is inf")),
        (1j, 1, Outcome("FAIL", reason="returned '1j': must be a number")),
        ("a\ud800\x1b[2J\nb", 1, Outcome("FAIL", reason="returned 'a\\ud800\\x1b[2J\\nb': must be a number")),
        (Odd(), 1, Outcome("FAIL", reason="returned '<its str() raised ZeroDivisionError>': must be a number")),
        (Odd(), 2, Outcome("FAIL", reason="returned <its repr() raised ZeroDivisionError>: must be 2 numbers, one per direction")),
        (itertools.count(), 2, Outcome("FAIL", reason="returned 3 or more values: must be 2, one per direction")),
        ((x for x in (1,)), 2, Outcome("FAIL", reason="returned 1 values: must be 2, one per direction")),
        ((1 / 0 for _ in (1,)), 2, None),
    ],
)
def test_what_is_returned(value, n, outcome):
    found = outcome_of(returned(value), n)
    assert found == outcome or (outcome is None and found.state == "FAIL")
    assert found.reason.isprintable()


def hostile(base, error, *names):
    """An object of a class that raises in these methods."""

    def raises(*_given):
        raise error

    return type("Hostile", (base,), dict.fromkeys(names, raises))


@pytest.mark.parametrize(
    "error", [ValueError("\x1b[2J\n"), SystemExit(0), RecursionError(), Mute()], ids=lambda error: type(error).__name__
)
@pytest.mark.parametrize("n", [1, 2])
def test_whatever_an_object_raises_where_it_is_looked_at_is_a_row(n, error):
    key, number = hostile(object, error, "__str__", "__repr__")(), hostile(int, error, "bit_length", "__float__")(3)
    values = [
        {key: 1},
        {"value": 1.0, key: 2},
        hostile(dict, error, "__contains__")(value=1),
        hostile(dict, error, "__getitem__", "items")(value=1),
        hostile(list, error, "__len__", "__repr__")([1, 2, 3]),
        hostile(list, error, "__iter__")([1, 2]),
        hostile(object, error, "__getattribute__")(),
        hostile(object, error, "__float__", "__iter__", "__str__", "__repr__")(),
        number,
        [number, number],
    ]
    for value in values:
        found = outcome_of(returned(value), n)
        assert found.state == "FAIL" and found.reason and found.reason.isprintable(), type(value).__bases__
    for kind in (Exception, trivet.Diverged, trivet.TrialPruned, SystemExit):
        found = outcome_of(raised(hostile(kind, error, "__str__", "__repr__")("x")), n)
        assert found.state in ("FAIL", "PRUNED") and found.reason.isprintable()


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (trivet.TrialPruned("x"), Outcome("PRUNED")),
        (optuna.TrialPruned(), Outcome("PRUNED", reason="raised TrialPruned itself")),
        (trivet.Diverged("loss is nan at epoch 3"), Outcome("FAIL", reason="diverged: loss is nan at epoch 3")),
        (TrialTimeout(), Outcome("FAIL", reason="timed out after 2.5 s")),
        (SystemExit(3), Outcome("FAIL", reason="called sys.exit(3)")),
        (SystemExit("bye"), Outcome("FAIL", reason="called sys.exit('bye')")),
        (MemoryError(), Outcome("FAIL", reason="out of memory")),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA ..."), Outcome("FAIL", reason="out of memory")),
        (ValueError("first\nsecond"), Outcome("FAIL", reason="ValueError: first")),
        (ValueError(), Outcome("FAIL", reason="ValueError")),
        (KeyError("lr"), Outcome("FAIL", reason="KeyError: 'lr'")),
        (Mute(), Outcome("FAIL", reason="Mute: <its str() raised RuntimeError>")),
        (SystemExit(Odd()), Outcome("FAIL", reason="called sys.exit(<its repr() raised ZeroDivisionError>)")),
        (ValueError("tab\tbell\a\x1b[31mred \ud800 \x00"), Outcome("FAIL", reason="ValueError: tab bell\\x07\\x1b[31mred \\ud800 \\x00")),
        (trivet.Diverged("two\nlines"), Outcome("FAIL", reason="diverged: two lines")),
        (RuntimeError(f"no {object()!r} here"), Outcome("FAIL", reason="RuntimeError: no <object object at 0x...> here")),
        (RuntimeError("DataLoader worker (pid 4711) died"), Outcome("FAIL", reason="RuntimeError: DataLoader worker (pid ...) died")),
        (RuntimeError("worker (pid(s) 1, 22) exited"), Outcome("FAIL", reason="RuntimeError: worker (pid(s) ...) exited")),
        (
            OSError(2, "No such file", "/tmp/tmpab12_x/y"),
            Outcome("FAIL", reason="FileNotFoundError: [Errno 2] No such file: '/tmp/tmp.../y'"),
        ),
        (ValueError("x" * 10**6), Outcome("FAIL", reason="ValueError: " + "x" * 284 + " ...")),
    ],
)
def test_what_is_raised(error, outcome):
    found = outcome_of(raised(error), 1, 2.5)
    assert found == outcome
    assert found.reason.isprintable()


def test_a_trial_whose_time_was_up_has_timed_out_whatever_it_made_of_that():
    for result in (returned(0.5), raised(RuntimeError("a pool broke")), raised(TrialTimeout())):
        assert outcome_of(result, 1, 3.0, timed_out=True) == Outcome("FAIL", reason="timed out after 3 s")


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@pytest.mark.parametrize("number", FULL)
def test_a_full_disk_is_the_studys_where_its_folder_is_on_it(number, tmp_path, monkeypatch):
    other = Path("/proc/self/nowhere")  # another file system
    assert is_studys_disk(OSError(number, "full", str(tmp_path / "2" / "model.pt")), tmp_path)
    assert is_studys_disk(OSError(number, "full", str(tmp_path / "2" / "model.pt").encode()), tmp_path)
    assert not is_studys_disk(OSError(number, "full", str(other)), tmp_path)
    assert not is_studys_disk(OSError(number, "full"), tmp_path), "no name, and here is room"
    assert not is_studys_disk(OSError(number, "full", 7), tmp_path)
    assert list(tmp_path.iterdir()) == []
    small = SimpleNamespace(f_bavail=100, f_frsize=4096)
    monkeypatch.setattr("os.statvfs", lambda _: small)
    assert is_studys_disk(OSError(number, "full"), tmp_path)


def test_other_errors_are_no_disks():
    for error in (OSError(errno.ENOENT, "x"), OSError("x"), RuntimeError("No space left on device")):
        assert not is_studys_disk(error, Path("/"))


def test_a_folder_that_takes_nothing_is_a_full_disk(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    assert is_studys_disk(OSError(errno.ENOSPC, "full"), tmp_path)
