"""The journal and the claims: nothing that a killed or failing writer leaves behind loses or blocks what others wrote."""

import errno
import itertools
import json
import multiprocessing
import os
import pickle
import random
import re
import subprocess
import threading
import time

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from trivet.errors import UserError
from trivet.study.journal import Journal, Records
from trivet.study.locks import FileLocks

RECORDS = [{"op_code": 0, "worker_id": "a"}, {"x": 0.1, "text": "ü\n\r\u2028 ✓ " + "long" * 10}, {"op": 3, "nan": None, "list": [1, [2]]}]
FORK = multiprocessing.get_context("fork")


def read(path):
    return list(Journal(path).read_logs(0))


def read_with_optuna(path):
    found = list(JournalFileBackend(str(path)).read_logs(0))
    for record in found:
        record.pop("trivet", None)  # the mark, which Optuna does not look at
    return found


def test_what_is_written_is_read_from_any_number_on(tmp_path):
    journal = Journal(tmp_path / "log")
    assert list(journal.read_logs(0)) == []
    for record in RECORDS:
        journal.append_logs([record])
    for start in (0, 1, 2, 3, 0, 2, 1, 5):  # back and forth: it remembers its place
        assert list(journal.read_logs(start)) == RECORDS[start:]
    other = Journal(tmp_path / "log")
    other.append_logs(RECORDS)
    assert list(journal.read_logs(3)) == RECORDS
    assert list(journal.read_logs(5)) == RECORDS[2:]
    assert read_with_optuna(tmp_path / "log") == RECORDS * 2


def test_a_reader_that_stops_half_way_loses_nothing(tmp_path):
    journal = Journal(tmp_path / "log")
    journal.append_logs(RECORDS)
    assert list(itertools.islice(journal.read_logs(0), 1)) == RECORDS[:1]
    assert list(journal.read_logs(1)) == RECORDS[1:]


def test_torn_at_every_byte_of_the_last_record(tmp_path):
    path = tmp_path / "log"
    Journal(path).append_logs(RECORDS)
    whole = path.read_bytes()
    before = whole.rindex(b"\n", 0, -1) + 1
    for size in range(before, len(whole)):
        path.write_bytes(whole[:size])
        assert read(path) == RECORDS[:2]
        reader = Journal(path)
        assert list(reader.read_logs(0)) == RECORDS[:2]
        Journal(path).append_logs([{"new": size}])
        assert read(path) == read_with_optuna(path) == [*RECORDS[:2], {"new": size}]
        assert list(reader.read_logs(2)) == [{"new": size}]
        JournalFileBackend(str(path)).append_logs([{"theirs": 1}])
        assert read(path) == [*RECORDS[:2], {"new": size}, {"theirs": 1}]


def test_torn_with_no_whole_record_and_with_a_very_long_one(tmp_path):
    path = tmp_path / "log"
    for torn in (b'{"a', b"x" * 10_000):
        path.write_bytes(torn)
        assert read(path) == []
        Journal(path).append_logs(RECORDS)
        assert read(path) == RECORDS
    path.write_bytes(b'{"first": 1}\n' + b"y" * 4096 * 3)
    Journal(path).append_logs(RECORDS)
    assert read(path) == [{"first": 1}, *RECORDS]
    for n in (4094, 4095, 4096):  # the newline is the last of one block of 4,096 bytes from the end, or the first of the next
        path.write_bytes(b'{"first": 1}\n' + b"y" * n)
        Journal(path).append_logs(RECORDS)
        assert read(path) == [{"first": 1}, *RECORDS], n


def test_a_study_goes_back_and_forth_between_the_two_backends(tmp_path):
    path = tmp_path / "log"
    ours = optuna.create_study(storage=JournalStorage(Journal(path)), study_name="s", direction="maximize")
    ours.enqueue_trial({"x": 0.5})
    ours.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=2)
    theirs = optuna.load_study(storage=JournalStorage(JournalFileBackend(str(path))), study_name="s")
    theirs.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=2)
    assert [t.params for t in ours.trials] == [t.params for t in theirs.trials] and len(ours.trials) == 4
    assert ours.trials[0].params == {"x": 0.5}


