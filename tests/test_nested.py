"""Nested cross-validation: what it says of made-up tables, the commands that it makes, and the whole of it on an app of known answers."""

import itertools

import pytest
import yaml
from hydra_apps import sweep

import trivet
from trivet.errors import UserError
from trivet.phases import nested


def test_the_outcome_of_known_values():
    found = nested.outcome([0.9, 0.8, 0.7], [0.8, 0.8, 0.5], True)
    assert found["inner"]["mean"] == pytest.approx(0.8) and found["outer"]["mean"] == pytest.approx(0.7)
    assert found["outer"]["std"] == pytest.approx(0.03**0.5) and found["optimism"] == pytest.approx(0.1)
    assert nested.outcome([0.1, 0.3], [0.4, 0.2], False)["optimism"] == pytest.approx(0.1), "less is better: the inner values are too low"
    assert nested.outcome([0.5], [0.4], True)["outer"]["std"] is None
    first, *_, outer, inner = nested.told(found, "val/acc")
    assert first == "fold 0  inner 0.9000  outer 0.8000" and "outer val/acc: 0.7000 (standard deviation 0.1732) over 3 folds" in outer
    assert "optimistic by 0.1000" in inner


@pytest.mark.parametrize(
    ("curve", "step", "value"),
    [([(1, 0.1), (2, 0.9), (3, 0.4)], 2, 0.9), ([(1, 0.1), (3, 0.4)], 2, 0.1), ([(1, 0.1), (2, 0.9)], None, 0.9), ([], 2, 0.7)],
)
def test_a_fold_is_judged_at_a_step_that_it_did_not_choose(curve, step, value):
    assert nested.judged({"state": "COMPLETE", "value": "0.7"}, curve, step) == value


def test_a_winner_that_fails_on_its_fold_is_told():
    with pytest.raises(UserError, match=r"outer fold 3 did not finish its training: FAIL \(diverged"):
        nested.judged({"state": "FAIL", "reason": "diverged: nan", "outer_fold": "3", "value": ""}, [], None)


def test_the_command_that_judges_searches_nothing(tmp_path):
    command = "python app.py -m hparams=search +replicates=folds lr=interval(0,1) epochs=3 hydra.sweeper.n_trials=9 hydra.sweeper.n_jobs=2"
    words = nested.judging([*command.split(), "hydra.sweeper.direction=maximize"], {"lr"}, tmp_path)
    kept = ["python", "app.py", "-m", "hparams=search", "epochs=3", "hydra.sweeper.n_jobs=2", "hydra.sweeper.direction=maximize"]
    assert words[: len(kept)] == kept and "hydra.sweeper.replicates=null" in words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--outer", "1", "--", "python", "app.py", "-m"], "--outer=1: must be 2 or more"),
        (["--", "python", "app.py"], "needs the search after --"),
        (["--inner", "x=1", "--", "python", "app.py", "-m"], "names no {fold}"),
    ],
)
def test_what_is_refused(words, said, tmp_path):
    with pytest.raises(UserError, match=said.replace("{", r"\{")):
        nested.main(["--out", str(tmp_path), *words], lambda command: pytest.fail("nothing is begun"))


APP = """x: 0.0
outer: null
fold: null
seed: 0
hydra: {sweeper: {sampler: grid, direction: maximize, params: {x: 'choice(0, 1, 2)'}, replicates: {key: seed, values: [0, 1]}}}
"""
BEST = {None: [0.0, 1.0, 2.0], 0: [5.0, 0.0, 0.0], 1: [0.0, 5.0, 0.0]}
"""What each x is worth: to the search that leaves a fold out, and (None) on the fold."""


@pytest.fixture
def app(tmp_path, monkeypatch):
    """(start, runs): runs a command in this process; what it trained. Values are best at epoch 2 of 3."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").write_text(APP)
    runs, die_at = [], []

    def task(config):
        if len(runs) in die_at:
            die_at.clear()
            raise KeyboardInterrupt
        runs.append((config.outer, config.fold, config.x))
        value = BEST[config.outer][int(config.x)] + 0.01 * config.seed
        for epoch, less in ((1, 0.5), (2, 0.0), (3, 0.25)):
            trivet.report(value - less, epoch)
        return value

    def start(words):
        try:
            sweep(tmp_path / "conf", task, words[words.index("-m") + 1 :])
        except SystemExit as ended:
            return ended.code
        return 0

    return start, runs, die_at


def test_each_search_is_judged_on_the_fold_that_it_did_not_see(app, tmp_path, capsys):
    """Fold 0's search likes x=0, fold 1's x=1: worth 0 and 1 on their folds, at epoch 2. A kill in between costs no training twice."""
    start, runs, die_at = app
    words = ["--outer", "2", "--inner", "outer={fold}", "--test", "fold={fold}", "--out", "out", "--", "python", "app.py", "-m"]
    die_at.append(8)
    assert nested.main(words, start) == 130 and len(runs) == 8
    assert nested.main(words, start) == 0
    assert runs[:12] == [(fold, None, float(x)) for fold, x, _ in itertools.product((0, 1), range(3), range(2))]
    assert runs[12:] == [(None, 0, 0.0), (None, 1, 1.0)], "nothing was trained twice"
    found = yaml.safe_load((tmp_path / "out" / "nested.yaml").read_text())
    assert found["outer"]["values"] == [0.0, 1.0] and found["steps"] == [2, 2]
    assert found["inner"]["values"] == pytest.approx([5.005, 5.005]) and found["optimism"] == pytest.approx(4.505)
    assert "outer objective: 0.5000 (standard deviation 0.7071) over 2 folds that no search saw" in capsys.readouterr().out
