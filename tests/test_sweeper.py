"""The sweep as its users run it: `python app.py -m hydra/sweeper=trivet`, in processes of its own.

    pytest tests/test_sweeper.py

The same table for every number of workers; what makes a study the same; what is left in the folder; old apps and other kinds of apps.
"""

import shutil

import pytest
import yaml
from apps.running import HERE, Running, curves, meeting, notes, rows, run_all, table

# Each with the arguments that choose it; the space holds a float, an int, a log float, a choice, and where it says so a choice of groups.
SEARCHES = {
    "gp+median": ["hydra.sweeper.pruner=median", "optimizer=sgd,adam"],
    "tpe+asha": ["hydra.sweeper.sampler=tpe", "hydra.sweeper.pruner=asha"],
    "random+percentile": ["hydra.sweeper.sampler=random", "hydra.sweeper.pruner={name:percentile,percentile:40}"],
    "cmaes+hyperband": ["hydra.sweeper.sampler=cmaes", "hydra.sweeper.pruner={name:hyperband,max_resource:6,reduction_factor:2}"],
    "qmc": ["hydra.sweeper.sampler=qmc"],
    "grid": ["hydra.sweeper.sampler=grid", "hydra.sweeper.n_trials=null", "x=0.2,0.4", "width=int(interval(2,3))", "optimizer.lr=0.1,0.01"],
}
SEVERAL = [(search, 4 if search == "tpe+asha" else 2) for search in SEARCHES]
"""Searches by numbers of workers; tests/test_study.py holds every sampler to one table for any number, in this process."""
PACE = "pace=0.004"


@pytest.fixture(scope="module")
def with_one_worker(tmp_path_factory):
    """Every search of the table in one process each: name -> folder."""
    base = tmp_path_factory.mktemp("one")
    ended = run_all("curves.py", [(base / name, ["-m", *arguments]) for name, arguments in SEARCHES.items()], cwd=base)
    for name, end in zip(SEARCHES, ended, strict=True):
        assert end.code == 0, f"{name}: {end.text}"
    return {name: base / name / "sweep" for name in SEARCHES}