def test_a_batch_is_written_in_one_go_or_not_at_all(tmp_path):
    journal = Journal(tmp_path / "log")
    with journal.batch():
        journal.append_logs(RECORDS[:1])
        journal.append_logs(RECORDS[1:])
        assert read(tmp_path / "log") == []
    assert read(tmp_path / "log") == RECORDS
    with pytest.raises(KeyError), journal.batch():
        journal.append_logs(RECORDS)
        raise KeyError
    assert read(tmp_path / "log") == RECORDS
    with journal.batch():
        pass
    journal.append_logs(RECORDS)  # batches are over
    assert read(tmp_path / "log") == RECORDS * 2


def test_it_travels_as_its_path(tmp_path):
    journal = pickle.loads(pickle.dumps(Journal(tmp_path / "log")))
    journal.append_logs(RECORDS)
    assert read(tmp_path / "log") == RECORDS


def test_who_may_not_write_may_read(tmp_path, monkeypatch):
    Journal(tmp_path / "log").append_logs(RECORDS)
    opened = os.open

    def guarded(path, flags, *mode):
        if flags & (os.O_RDWR | os.O_WRONLY):
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags, *mode)

    monkeypatch.setattr(os, "open", guarded)
    assert read(tmp_path / "log") == RECORDS
    with pytest.raises(OSError):
        Journal(tmp_path / "log").append_logs(RECORDS)
    assert read(tmp_path / "log") == RECORDS


# Full disks ------------------------------------------------------------------------------------------------------------------


def full_disk(monkeypatch, n_bytes, meanwhile=lambda: None):
    """From now on a disk with room for `n_bytes` more: writes what fits, then fails."""
    pwrite, left = os.pwrite, [n_bytes]

    def limited(fd, data, offset):
        if left[0] == 0:
            meanwhile()
            raise OSError(errno.ENOSPC, "No space left on device")
        part = data[: left[0]]
        left[0] -= len(part)
        return pwrite(fd, part, offset)

    monkeypatch.setattr(os, "pwrite", limited)


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "log"
    journal = Journal(path)
    journal.append_logs(RECORDS[:2])
    before = path.read_bytes()
    n_bytes = len("".join(json.dumps(r, separators=(",", ":")) + "\n" for r in RECORDS))
    for room in range(n_bytes):
        with monkeypatch.context() as patch:
            full_disk(patch, room)
            with pytest.raises(OSError, match="No space left"):
                journal.append_logs(RECORDS)
        assert path.read_bytes() == before
    journal.append_logs(RECORDS)  # room again
    assert read(path) == read_with_optuna(path) == [*RECORDS[:2], *RECORDS]


def test_a_reader_never_sees_what_is_taken_back(tmp_path, monkeypatch):
    """The first record of an append fits on the disk and the second does not; a reader comes in between."""
    path = tmp_path / "log"
    writer, reader = Journal(path), Journal(path)
    writer.append_logs(RECORDS[:1])
    seen = []
    thread = threading.Thread(target=lambda: seen.extend(reader.read_logs(0)))

    def meanwhile():
        thread.start()
        thread.join(0.2)

    with monkeypatch.context() as patch:
        full_disk(patch, len(json.dumps(RECORDS[1], separators=(",", ":"))) + 30, meanwhile)
        with pytest.raises(OSError, match="No space left"):
            writer.append_logs(RECORDS[1:])
    thread.join()
    writer.append_logs([{"other": 1}])
    assert seen + list(reader.read_logs(len(seen))) == [RECORDS[0], {"other": 1}]


# Damage ------------------------------------------------------------------------------------------------------------------------


def a_study(path, n=4):
    study = optuna.create_study(storage=Records(Journal(path)), study_name="s")
    study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=n)
    return path.read_bytes().splitlines(keepends=True)


def swapped(lines, k):
    return [*lines[:k], lines[k + 1], lines[k], *lines[k + 2 :]]


