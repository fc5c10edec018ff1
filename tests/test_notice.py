"""Told to go with notice: the running trial is handed back at its next report, whatever its app makes of that, and goes on later."""

import os
import signal
from types import SimpleNamespace

import hydra_apps
import pytest
from test_worker import Record

import trivet
from trivet.reports import TrialPruned
from trivet.study import tables
from trivet.study.tables import VARYING
from trivet.sweep import process
from trivet.sweep.alarm import Alarm
from trivet.sweep.notice import Notice
from trivet.sweep.reporter import TrialReporter

EAR = SimpleNamespace(note=lambda step, why: None)


@pytest.fixture(autouse=True)
def handlers():
    """What the test process does at these signals is put back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_notice_is_heard_once_and_passed_on_to_who_listened_before():
    heard = []
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append("before"))
    with Notice(lambda: heard.append("then")) as notice:
        assert not notice
        os.kill(os.getpid(), signal.SIGTERM)
        assert notice and heard == ["then"]
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard == ["then", "before"]  # a second one is what it would have been
    assert heard == ["then", "before", "before"]


def test_without_a_signal_nothing_changes():
    before = signal.getsignal(signal.SIGTERM)
    with Notice() as notice:
        assert signal.getsignal(signal.SIGTERM) != before
    assert not notice and signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("listens", [True, False])
def test_the_launchers_signal_is_heard_where_a_launcher_listens(listens):
    requeued = []
    signal.signal(signal.SIGUSR2, (lambda number, frame: requeued.append(number)) if listens else signal.SIG_IGN)
    with Notice() as notice:
        os.kill(os.getpid(), signal.SIGUSR2)
        assert bool(notice) == listens and requeued == []
    assert requeued == ([signal.SIGUSR2] if listens else [])


def test_a_worker_that_is_told_twice_is_told_once():
    channel = process.Channel(-1)
    channel.listen()
    assert not channel.leaving()
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGUSR2):
        os.kill(os.getpid(), number)
        assert channel.leaving()


def test_the_next_report_stops_the_trial_and_is_kept():
    record, going = Record(), []
    reporter = TrialReporter(record, 0, Alarm(), EAR, None, lambda: bool(going))
    reporter.report(0.5, 1, {})
    going.append(True)
    with pytest.raises(TrialPruned, match="preempted: handed back at step 2"):
        reporter.report(0.6, 2, {})
    assert reporter.left and record.rows == [(1, 0.5), (2, 0.6)]


def test_a_trial_that_is_pruned_at_that_step_is_pruned():
    record = Record()
    record.report = lambda *_: True
    record.history = SimpleNamespace(curve=lambda number: SimpleNamespace(pruned_at=1))
    reporter = TrialReporter(record, 0, Alarm(), EAR, None, lambda: True)
    with pytest.raises(TrialPruned, match="pruned: see the pruner's rule"):
        reporter.report(0.5, 1, {})
    assert not reporter.left


ENDINGS = {"raises": lambda error: error, "swallows": lambda error: None, "fails": lambda error: RuntimeError("its own")}


REPLICATED = ["hydra.sweeper.n_trials=2", "hydra.sweeper.replicates={key: seed, values: [0, 1, 2]}"]


@pytest.mark.parametrize(("ending", "more", "n_rows"), [*((ending, [], 2) for ending in ENDINGS), ("raises", REPLICATED, 0)])
def test_a_sweep_that_is_told_to_go_hands_its_trial_back_and_goes_on_to_the_same_table(ending, more, n_rows, tmp_path, capsys):
    """In the calling process; what the app makes of the stop is no result. The second run begins where the checkpoint stands; of a trial
    that has replicates, no run that ended before is run again."""
    conf = hydra_apps.write(tmp_path / "conf", {"config.yaml": "x: 0.5\nseed: 0\n"})
    begun, told = [], []

    def train(cfg):
        mark = trivet.resume_dir() / "last.txt"
        done = int(mark.read_text()) if mark.exists() else 0
        begun.append(done)
        for step in range(done + 1, 5):
            mark.write_text(str(step))
            if len(begun) == 3 and step == 2 and told:
                os.kill(os.getpid(), signal.SIGTERM)
            try:
                trivet.report(cfg.x * step, step)
            except TrialPruned as error:
                if (other := ENDINGS[ending](error)) is not None:
                    raise other from None
                return -1.0
        return cfg.x * 4

    def sweep(folder):
        begun.clear()
        given = ["x=interval(0,1)", "hydra.sweeper.n_trials=5", "hydra.sweeper.sampler=random", f"hydra.sweep.dir={tmp_path / folder}"]
        hydra_apps.sweep(conf, train, [*given, *more])

    def table(folder):
        names = [name for name in ("trials.csv", "runs.csv", "run_curves.csv") if (tmp_path / folder / name).exists()]
        assert len(names) == (3 if more else 1)
        return [[{k: v for k, v in row.items() if k not in VARYING} for row in tables.read_csv(tmp_path / folder / name)] for name in names]

    sweep("calm")
    assert begun == [0] * (n_runs := 6 if more else 5)
    assert len(table("calm")[-1]) == (n_runs * 4 if more else 5)
    told.append(True)
    with pytest.raises(SystemExit) as ended:
        sweep("told")
    assert ended.value.code == 143 and "interrupted: the same command continues" in capsys.readouterr().err
    assert begun == [0, 0, 0] and len(table("told")[0]) == n_rows  # no row of the trial that was handed back
    told.clear()
    sweep("told")
    assert begun == [2, *[0] * (n_runs - 3)] and table("told") == table("calm")