@pytest.fixture(scope="module")
def with_several(tmp_path_factory):
    """(search, number of workers) -> the end of its sweep, and the folder in which it ran."""
    base = tmp_path_factory.mktemp("several")
    cases = {case: base / "-".join(map(str, case)) for case in SEVERAL}
    commands = []
    for (search, n_jobs), folder in cases.items():
        folder.mkdir()
        commands.append((folder, ["-m", *SEARCHES[search], f"hydra.sweeper.n_jobs={n_jobs}", PACE, meeting(folder)]))
    return dict(zip(cases, zip(run_all("curves.py", commands, cwd=base), cases.values(), strict=True), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(("search", "n_jobs"), SEVERAL)
def test_the_table_is_the_same_for_every_number_of_workers(search, n_jobs, with_one_worker, with_several):
    ended, folder = with_several[search, n_jobs]
    assert ended.code == 0, ended.text
    assert table(folder / "sweep") == table(with_one_worker[search])
    assert curves(folder / "sweep") == curves(with_one_worker[search])
    assert len({row["worker"] for row in rows(folder / "sweep")}) > 1
    assert all(lines[0] == "begin 0" and len(lines) <= 2 for lines in notes(folder / "sweep").values()), "each trial runs once"


def test_a_search_finds_the_optimum_and_prunes(with_one_worker):
    found = rows(with_one_worker["gp+median"])
    assert [int(row["number"]) for row in found] == list(range(20))
    states = [row["state"] for row in found]
    assert states.count("PRUNED") >= 3
    assert states.count("COMPLETE") >= 3
    values = [float(row["value"]) for row in found if row["state"] == "COMPLETE"]
    assert min(values) < values[0], "better than the default configuration, which is trial 0"
    for row in found:
        assert row["optimizer"] in ("sgd", "adam")
        assert (row["optimizer.momentum"] == "") == (row["optimizer"] == "adam"), "momentum belongs to sgd alone"
        assert int(row["step"]) == 6 if row["state"] == "COMPLETE" else int(row["step"]) <= 6


def test_a_grid_is_complete(with_one_worker):
    found = rows(with_one_worker["grid"])
    points = {(row["x"], row["width"], row["optimizer.lr"], row["optimizer.momentum"]) for row in found}
    assert len(found) == len(points) == 2 * 2 * 2 * 3


# The same study or another -----------------------------------------------------------------------------------------------------


def snapshot(folder):
    """Content of every file of a folder that a sweep wrote for good."""
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name not in ("mutex",)}


@pytest.fixture
def app(tmp_path):
    """A copy of the app, so that a test may edit its code."""
    here = tmp_path / "app"
    here.mkdir()
    shutil.copy(HERE / "curves.py", here)
    shutil.copytree(HERE / "conf", here / "conf")
    return here / "curves.py"


@pytest.mark.slow
def test_what_makes_a_study_the_same_and_what_another(app, tmp_path):
    data, folder = tmp_path / "data.txt", tmp_path / "sweep"
    data.write_text("one")
    always = ["-m", "hydra.sweeper.n_trials=3", "hydra.sweeper.identity.files=[data.txt]"]

    def sweeps(*commands):
        """One after another."""
        ended = run_all(app, [(tmp_path, [*always, *arguments]) for arguments in commands], cwd=tmp_path, at_once=1)
        assert [end.code for end in ended] == [0] * len(commands), "\n".join(end.text for end in ended)
        return [end.text for end in ended]

    same = [["hydra.sweeper.n_jobs=2"], ["pace=0.01"], ["hydra.sweeper.max_failure_rate=0.9", "hydra.sweeper.trial_timeout=60"]]
    first, *again = sweeps([], *same)
    assert "starting curves " in first
    for told, arguments in zip(again, same, strict=True):
        assert "continuing curves " in told, arguments
    three = table(folder)
    assert "continuing" in sweeps(["hydra.sweeper.n_trials=5"])[0]
    assert table(folder).startswith(three)
    assert [int(row["number"]) for row in rows(folder)] == list(range(5))
    assert all(lines == ["begin 0", "end"] for lines in notes(folder).values()), "each trial was run once"
    app.write_text(app.read_text() + "\n# changed\n")
    assert "continuing curves " in sweeps([])[0], "a comment"

    before = snapshot(folder)
    others = {
        "space.x": ["x=interval(-1,0.5)"],
        "seed": ["hydra.sweeper.seed=3"],
        "sampler.name": ["hydra.sweeper.sampler=random"],
        "pruner": ["hydra.sweeper.pruner=median"],
        "directions": ["hydra.sweeper.direction=maximize"],
        "steps": ["steps=4"],
        "lag": ["hydra.sweeper.lag=2"],
    }
    told = dict(zip(others, sweeps(*others.values()), strict=True))
    data.write_text("two")
    [told["the content of data.txt"]] = sweeps([])
    data.write_text("one")
    app.write_text(app.read_text() + "\nCHANGED = True\n")
    [told["the code of app/curves.py"]] = sweeps([])
    for key, text in told.items():
        assert f"not continuing {folder.name}: it differs in {key}" in text or f"not continuing {folder}: it differs in {key}" in text
        assert "starting curves " in text
    assert snapshot(folder) == before, "the old study is left alone"
    assert len(list(tmp_path.glob("sweep-*"))) == len(told)


@pytest.mark.slow
def test_a_sweep_folder_with_a_time_in_its_name_is_found_again(tmp_path):
    dated = ["-m", "hydra.sweeper.n_trials=2", "hydra.sweep.dir='multirun/${now:%Y-%m-%d}/${now:%H-%M-%S}'"]
    ended = run_all("curves.py", [(tmp_path, dated)] * 2, cwd=tmp_path, at_once=1)
    assert [end.code for end in ended] == [0, 0]
    [folder] = (tmp_path / "multirun").iterdir()
    assert folder.name.startswith("curves-")
    assert "continuing" in ended[1].text
    assert len(rows(folder)) == 2


# What is left in the folder ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [0, 1, 2])
def test_each_trial_is_an_ordinary_hydra_job_of_an_app_of_dataclasses(n_jobs, tmp_path):
    space = ["width=int(interval(1,5))", "optimizer.lr=tag(log,interval(1e-3,1))", "kind=ROUND,SQUARE"]
    arguments = ["-m", "hydra/sweeper=trivet", *space, "hydra.sweeper.n_trials=5", f"hydra.sweeper.n_jobs={n_jobs}", "hydra.sweep.dir=out"]
    with Running("structured.py", *arguments, cwd=tmp_path, alone=True) as running:
        ended = running.wait()
    assert ended.code == 0, ended.text
    found = rows(tmp_path / "out")
    assert [row["state"] for row in found] == ["COMPLETE"] * 5
    assert found[0]["kind"] == "ROUND" and found[0]["width"] == "2", "trial 0 is the default configuration"
    for row in found:
        folder = tmp_path / "out" / row["number"]
        num, job_id, pid, parent = (folder / "job.txt").read_text().split()
        assert num == job_id == row["number"]
        assert (int(pid) if n_jobs == 0 else int(parent)) == running.pid, "in the calling process, or in a child"
        overrides = yaml.safe_load((folder / ".hydra" / "overrides.yaml").read_text())
        values = {key: row[key] for key in ("width", "optimizer.lr", "kind")}
        assert overrides == ([] if num == "0" else [f"{key}={value}" for key, value in values.items()])
        config = yaml.safe_load((folder / ".hydra" / "config.yaml").read_text())
        assert config == {"optimizer": {"lr": float(row["optimizer.lr"])}, "width": int(row["width"]), "kind": row["kind"]}
        assert yaml.safe_load((folder / ".hydra" / "hydra.yaml").read_text())["hydra"]["job"]["num"] == int(num)
        assert (folder / "structured.log").exists()
    heard = (tmp_path / "callbacks.log").read_text().splitlines()
    assert heard[0] == "multirun start" and heard[-1] == "multirun end"
    assert sorted(heard[1:-1]) == sorted(f"{what}" for i in range(5) for what in (f"start {i}", f"end {i} COMPLETED"))
    best = yaml.safe_load((tmp_path / "out" / "best.yaml").read_text())
    assert best["value"] == min(float(row["value"]) for row in found)
    study = yaml.safe_load((tmp_path / "out" / "study.yaml").read_text())
    assert study["stopped_by"] == "n_trials" and study["n_trials"] == 5


@pytest.mark.slow
def test_the_tables_are_published_in_one_piece_with_files_of_the_trials(tmp_path):
    arguments = ["-m", "hydra.sweeper.n_trials=3", "hydra.sweeper.publish=out/tables", "hydra.sweeper.publish_files=[runs.log]"]
    [ended] = run_all("curves.py", [(tmp_path, arguments)], cwd=tmp_path)
    assert ended.code == 0, ended.text
    out = tmp_path / "out" / "tables"
    names = {"trials.csv", "curves.csv", "best.yaml", "optimization_results.yaml", "study.yaml", "runs", ".published"}
    assert {path.name for path in out.iterdir()} == names
    assert [path.name for path in sorted((out / "runs").iterdir())] == ["0.log", "1.log", "2.log"]
    assert table(out) == table(tmp_path / "sweep")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["tables"]


# Apps written for the stock sweeper --------------------------------------------------------------------------------------------


@pytest.fixture
def stock(tmp_path):
    """A copy of the app that was written for hydra-optuna-sweeper, and the same moved over by changing one word."""
    apps = {}
    for word in ("optuna", "trivet"):
        here = tmp_path / f"for_{word}"
        here.mkdir()
        shutil.copy(HERE / "stock.py", here)
        (here / "stock").mkdir()
        for config in (HERE / "stock").iterdir():
            text = config.read_text()
            assert text.count("hydra/sweeper: optuna") == 1
            (here / "stock" / config.name).write_text(text.replace("hydra/sweeper: optuna", f"hydra/sweeper: {word}"))
        apps[word] = here / "stock.py"
    return apps


@pytest.mark.slow
def test_an_app_moves_over_by_changing_one_word(stock, tmp_path):
    results = {}
    for word, app in stock.items():
        [ended] = run_all(app, [(app.parent, ["-m", "hydra.sweep.dir=out"])], cwd=tmp_path)
        assert ended.code == 0, ended.text
        results[word] = yaml.safe_load((app.parent / "out" / "optimization_results.yaml").read_text())
        assert sorted(int(p.name) for p in (app.parent / "out").glob("[0-9]*")) == list(range(12))
    assert list(results["trivet"]) == list(results["optuna"]) == ["name", "best_params", "best_value"]
    assert list(results["trivet"]["best_params"]) == list(results["optuna"]["best_params"]) == ["x", "y"]
    assert results["trivet"]["best_value"] == sum(v**2 for v in results["trivet"]["best_params"].values())
    assert results["trivet"]["best_value"] < 5
    assert "range excludes its upper end here" in ended.text


# arguments for the moved app -> what its table must look like
MOVED = {
    "random": (["hydra/sweeper/sampler=random"], {}),
    "cmaes": (["hydra/sweeper/sampler=cmaes"], {}),
    "nsgaii": (["hydra/sweeper/sampler=nsgaii"], {}),
    "motpe": (["hydra/sweeper/sampler=motpe"], {}),
    "grid": (["--config-name=grid"], {"n_trials": 12, "n": 9}),
    "tpe, own arguments": (["hydra.sweeper.sampler.n_startup_trials=2", "hydra.sweeper.sampler.seed=7"], {}),
    "two objectives, nsgaii": (
        ["hydra/sweeper/sampler=nsgaii", "hydra.sweeper.direction=[minimize,minimize]", "objectives=2"],
        {"values": 2},
    ),
    "two objectives, tpe": (["hydra.sweeper.direction=[minimize,maximize]", "objectives=2"], {"values": 2}),
    "custom search space": (["hydra.sweeper.custom_search_space=stock.configure"], {"columns": ["x", "y", "z", "w"]}),
    "old search_space": (
        [
            "hydra.sweeper.params=null",
            "+hydra.sweeper.search_space={x:{type:float,low:-5.5,high:5.5,step:0.5},y:{type:categorical,choices:[-5,0,5]}}",
        ],
        {},
    ),
    "maximize": (["hydra.sweeper.direction=maximize"], {}),
}


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """Every variant of the moved app in one process: name -> (end, folder)."""
    base = tmp_path_factory.mktemp("moved")
    shutil.copy(HERE / "stock.py", base)
    shutil.copytree(HERE / "stock", base / "stock")
    for config in (base / "stock").iterdir():
        config.write_text(config.read_text().replace("hydra/sweeper: optuna", "hydra/sweeper: trivet"))
    commands = [
        (base / str(i), ["-m", "hydra.sweep.dir=out", f"hydra.sweeper.n_trials={wanted.get('n_trials', 6)}", *arguments])
        for i, (arguments, wanted) in enumerate(MOVED.values())
    ]
    ended = run_all(base / "stock.py", commands, cwd=base)
    return {name: (end, folder / "out") for name, end, (folder, _) in zip(MOVED, ended, commands, strict=True)}


@pytest.mark.slow
@pytest.mark.parametrize("name", MOVED)
def test_the_stock_sweepers_options_mean_the_same(name, moved):
    (end, folder), wanted = moved[name], MOVED[name][1]
    assert end.code == 0, end.text
    assert "Traceback" not in end.text and "FutureWarning" not in end.text
    found = rows(folder)
    assert len(found) == wanted.get("n", 6)
    assert {row["state"] for row in found} == {"COMPLETE"}
    columns = list(found[0])
    assert columns[columns.index("best_step") + 1 : columns.index("seconds")] == wanted.get("columns", ["x", "y"])
    results = yaml.safe_load((folder / "optimization_results.yaml").read_text())
    if wanted.get("values") == 2:
        assert list(results) == ["name", "solutions"]
        front = {(float(row["value_0"]), float(row["value_1"])) for row in found}
        assert {tuple(solution["values"]) for solution in results["solutions"]} <= front
        assert all(set(solution) == {"params", "values"} for solution in results["solutions"])
    else:
        values = [float(row["value"]) for row in found]
        assert results["best_value"] == (max(values) if name == "maximize" else min(values))
    if name == "grid":
        assert len({(row["x"], row["y"]) for row in found}) == 9
    if name == "custom search space":
        assert all(row["w"] and abs(float(row["z"]) - float(row["x"])) <= 0.5 for row in found[1:])


@pytest.mark.slow
def test_the_other_sweepers_still_work_beside_it(tmp_path):
    [basic, optuna] = run_all(
        "structured.py",
        [
            (tmp_path / "basic", ["-m", "width=1,2", "hydra.sweep.dir=out"]),
            (tmp_path / "optuna", ["-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "width=range(1,4)", "hydra.sweep.dir=out"]),
        ],
        cwd=tmp_path,
    )
    assert basic.code == 0, basic.text
    assert len(list((tmp_path / "basic" / "out").glob("*/job.txt"))) == 2
    assert optuna.code == 0, optuna.text
    assert len(list((tmp_path / "optuna" / "out").glob("*/job.txt"))) == 3