DAMAGE = {  # what is done to line k (from 0) -> words of the error
    "lost": (lambda lines, k: lines[:k] + lines[k + 1 :], "was line"),
    "doubled": (lambda lines, k: lines[: k + 1] + lines[k:], "was line"),
    "swapped": (swapped, "was line"),
    "a digit": (lambda lines, k: [*lines[:k], lines[k].replace(b'"op_code":', b'"op_code":1', 1), *lines[k + 1 :]], "was changed"),
    "its number": (lambda lines, k: [*lines[:k], lines[k].replace(b'"trivet":[', b'"trivet":[1', 1), *lines[k + 1 :]], "was changed"),
    "its mark": (lambda lines, k: [*lines[:k], lines[k].split(b',"trivet"')[0] + b',"trivet":{}}\n', *lines[k + 1 :]], "was changed"),
    "cut": (lambda lines, k: [*lines[:k], lines[k][:20] + b"\n", *lines[k + 1 :]], "is no record"),
    "garbage": (lambda lines, k: [*lines[:k], b"\xff\x00\n", *lines[k:]], "is no record"),
    "empty": (lambda lines, k: [*lines[:k], b"\n", *lines[k:]], "is no record"),
    "no mapping": (lambda lines, k: [*lines[:k], b"[1]\n", *lines[k:]], "is no record"),
    "deep": (lambda lines, k: [*lines[:k], b"[" * 100_000 + b"\n", *lines[k:]], "is no record"),
    "foreign": (lambda lines, k: [*lines[:k], b'{"hello": 1}\n', *lines[k:]], "makes no sense"),
    "unknown": (lambda lines, k: [*lines[:k], b'{"op_code": 99, "worker_id": "x"}\n', *lines[k:]], "makes no sense"),
    "half": (lambda lines, k: [*lines[:k], b'{"op_code": 5, "worker_id": "x"}\n', *lines[k:]], "makes no sense"),
}


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("place", [1, 7, -2])
def test_damage_is_told_with_its_line_and_what_stands_before_it_is_kept(tmp_path, how, place):
    path = tmp_path / "log"
    lines = a_study(path)
    k = place % len(lines)
    damage, words = DAMAGE[how]
    damaged = damage(lines, k)
    path.write_bytes(b"".join(damaged))
    with pytest.raises(UserError, match=words) as error:
        optuna.load_study(storage=Records(Journal(path)), study_name="s").trials  # noqa: B018
    told = int(re.search(r": line (\d+) ", str(error.value))[1])
    assert told == next(i for i, (a, b) in enumerate(itertools.zip_longest(lines, damaged), 1) if a != b)
    assert path.read_bytes() == b"".join(damaged)
    subprocess.run(str(error.value).rpartition("cut it: ")[2], shell=True, check=True)
    assert path.read_bytes() == b"".join(lines[: told - 1])
    study = optuna.load_study(storage=Records(Journal(path)), study_name="s")
    study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=1)


def test_a_journal_without_marks_is_read_and_gone_on_with(tmp_path):
    path = tmp_path / "log"
    optuna.create_study(storage=JournalStorage(JournalFileBackend(str(path))), study_name="s").enqueue_trial({"x": 0.5})
    assert b"trivet" not in path.read_bytes()
    study = optuna.load_study(storage=Records(Journal(path)), study_name="s")
    study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=2)
    assert [t.number for t in optuna.load_study(storage=Records(Journal(path)), study_name="s").trials] == [0, 1]
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(optuna.load_study(storage=Records(Journal(path)), study_name="s").trials) == 2


# Several writers ---------------------------------------------------------------------------------------------------------------


def write_many(path, name, n):
    journal, rng = Journal(path), random.Random(name)
    for i in range(n):
        journal.append_logs([{"who": name, "i": i, "part": k, "of": 3, "fill": "x" * rng.randrange(300)} for k in range(3)])


def check_many(records, names, n):
    assert len(records) == 3 * n * len(names)
    for name in names:
        assert [(r["i"], r["part"]) for r in records if r["who"] == name] == [(i, k) for i in range(n) for k in range(3)]
    for group in zip(*[iter(records)] * 3, strict=True):  # what was appended together stays together
        assert len({(r["who"], r["i"]) for r in group}) == 1


