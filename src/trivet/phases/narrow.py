"""narrow: from the coarse table to the fine space, written as YAML for a person to read, diff and edit.

    python pipelines/narrow.py results/coarse results/narrow

Reads trials.csv and study.yaml of a published sweep; writes space.yaml (what `hydra.sweeper.params` takes) and moves.csv (what became of
every range, and why), and prints the same as a table. The thresholds are explained in src/trivet/space/narrowing.py.
"""

import csv
import io
import textwrap
from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path

import yaml

from trivet import secrets, space
from trivet.arguments import Parser
from trivet.copied import is_copy
from trivet.errors import UserError
from trivet.study import tables

HEADER = """\
# The fine search space: {n_complete} complete trials of {n_trials} in {source} narrowed it. Each comment says what changed, and why.
# Edit any range; then `dvc commit --force narrow` (without DVC: `trivet run --accept narrow`) keeps your version. A parameter whose line
# is deleted stays as the config has it. Forms: interval(0.1, 1) | tag(log, interval(1e-4, 1e-1)) | int(interval(1, 8)) | choice(a, b)
"""


def read_sweep(folder: Path) -> tuple[list[dict], list[space.Param], str]:
    """Trials (as `space.narrow` takes them), searched parameters and direction of a published sweep. Raises UserError."""
    study = tables.load_study(folder)
    directions = study.get("directions") or []
    if len(directions) != 1:
        raise UserError(f"{folder}: directions={directions!r}: narrow needs a sweep with one objective; search the whole space instead")
    entries = study.get("space") or []
    params = [_param(e) for e in entries]
    if not params:
        raise UserError(f"{folder}: study.yaml names no searched parameter: there is nothing to narrow")
    rows = tables.read_csv(folder / "trials.csv")
    missing = [name for name in ("number", "state", "value") if rows and name not in rows[0]]
    if missing:
        raise UserError(f"{folder / 'trials.csv'}: has no column {missing[0]}: name the folder of a sweep that has finished")
    trained = [row for row in rows if not is_copy(row["state"], row.get("reason"))]  # a copy is no further evidence
    return [_trial(row, params, folder) for row in trained], params, str(directions[0])


def _param(entry: dict) -> space.Param:
    when = tuple((str(group), str(option)) for group, option in (entry.get("when") or {}).items())
    return space.Param(entry["key"], space.parse(entry["spec"], entry["key"]), when)


def _trial(row: dict[str, str], params: Sequence[space.Param], folder: Path) -> dict:
    """One row, with its cells as the values that their ranges mean. Cells that mean none (a default that is no option) are left out."""
    values: dict = {}
    for param in sorted(params, key=lambda param: len(param.when)):
        text = row.get(param.key.lstrip("+")) or ""
        if text == "" or not param.active(values):
            continue
        try:
            values[param.key] = tables.from_cell(param.spec, text)
        except ValueError:
            continue
    try:
        value = float(row["value"]) if row["value"] else None
        return {"number": int(row["number"]), "state": row["state"], "value": value, "params": values}
    except ValueError:
        where = f"{folder / 'trials.csv'}: number={row['number']!r}, value={row['value']!r}"
        raise UserError(f"{where} are not numbers: publish the sweep again") from None


def space_text(narrowed: space.Narrowed, header: str) -> str:
    """The fine space as YAML with a comment on every line. `space.load` of it gives `narrowed.params`."""
    moves = {(move.key, move.when): move for move in narrowed.moves}
    comments = {param.name: _comment(moves[param.key, param.condition]) for param in narrowed.params}
    lines = _lines(space.dump(narrowed.params), (), comments)
    gone = [move for move in narrowed.moves if move.change == "dropped"]
    lines += [f"# dropped: {_named(move.key, move.when)}, {_flat(move.coarse)}: {_flat(move.why)}" for move in gone]
    return header + "\n".join(lines) + "\n"


def _lines(mapping: dict, when: tuple[tuple[str, str], ...], comments: dict[str, str]) -> list[str]:
    lines, indent = [], "  " * len(when)
    for key, value in mapping.items():
        if isinstance(value, dict):
            group, _, option = key.partition("=")
            name = yaml.safe_dump(key, width=10**6).splitlines()[0]
            lines += [f"{indent}{name}:", *_lines(value, (*when, (group, option)), comments)]
        else:
            text = yaml.safe_dump({key: value}, width=10**6, allow_unicode=True).rstrip("\n")
            comment = comments[space.Param(key, space.Fixed(None), when).name]
            lines.append(f"{indent}{text}  # {comment}")
    return lines


def _comment(move: space.Move) -> str:
    was = "" if move.coarse == move.fine else f" from {_flat(move.coarse)}"
    return f"{move.change}{was}: {_flat(move.why)}"


def _flat(text: str) -> str:
    return " ".join(text.split())


def _named(key: str, when: str) -> str:
    return f"{key} [{when}]" if when else key


def moves_text(moves: Sequence[space.Move]) -> str:
    """moves.csv: key, when, coarse, fine, change, why."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(space.Move)])
    writer.writerows(astuple(move) for move in moves)
    return text.getvalue()


def table_text(moves: Sequence[space.Move], width: int = 60) -> str:
    """The moves as a table for the terminal; the last column is wrapped to `width`."""
    rows = [("parameter", "coarse range", "fine range", "change", "why")]
    rows += [(_named(move.key, move.when), move.coarse, move.fine, move.change, move.why) for move in moves]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = []
    for row in rows:
        head = "  ".join(text.ljust(size) for text, size in zip(row, widths, strict=False))
        first, *rest = textwrap.wrap(row[4], width) or [""]
        lines += [f"{head}  {first}".rstrip(), *(" " * (len(head) + 2) + line for line in rest)]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    rules = space.Rules()
    parser = Parser(prog="trivet narrow", description=__doc__.splitlines()[0])
    parser.add_argument("coarse", type=Path, help="folder of the coarse sweep")
    parser.add_argument("out", type=Path, help="folder for space.yaml and moves.csv")
    parser.add_argument("--top", type=float, default=rules.top, help="share of the trials that count as good (default %(default)s)")
    parser.add_argument("--min-good", type=int, default=rules.min_good, help="fewer good trials move nothing (default %(default)s)")
    parser.add_argument(
        "--min-share", type=float, default=rules.min_share, help="a range keeps at least this share (default %(default).2f)"
    )
    parser.add_argument("--widen", type=float, default=rules.widen, help="a range grows by this share; 0: never (default %(default)s)")
    parser.add_argument("--level", type=float, default=rules.level, help="chance of moving a range in vain (default %(default)s)")
    args = parser.parse_args(argv)
    rules = space.Rules(args.top, args.min_good, args.min_share, args.widen, args.level)
    trials, params, direction = read_sweep(args.coarse)
    narrowed = space.narrow(trials, params, direction, rules)
    n_complete = sum(trial["state"] == "COMPLETE" for trial in trials)
    header = HEADER.format(n_complete=n_complete, n_trials=len(trials), source=args.coarse.as_posix())
    texts = {"space.yaml": space_text(narrowed, header), "moves.csv": moves_text(narrowed.moves)}
    args.out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        tables.write_text(args.out / name, text)
    print(secrets.lines(table_text(narrowed.moves)))
