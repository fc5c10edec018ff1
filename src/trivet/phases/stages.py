"""The stages for an app that trivet.yaml describes, as data: what `dvc.yaml` says of them, and what `trivet run` does."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from trivet.app import FILE, App
from trivet.errors import UserError

TRIVET = "python -m trivet"
KNOBS: dict[str, Any] = {
    "seed": 0,
    "coarse": {"n_trials": 50},
    "narrow": {"top": 0.2},
    "fine": {"n_trials": 25},
    "seeds": {"finalists": 3, "n": 3, "race": False},
    "report": {"price_per_hour": 0, "spot_price_per_hour": 0},
}
KNOBS_TEXT = """\
# The knobs of the pipeline. What the app is: trivet.yaml. What is searched: space.yaml.
seed: 0            # of the searches, never of a training; the seeds stage derives fresh ones from it

coarse:
  n_trials: 50     # over the full space; the first is the default configuration

narrow:
  top: 0.2         # share of the coarse trials that count as good

fine:
  n_trials: 25     # over the narrowed space

seeds:
  finalists: 3     # best distinct configurations of both searches, beside the default
  n: 3             # runs of each, with seeds that no search used
  race: false      # true: as many runs in all, but each round only the better half goes on to the next seed

report:
  price_per_hour: 0   # of the machine, in any currency: the report turns hours into cost
  spot_price_per_hour: 0   # of the same machine when it may be taken away: what the run would have cost on such
"""
HEADER = """\
# The three phases for this app: `dvc repro`, or `trivet run` without DVC. Knobs: {knobs}. What the app is: trivet.yaml.
# Written by `trivet init`; edit it as you like.
"""
SEARCHES = ("coarse", "fine")
"""The phases that search; in the others every trial is given."""
REPORTS = ("reports/summary.md", "reports/figures", "reports/plots", "reports/metrics.json", "reports/report.html")
"""What the report stage writes."""


@dataclass(frozen=True)
class Stage:
    """A step of the pipeline. `cmd` holds ${knobs}. `params`: file -> its keys that count (none: the whole file). `outs`: path -> whether
    DVC keeps it in its cache (else git keeps it)."""

    name: str
    desc: str
    cmd: str
    deps: tuple[str, ...]
    outs: Mapping[str, bool]
    params: Mapping[str, tuple[str, ...]]


def stages(app: App, knobs: str = "params.yaml") -> list[Stage]:
    """The stages in their order; `knobs` is the file with the keys of KNOBS."""
    code = tuple(dict.fromkeys([*app.code, *app.data]))
    trains = ("app", "direction", "objective", "overrides")
    checked = {FILE: (*trains, "smoke", "epochs_key", "seed_key")}

    def phase(name: str, desc: str, more: str, deps: tuple[str, ...], keys: tuple[str, ...] = ()) -> Stage:
        given = app.overrides if name in SEARCHES else app.listed_overrides
        words = [app.app, f"-m +trivet={name} hydra/sweeper=trivet", *map(shlex.quote, given), more]
        cmd = " ".join(word for word in words if word) + f" hydra.sweeper.publish=results/{name}"
        return Stage(name, desc, cmd, (*deps, *code), {f"results/{name}": True}, {FILE: (*trains, *keys)})

    search = "hydra.sweeper.n_trials=${%s.n_trials} hydra.sweeper.seed=${seed}"
    finalists = f"{TRIVET} finalists --seed ${{seed}} --seeds ${{seeds.n}} --finalists ${{seeds.finalists}}"
    finalists += " --race ${seeds.race}"
    made = ("results/coarse", "results/narrow", "results/fine")
    return [
        Stage(
            "check",
            "lint the space, run the app at the ends of its ranges, estimate the time",
            f"{TRIVET} check --n-trials ${{coarse.n_trials}}",
            (app.space, *code),
            {"results/check": True},
            checked,
        ),
        phase("coarse", "phase 1, a wide look over the whole space", search % "coarse", ("results/check/checked.yaml", app.space)),
        Stage(
            "narrow",
            "the fine space, from the coarse table",
            f"{TRIVET} narrow results/coarse results/narrow --top ${{narrow.top}}",
            ("results/coarse",),
            {"results/narrow": False},
            {},
        ),
        phase("fine", "phase 2, a close look at the regions that worked", search % "fine", ("results/coarse", "results/narrow")),
        Stage(
            "finalists",
            "the best distinct configurations and the default, with fresh seeds",
            finalists,
            made,
            {"results/finalists": True},
            {FILE: ("seed_key",)},
        ),
        phase("seeds", "phase 3, proof that it was not luck", "", ("results/finalists/trials.yaml",), ("keep",)),
        Stage(
            "test",
            "the winner and the default on the test data, by the test command of trivet.yaml",
            f"{TRIVET} test",
            ("results/finalists/trials.yaml", "results/seeds", *code),
            {"results/test": True},
            {FILE: ("test", "keep", "overrides")},
        ),
        Stage(
            "report",
            "summary, metrics, figures and one HTML page",
            f"{TRIVET} report results",
            ("results/check", *made, "results/finalists", "results/seeds", "results/test"),
            {path: path.endswith(".html") for path in REPORTS},
            {knobs: ()},
        ),
    ]


def has_knobs(path: Path) -> bool:
    """Whether a file of parameters has all the keys of KNOBS."""
    content = _mapping(path)
    return all(
        key in content and (not isinstance(value, dict) or (isinstance(content[key], dict) and value.keys() <= content[key].keys()))
        for key, value in KNOBS.items()
    )


def is_ours(path: Path) -> bool:
    """Whether a dvc.yaml has the three phases."""
    found = _mapping(path).get("stages")
    return isinstance(found, dict) and {"coarse", "fine", "seeds"} <= found.keys()


def _mapping(path: Path) -> dict[str, Any]:
    """A YAML file's mapping; empty where there is none. Raises `UserError` for what is no YAML."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read ({str(error).splitlines()[0]}); mend it first") from None
    return content if isinstance(content, dict) else {}


def dvc_text(app: App, knobs: str = "params.yaml") -> str:
    """The stages as a dvc.yaml."""
    content: dict[str, Any] = {} if knobs == "params.yaml" else {"vars": [knobs]}
    content["stages"] = {stage.name: _dvc(stage, knobs) for stage in stages(app, knobs)}
    return HEADER.format(knobs=knobs) + yaml.safe_dump(content, sort_keys=False, width=10**6, allow_unicode=True)


def _dvc(stage: Stage, knobs: str) -> dict[str, Any]:
    """An entry of dvc.yaml. DVC puts knobs into the command as they are, so a stage that has any begins with the check of them."""
    cmd = [f"{TRIVET} params {knobs}", stage.cmd] if "${" in stage.cmd else stage.cmd
    params = [{file: list(keys) if keys else None} for file, keys in stage.params.items()]
    outs = [path if cached else {path: {"cache": False}} for path, cached in stage.outs.items()]
    entry = {"desc": stage.desc, "cmd": cmd, "deps": list(stage.deps), "params": params, "outs": outs}
    return {key: value for key, value in entry.items() if value}
