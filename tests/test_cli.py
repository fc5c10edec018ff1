"""`trivet ...`: which words its subcommands take, and that what is wrong or missing is one line."""

import shlex

import pytest

from trivet import cli
from trivet.errors import UserError
from trivet.phases import app_check, audit, init, runner


@pytest.fixture
def heard(monkeypatch):
    """What the wings are called with, in place of their work."""
    calls = []
    monkeypatch.setattr(init, "main", lambda answers: calls.append(vars(answers)) or 0)
    monkeypatch.setattr(runner, "run", lambda root, last, accept: calls.append((last, accept)) or 0)
    monkeypatch.setattr(app_check, "main", lambda n_trials: calls.append(n_trials) or 0)
    monkeypatch.setattr(audit, "run", lambda folder, n: calls.append((str(folder), n)) or 0)
    return calls


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("run", (None, None)),
        ("run fine", ("fine", None)),
        ("run --accept narrow", (None, "narrow")),
        ("check --n-trials 7", 7),
        ("audit results/coarse", ("results/coarse", 8)),
        ("audit results/fine --n 3", ("results/fine", 3)),
    ],
)
def test_the_words_that_a_subcommand_takes(heard, words, expected):
    assert cli.main(words.split()) == 0
    assert heard == [expected]


def test_the_words_of_init(heard):
    line = "init --app train.py --metric val/acc --direction maximize --range 'lr=interval(0, 1)' --range x=1,2 --smoke epochs=1 --yes"
    assert cli.main(shlex.split(line)) == 0
    [found] = heard
    assert (found["app"], found["ranges"], found["smoke"], found["yes"]) == ("train.py", ["lr=interval(0, 1)", "x=1,2"], ["epochs=1"], True)
    assert (found["seed_key"], found["data"], found["test"]) == (None, [], None)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("x=1: no"), 2, "error: x=1: no"),
        (ModuleNotFoundError("No module named 'pandas'", name="pandas"), 2, "error: run: needs pandas; pip install 'trivet[report]'"),
        (ModuleNotFoundError("No module", name="psycopg2.extras"), 2, "error: run: needs psycopg2; pip install 'trivet[postgres]'"),
        (KeyboardInterrupt(), 130, "interrupted: the same command continues"),
    ],
)
def test_what_is_wrong_is_one_line(monkeypatch, capsys, error, code, said):
    def fail(*_):
        raise error

    monkeypatch.setattr(runner, "run", fail)
    assert cli.main(["run"]) == code
    assert capsys.readouterr().err.strip() == said


def test_a_fault_of_ours_is_no_missing_library(monkeypatch):
    def fail(*_):
        raise ModuleNotFoundError("No module named 'trivet.nothing'", name="trivet.nothing")

    monkeypatch.setattr(runner, "run", fail)
    with pytest.raises(ModuleNotFoundError):
        cli.main(["run"])


def test_help_lists_every_subcommand(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    told = capsys.readouterr().out
    assert ended.value.code == 0 and all(f"    {name} " in told for name in [*cli.OWN_WORDS, *cli.LOOKS])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "trivet: the following arguments are required: command"),
        ("stauts x", "invalid choice: 'stauts' (choose from "),
        ("stauts x", "; did you mean status?"),
        ("status", "trivet status: the following arguments are required: folder"),
        ("status --nope", "trivet status: unrecognized arguments: --nope"),
        ("report x --outt y", "trivet: unrecognized arguments: --outt y; did you mean --out?"),
        ("watch x --port y", "trivet watch: argument --port: invalid int value: 'y'"),
        ("top x -n", "trivet top: argument -n: expected one argument"),
        ("narrow a b c", "trivet narrow: unrecognized arguments: c"),
        ("narrow --topp 1", "trivet narrow: unrecognized arguments: --topp; did you mean --top?"),
        ("finalists --race maybe", "trivet finalists: argument --race: invalid choice: 'maybe' (choose from 'true', 'false')"),
        ("init --metricc x", "trivet init: unrecognized arguments: --metricc x; did you mean --metric?"),
        ("advise --hours x", "trivet advise: argument --hours: invalid float value: 'x'"),
        ("nested --otter 3 -- python x.py -m --outer", "trivet nested: unrecognized arguments: --otter"),
        ("audit a b", "trivet audit: unrecognized arguments: b"),
        ("ablation --seeds", "trivet ablation: argument --seeds: expected one argument"),
        ("run --accept", "trivet run: argument --accept: expected one argument"),
        ("compare --outt x", "trivet compare: unrecognized arguments: --outt; did you mean --out?"),
        *[(f"{name} nowhere", "error: nowhere") for name in ("status", "top", "watch", "dashboard", "report")],
        *[(f"{name} file", "file: is not a sweep's folder (it is a file)") for name in ("status", "top", "watch", "dashboard")],
        *[
            (f"{name} broken", "broken: is not a sweep's folder (study.yaml: ")
            for name in ("status", "top", "watch", "dashboard", "report")
        ],
        ("top nowhere -n 0", "-n=0: must be >= 1"),
        ("params file", "file=hello: must be a mapping from knobs to values"),
    ],
)
def test_wrong_words_are_one_line(tmp_path, monkeypatch, capsys, line, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("hello\n")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "study.yaml").write_text("a: [")
    assert cli.main(shlex.split(line)) == 2
    out, told = capsys.readouterr()
    assert out == "" and told.startswith("error: ") and said in told and told.count("\n") == 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.touch(), ": there is a file where a folder belongs; name another folder"),
        (lambda path: path.mkdir(), "/sub: there is a folder where a file belongs; name another file"),
        (lambda path: path.with_name("link").symlink_to("link"), "Too many levels of symbolic links; name another place, or mend this one"),
    ],
)
def test_a_place_that_cannot_be_written_is_one_line(tmp_path, monkeypatch, capsys, make, said):
    def write(*_):
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "link").open().close() if (tmp_path / "link").is_symlink() else (tmp_path / "out" / "sub").mkdir()
        (tmp_path / "out" / "sub").write_text("x")

    make(tmp_path / "out")
    monkeypatch.setattr(runner, "run", write)
    assert cli.main(["run"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and told.strip().endswith(said) and told.count("\n") == 1


def test_a_fault_of_the_network_is_no_place(monkeypatch):
    def fail(*_):
        raise ConnectionResetError("gone")

    monkeypatch.setattr(runner, "run", fail)
    with pytest.raises(ConnectionResetError):
        cli.main(["run"])


def test_a_report_of_results_that_are_not_there_yet(tmp_path, capsys):
    assert cli.main(["report", str(tmp_path / "results")]) == 2
    assert "results: holds no search yet; `trivet run`, or `dvc repro`, makes one" in capsys.readouterr().err
