"""What belongs to the run that is reported: every published piece is held against the searches, and what does not fit is left out.

Sweeps are told apart by the setting in their study.yaml (data, code, base config, objective), pieces that carry none by their content: an
audited trial must be one that the search pruned, a finalist one that it ran, a test value one of the winner that the seeds name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from trivet import space
from trivet.diagnosis import ablation
from trivet.diagnosis import seeds as seeds_of
from trivet.diagnosis.sweep import Entry, Sweep, same
from trivet.reporting.tables import Results
from trivet.reporting.words import listing

NOT_SETTING = ("seed", "pruner", "save_model", "hparams")  # keys of the base config in which the phases of one run differ


def settle(results: Results) -> Results:
    """Leaves out what belongs to another run; `results.left_out` gets a sentence for each. Changes `results` and returns it."""
    anchor = results.searches[0]
    checks: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
        ("fine", "The fine search is", lambda fine: setting_differs(fine, anchor)),
        ("check", "The check of the space is", lambda _: check_differs(results, anchor)),
        ("lr_range", "The learning-rate range test is", lambda _: ""),  # goes with its check
        ("moves", "The table of moves is", lambda table: moves_differ(results, table)),
        ("data", "What the data folder says of itself is", lambda data: data_differs(data, anchor)),
        ("finalists", "The table of finalists is", lambda table: finalists_differ(results, table)),
        ("seeds", "The seeds are", lambda seeds: seeds_differ(results, seeds, anchor)),
        ("test", "The test figures are", lambda test: test_differs(results, test)),
        ("audit", "The audit is", lambda audit: audit_differs(results, audit)),
        ("ablation", "The ablation is", lambda made: ablation_differs(results, made, anchor)),
    )
    stale_check = bool(check_differs(results, anchor))
    for name, what, differs in checks:
        piece = getattr(results, name)
        why = differs(piece) if piece is not None else ""
        if why or (name == "lr_range" and stale_check):
            setattr(results, name, None)
            results.left_out += [f"{what} left out: {why}."] if why else []
    return results


def setting(study: dict) -> dict[str, object] | None:
    """What must be the same in all phases of one run; None where the study does not carry its identity."""
    identity = study.get("identity")
    if not isinstance(identity, dict):
        return None
    config = {key: value for key, value in (identity.get("config") or {}).items() if key not in NOT_SETTING}
    return {
        "data": identity.get("called"),
        "code": identity.get("files"),
        "configuration": config,
        "directions": identity.get("directions", study.get("directions")),
        "metric": study.get("metric"),
    }


def setting_differs(sweep: Sweep, anchor: Sweep) -> str:
    """Why a sweep is of another run than `anchor`; empty where nothing says so."""
    ours, theirs = setting(sweep.study), setting(anchor.study)
    if ours is None or theirs is None:
        return ""
    keys = [key for key in ours if ours[key] != theirs[key] and ours[key] is not None and theirs[key] is not None]
    return f"it was run with other {listing(keys)} than the {anchor.name} search" if keys else ""


def specs(sweep: Sweep) -> dict[tuple[str, str], str]:
    """(key, condition) -> the range as text, of the space that a sweep searched."""
    return {(entry.key, condition(entry)): space.to_text(entry.spec) for entry in sweep.space}


def condition(entry: Entry) -> str:
    return ",".join(f"{group}={option}" for group, option in entry.when)


def check_differs(results: Results, anchor: Sweep) -> str:
    """The check must have tried ends of the very ranges that were searched, on the same data."""
    check = results.check or {}
    data, known = check.get("data"), (anchor.study.get("identity") or {}).get("called")
    known = known.get("data") if isinstance(known, dict) else None
    if data and known and data != known:
        return "it looked at other data"
    if not anchor.space:
        return ""
    ranges: dict[str, list] = {}
    for entry in anchor.space:
        ranges.setdefault(entry.key, []).append(entry.spec)
    for row in check.get("extremes") or []:
        key = str(row.get("key")).lstrip("+")
        if not key.startswith("(") and not any(_end(spec, row.get("value")) for spec in ranges.get(key, [])):
            return f"it tried {key}={row.get('value')}, which is no end of a range of the {anchor.name} search"
    return ""


def _end(spec: space.Spec | space.Fixed, value: object) -> bool:
    if isinstance(spec, (space.Float, space.Int)):
        return any(same(value, end) for end in (spec.low, spec.high))
    options = spec.options if isinstance(spec, space.Choice) else (spec.value,)
    return any(same("null" if value is None else value, option) for option in options)


def moves_differ(results: Results, moves: pd.DataFrame) -> str:
    """The ranges that the moves start from must be those of the coarse search."""
    if results.coarse is None or not results.coarse.space or "coarse" not in moves:
        return ""
    known = specs(results.coarse)
    for row in moves.to_dict("records"):
        place = (_text(row.get("key")).lstrip("+"), _text(row.get("when")))
        if known.get(place) != _text(row.get("coarse")):
            return f"it starts from another range of {place[0]} than the coarse search had"
    return ""


def _text(value: object) -> str:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)


def data_differs(data: Mapping, anchor: Sweep) -> str:
    ours = data.get("sha256")
    called = (anchor.study.get("identity") or {}).get("called")
    theirs = called.get("data") if isinstance(called, dict) else None
    return "the data was prepared anew since, and is not what was searched with" if ours and theirs and ours != theirs else ""


def finalists_differ(results: Results, table: pd.DataFrame) -> str:
    """Every finalist must be a trial of a search, with the value that it showed there."""
    if not {"finalist", "phase", "number", "value"} <= set(table.columns):
        return "it has no columns finalist, phase, number and value"
    for row in table.to_dict("records"):
        sweep = {"coarse": results.coarse, "fine": results.fine}.get(str(row["phase"]))
        if int(float(row["finalist"])) == 0:
            continue
        if sweep is None:
            return f"finalist {int(float(row['finalist']))} comes from the {row['phase']} search, which is not here"
        found = sweep.trials.loc[sweep.trials["number"] == int(float(row["number"])), sweep.objectives[0]]
        if not len(found) or not same(found.iloc[0], row["value"]):
            return f"the {row['phase']} search has no trial {int(float(row['number']))} with the value {row['value']}"
    return ""


def seeds_differ(results: Results, seeds: Sweep, anchor: Sweep) -> str:
    """The seeds must have trained the finalists, with the setting of the searches."""
    why = setting_differs(seeds, anchor).replace("it was", "they were")
    if why or results.finalists is None:
        return why
    known = {int(row["finalist"]): row for row in results.finalists.to_dict("records")}
    labels = seeds_of.labels(seeds, results.finalists)
    if labels is None:
        return ""
    keys = [key for key in results.finalists.columns if key in seeds.params and key not in seeds_of.NOT_PARAMS]
    for index, finalist in labels.items():
        if finalist not in known:
            return f"finalist {finalist} is not in the table of finalists"
        row = seeds.trials.loc[index]
        odd = [key for key in keys if finalist and not _alike(row[key], known[finalist][key])]
        if odd:
            return f"finalist {finalist} was trained with another {odd[0]} than the table of finalists has"
    return ""


def _alike(cell: object, value: object) -> bool:
    return _text(cell) == _text(value) or (not pd.isna(cell) and not pd.isna(value) and same(cell, value))


def test_differs(results: Results, test: Mapping) -> str:
    """The winner of the test must be that of the seeds, tested over seeds that it was trained with."""
    seeds = seeds_of.read(results.seeds, results.finalists)
    if seeds is None:
        return "there are no seeds that they could belong to"
    winner = test.get("winner") or {}
    finalist = winner.get("finalist", seeds.winner) if isinstance(winner, dict) else None
    if finalist != seeds.winner:
        return f"they are of finalist {finalist}, and the seeds name finalist {seeds.winner}"
    for side, one in (("winner", seeds.winner), ("default", 0)):
        shown = (test.get("val") or {}).get(side) or {}
        for seed, value in shown.items():
            if not same(seeds.values.get(one, {}).get(int(seed), math.nan), value):
                return f"the validation value of the {side} with seed {seed} is another than the seeds have"
        trained = seeds.values.get(one)
        tested = (test.get(side) or {}).get("seeds") or {}
        if trained and not {int(seed) for seed in tested} <= set(trained):
            return f"the {side} was tested with seeds that it was not trained with"
    return ""


def audit_differs(results: Results, audit: Sweep) -> str:
    origin = origin_of(results.searches, audit)
    if origin is None:
        return "its trials are none that the searches pruned"
    return setting_differs(audit, origin)


def ablation_differs(results: Results, made: Sweep, anchor: Sweep) -> str:
    """Its two ends must be the default and the winner of the seeds, with the values that those have."""
    found, seeds = ablation.read(made), seeds_of.read(results.seeds, results.finalists)
    if found is None or seeds is None:
        return "there is no winner that it could have taken apart"
    sign = 1 if made.maximize else -1
    for on, finalist in ((False, 0), (True, seeds.winner)):
        for seed, value in found.values.get((on,) * len(found.changes), {}).items():
            if not same(seeds.values.get(finalist, {}).get(seed, sign * value), sign * value):
                return f"the {'winner' if on else 'default'} has another value there with seed {seed} than among the seeds"
    return setting_differs(made, anchor)


def origin_of(searches: list[Sweep], audit: Sweep) -> Sweep | None:
    """The search whose pruned trials were audited: the one where those numbers were pruned and had these parameters."""
    if "audited" not in audit.trials:
        return None
    keys = [key for key in audit.params if key not in ("audited", "seed", "finalist")]
    rows = audit.trials.set_index("audited")
    for search in searches:
        found = search.trials[search.trials["number"].isin(rows.index)].set_index("number")
        if len(found) < len(rows) or not (found["state"] == "PRUNED").all():
            continue
        pairs = [(rows[key], found[key].reindex(rows.index)) for key in keys if key in found]
        if all(_alike(a, b) for ours, theirs in pairs for a, b in zip(ours, theirs, strict=True)):
            return search
    return None