def test_two_processes_append_while_a_third_reads(tmp_path):
    path = tmp_path / "log"
    processes = [FORK.Process(target=write_many, args=(path, name, 150)) for name in "ab"]
    for process in processes:
        process.start()
    reader, seen = Journal(path), []
    deadline = time.monotonic() + 60
    while len(seen) < 900 and time.monotonic() < deadline:
        seen += reader.read_logs(len(seen))
    for process in processes:
        process.join()
        assert process.exitcode == 0
    check_many(seen, "ab", 150)
    assert seen == read_with_optuna(path)


def test_threads_append(tmp_path):
    threads = [threading.Thread(target=write_many, args=(tmp_path / "log", name, 50)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_many(read(tmp_path / "log"), "abcd", 50)


# Claims --------------------------------------------------------------------------------------------------------------------------


def test_a_claim_has_one_owner(tmp_path):
    a, b = FileLocks(tmp_path), FileLocks(tmp_path)
    assert a.acquire(1) and not b.acquire(1) and not a.acquire(1)
    assert b.acquire(2)
    a.release(1)
    a.release(1)  # again: nothing
    b.release(1)  # not its own: nothing
    assert b.acquire(1) and not a.acquire(1)
    b.close()
    assert a.acquire(1) and a.acquire(2)
    a.close()
    assert not [p for p in tmp_path.iterdir() if p.name.isdigit()]


def hold(folder, ready):
    locks = FileLocks(folder)
    with locks.mutex():
        assert locks.acquire(7)
    ready.send("ready")
    time.sleep(600)


def hold_mutex(folder, ready):
    with FileLocks(folder).mutex():
        ready.send("ready")
        time.sleep(600)


def owner(function, folder):
    here, there = FORK.Pipe()
    process = FORK.Process(target=function, args=(folder, there))
    process.start()
    assert here.recv() == "ready"
    return process


def test_a_claim_is_free_when_its_owner_is_killed(tmp_path):
    locks = FileLocks(tmp_path)
    for _ in range(3):
        process = owner(hold, tmp_path)
        assert not locks.acquire(7)
        process.kill()
        process.join()
        assert locks.acquire(7)
        locks.release(7)


def test_the_mutex_is_free_when_its_owner_is_killed(tmp_path):
    process = owner(hold_mutex, tmp_path)
    process.kill()
    process.join()
    with FileLocks(tmp_path).mutex():
        pass


def test_a_claim_given_back_while_another_takes_it_has_one_owner(tmp_path, monkeypatch):
    """The file that b has opened is removed by its owner before b locks it: the lock would be on a file that nobody else finds."""
    a, b, c = (FileLocks(tmp_path) for _ in range(3))
    assert a.acquire(5)
    opened = os.open

    def open_then_release(path, *args):
        fd = opened(path, *args)
        a.release(5)
        return fd

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", open_then_release)
        took = b.acquire(5)
    assert [took, c.acquire(5)].count(True) == 1


def contend(folder, n):
    locks = FileLocks(folder)
    while n:
        with locks.mutex():
            got = locks.acquire(3)
        if got:
            os.close(os.open(folder / "owner", os.O_CREAT | os.O_EXCL))  # fails where another owner is
            (folder / "owner").unlink()
            locks.release(3)
            n -= 1


def test_never_two_owners_at_once(tmp_path):
    processes = [FORK.Process(target=contend, args=(tmp_path, 100)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0


def test_a_fork_holds_no_lock_of_its_parent(tmp_path):
    locks, other = FileLocks(tmp_path), FileLocks(tmp_path)
    assert locks.acquire(3)
    wait, go = os.pipe()
    begun, begin = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go)
        os.write(begin, b"!")
        os.read(wait, 1)
        os._exit(0)
    os.read(begun, 1)  # a fork lets go as its first act
    for fd in locks.fds():  # as the kernel does when the worker dies
        os.close(fd)
    with other.mutex():
        assert other.acquire(3), "the helper that it left behind holds nothing"
    os.close(go)
    os.waitpid(pid, 0)
    os.close(wait)
    other.close()
