"""The narrow stage: what it reads of a published search, what it writes, and what it refuses."""

import random
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from trivet import copied, space
from trivet.errors import UserError
from trivet.phases import narrow as stage
from trivet.space import Choice, narrow, parse_params

ROOT = Path(__file__).resolve().parent.parent


COARSE = {
    "batch_size": [16, 32, 64],
    "optimizer": "choice(sgd, adam)",
    "norm": [None, "batch", "a # b: c"],
    "bias": [True, False],
    "+model.odd": [1, "x"],
    "optimizer=sgd": {"optimizer.lr": "tag(log, interval(1e-3, 1))"},
    "optimizer=adam": {"optimizer.lr": "tag(log, interval(1e-5, 1e-1))"},
}


def write_sweep(folder, rows, params=None, **study):
    params = parse_params(COARSE) if params is None else params
    folder.mkdir(parents=True)
    keys = list(dict.fromkeys(param.key.lstrip("+") for param in params))
    lines = [",".join(["number", "state", "reason", "value", "step", "best_step", *keys, "seconds", "worker", "started", "overrun"])]
    for number, (state, value, cells, *reason) in enumerate(rows):
        lines.append(
            ",".join(map(str, [number, state, *(reason or [""]), value, 3, 3, *(cells.get(key, "") for key in keys), 1.5, 0, "", 0]))
        )
    (folder / "trials.csv").write_text("\n".join(lines) + "\n")
    entries = [{"key": p.key, "spec": space.to_text(p.spec), "when": dict(p.when)} for p in params]
    (folder / "study.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create({"directions": ["maximize"], "space": entries, **study})))


def coarse_rows():
    rng = random.Random(1)
    rows = [
        ("COMPLETE", 0.5, {"batch_size": 48, "optimizer": "lion", "norm": "null", "bias": "true", "optimizer.lr": 0.1})
    ]  # a foreign default
    for i in range(240):
        sgd = i % 2 == 0
        exponent = rng.uniform(-3, 0) if sgd else rng.uniform(-5, -1)
        norm, bias = rng.choice(["null"] * 4 + ["batch", "a # b: c"]), rng.choice(["true"] * 4 + ["false"])
        value = (0.9 if sgd else 0.1) - 0.1 * abs(exponent + 1.5) - (0.3 if norm != "null" else 0) - (0.3 if bias == "false" else 0)
        cells = {"batch_size": rng.choice([16, 32, 64]), "optimizer": "sgd" if sgd else "adam", "norm": norm, "bias": bias}
        rows.append(
            (
                "COMPLETE" if i % 8 else "PRUNED",
                repr(value),
                {**cells, "model.odd": rng.choice(["1", "x"]), "optimizer.lr": repr(10**exponent)},
            )
        )
    rows.append(("FAIL", "", {"optimizer": "sgd", "optimizer.lr": "0.9"}))
    return rows


def test_copies_are_no_evidence(tmp_path):
    rows = coarse_rows()
    write_sweep(tmp_path / "once", rows)
    write_sweep(tmp_path / "again", [*rows, *((*row, copied.reason(i)) for i, row in enumerate(rows[:9]))])
    assert stage.read_sweep(tmp_path / "again") == stage.read_sweep(tmp_path / "once")


def test_the_stage_writes_a_space_that_reads_back(tmp_path, capsys):
    write_sweep(tmp_path / "coarse", coarse_rows())
    stage.main([str(tmp_path / "coarse"), str(tmp_path / "out/narrow")])
    text = (tmp_path / "out/narrow/space.yaml").read_text()
    assert text.startswith("# The fine search space: 211 complete trials of 242 in ")
    params = space.load(OmegaConf.to_container(OmegaConf.create(text)))
    trials, coarse, direction = stage.read_sweep(tmp_path / "coarse")
    narrowed = narrow(trials, coarse, direction)
    assert params == narrowed.params
    fine = {param.name: param.spec for param in params}
    assert fine["optimizer"] == Choice(("sgd",))
    assert fine["norm"] == Choice((None,))
    assert fine["bias"] == Choice((True,))
    assert fine["+model.odd"] == Choice((1, "x"))
    assert fine["optimizer.lr [optimizer=sgd]"].low > 1e-3
    assert "# dropped: optimizer.lr [optimizer=adam]" in text
    rows = (tmp_path / "out/narrow/moves.csv").read_text().splitlines()
    assert rows[0] == "key,when,coarse,fine,change,why"
    assert len(rows) == 1 + len(coarse)
    printed = capsys.readouterr().out
    for word in ("parameter", "fine range", "why", "optimizer.lr [optimizer=sgd]", "fixed", "dropped"):
        assert word in printed
    assert sorted(path.name for path in (tmp_path / "out/narrow").iterdir()) == ["moves.csv", "space.yaml"]


def test_the_stage_reads_cells_as_their_options(tmp_path):
    write_sweep(tmp_path / "coarse", coarse_rows())
    trials, _, _ = stage.read_sweep(tmp_path / "coarse")
    assert trials[0]["params"] == {"norm": None, "bias": True}
    assert trials[-1] == {"number": 241, "state": "FAIL", "value": None, "params": {"optimizer": "sgd", "optimizer.lr": 0.9}}
    assert {type(t["params"]["optimizer.lr"]) for t in trials[1:]} == {float}
    assert {t["params"]["batch_size"] for t in trials[1:-1]} == {16, 32, 64}


def test_the_stage_takes_thresholds(tmp_path):
    write_sweep(tmp_path / "coarse", coarse_rows())
    stage.main([str(tmp_path / "coarse"), str(tmp_path / "out"), "--min-good", "60"])
    assert "narrowed from" not in (tmp_path / "out/space.yaml").read_text()


@pytest.mark.parametrize(
    ("make", "arguments", "mend"),
    [
        (lambda folder: None, [], "is not a sweep's folder"),
        (lambda folder: write_sweep(folder, [], directions=["maximize", "minimize"]), [], "one objective"),
        (lambda folder: write_sweep(folder, [], params=[]), [], "nothing to narrow"),
        (lambda folder: write_sweep(folder, [("COMPLETE", "abc", {})]), [], "value='abc'"),
        (lambda folder: (write_sweep(folder, []), (folder / "trials.csv").write_text("a,b\n1,2\n")), [], "no column number"),
        (lambda folder: (write_sweep(folder, []), (folder / "trials.csv").unlink()), [], "trials.csv"),
        (lambda folder: write_sweep(folder, coarse_rows()), ["--top", "2"], "narrow.top=2.0"),
    ],
)
def test_the_stage_refuses_and_writes_nothing(tmp_path, make, arguments, mend):
    make(tmp_path / "coarse")
    with pytest.raises(UserError) as error:
        stage.main([str(tmp_path / "coarse"), str(tmp_path / "out"), *arguments])
    assert mend in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_sweep_without_trials_keeps_the_coarse_space(tmp_path):
    write_sweep(tmp_path / "coarse", [])
    stage.main([str(tmp_path / "coarse"), str(tmp_path / "out")])
    assert space.load(OmegaConf.to_container(OmegaConf.load(tmp_path / "out/space.yaml"))) == parse_params(COARSE)
