"""init: make a git repository with a Hydra app one that trivet tunes.

    trivet init                                                           # asks for what it cannot find out
    trivet init --app train.py --metric val/acc --direction maximize --yes
    trivet init --command 'python train.py --lr {lr}' --range 'lr=tag(log, interval(1e-5, 1))' --metric 'val_acc=([0-9.eE+-]+)'

Writes trivet.yaml (what the app is), space.yaml (what is searched), params.yaml (the knobs) and dvc.yaml (the stages), those that are not
there yet. Nothing that is there is changed; a second call says what is there, and what to do next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from trivet import app as description
from trivet import secrets, space
from trivet.errors import UserError
from trivet.options import nearest
from trivet.phases import discovery, program, stages
from trivet.space.suggesting import suggest
from trivet.study.tables import write_text

SPACE = "space.yaml"


@dataclass
class Answers:
    """What was given on the command line; None or empty where init is to find it out, ask, or leave it."""

    app: str | None = None
    command: str | None = None
    shell: bool = False
    step: str | None = None
    metrics: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    direction: str | None = None
    seed_key: str | None = None
    epochs_key: str | None = None
    ranges: list[str] = field(default_factory=list)
    smoke: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    overrides: list[str] = field(default_factory=list)
    keep: str | None = None
    test: str | None = None
    test_metric: str | None = None
    yes: bool = False


def run(answers: Answers, root: Path = Path(), ask: Callable[[str], str] = input) -> list[str]:
    """Find out, ask, write; the lines to print. Raises `UserError` before anything is written where something is wrong."""
    if description.is_here(root):
        app = description.read(root)
        lines = [f"{description.FILE} is there: this is {app.app}, {app.direction} {app.objective}", *_unused(answers)]
        texts = _texts(app, root, None)
    else:
        question = _Questions(answers.yes, ask)
        described, ranges, lines = (_program if answers.command else _hydra_app)(answers, question, root)
        app = description.of(described, root)
        texts = {description.FILE: _description_text(described), **_texts(app, root, ranges)}
    for name, text in texts.items():
        if (root / name).exists():
            lines.append(f"{name} is there, and stays as it is")
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            write_text(root / name, text)
            lines.append(f"wrote {name}")
    return [*lines, *_next(root, app)]


def _unused(answers: Answers) -> list[str]:
    """A line for what was given and is not read, as the description is there already."""
    flags = {"metrics": "metric", "values": "value", "ranges": "range", "overrides": "override"}
    given = [field.name for field in fields(Answers) if field.name != "yes" and getattr(answers, field.name) not in (None, False, [])]
    names = ", ".join(f"--{flags.get(name, name).replace('_', '-')}" for name in given)
    return [f"not used: {names}; edit {description.FILE} and {SPACE}, or remove them and run init again"] if given else []


def _hydra_app(answers: Answers, question: _Questions, root: Path) -> tuple[dict[str, Any], str, list[str]]:
    """The content of trivet.yaml, the text of the ranges, and what was found out."""
    if answers.values or answers.step or answers.shell:
        raise UserError("--value, --step and --shell belong to --command: a Hydra app has its values in its config, and reports by itself")
    command = discovery.command_of(answers.app or _script(root, question), root)
    composed = discovery.compose(command, root)
    described, found = _describe(answers, command, composed, question, root)
    ranges, told = _ranges(answers.ranges, composed)
    return described, ranges, [*found, told]


def _program(answers: Answers, question: _Questions, root: Path) -> tuple[dict[str, Any], str, list[str]]:
    """The same for a program that is no Hydra app."""
    if answers.app or answers.seed_key or answers.epochs_key:
        raise UserError("--app, --seed-key and --epochs-key belong to a Hydra app: in --command {seed} is the seed")
    assert answers.command is not None
    content, command = program.describe(answers.command, answers.metrics, answers.step, answers.shell, root)
    values, given = program.values_of(answers.values), dict(_pair(text) for text in answers.ranges)
    ranges = program.ranges(command.template, given, values)
    direction = _direction(answers, command.objective, question)
    files = [*command.named_files(root), *answers.data]
    described = {
        "app": program.APP,
        "objective": command.objective,
        "direction": direction,
        "seed_key": "seed" if any("{seed}" in word for word in command.template.words) else None,
        "epochs_key": None,
        **{"space": SPACE, "code": files, "data": files, "ignore": [], "overrides": answers.overrides, "smoke": answers.smoke},
        "keep": answers.keep,
        "test": _test(answers),
        "command": content,
        "parameters": values,
    }
    seeded = "{seed}" if described["seed_key"] else "none: runs of the seeds stage differ by chance alone; put {seed} into the command"
    return described, ranges, [f"command: {answers.command}; {direction} {command.objective}", f"seed: {seeded}", f"{len(given)} ranges"]


def _direction(answers: Answers, metric: str, question: _Questions) -> str:
    direction = answers.direction or question("Is it to be maximized or minimized", discovery.direction_of(metric), "--direction")
    return {"max": "maximize", "maximized": "maximize", "min": "minimize", "minimized": "minimize"}.get(direction, direction)


def _test(answers: Answers) -> dict[str, str] | None:
    return {"command": answers.test, **({"metric": answers.test_metric} if answers.test_metric else {})} if answers.test else None


class _Questions:
    """Asks, or takes the default where it must not ask."""

    def __init__(self, yes: bool, ask: Callable[[str], str]) -> None:
        self._yes, self._ask = yes, ask

    def __call__(self, text: str, default: str | None, flag: str) -> str:
        if self._yes:
            if default is None:
                raise UserError(f"{flag} is needed: {text}")
            return default
        try:
            given = self._ask(f"{text}{f' [{default}]' if default is not None else ''}: ").strip()
        except EOFError:
            raise UserError(f"{flag} is needed, as nobody answers: {text}") from None
        if not given and default is None:
            raise UserError(f"{flag} is needed: {text}")
        return given or str(default)


def _script(root: Path, question: _Questions) -> str:
    found = [str(path) for path in discovery.scripts(root)]
    if not found:
        raise UserError(
            "no Python file here has a function with @hydra.main: name the script, --app train.py, or the command line of what is no "
            "Hydra app, --command 'python train.py --lr {lr}'"
        )
    if len(found) == 1:
        return found[0]
    return question(f"Which script trains? There are {', '.join(found)}", None, "--app")


def _describe(
    answers: Answers, command: str, composed: discovery.Composed, question: _Questions, root: Path
) -> tuple[dict[str, Any], list[str]]:
    """The content of trivet.yaml, and what was found out."""
    values = composed.values
    guessed = discovery.find_metric(values) or "val/score"
    if len(answers.metrics) > 1:
        raise UserError(f"--metric {answers.metrics[1]}: a Hydra app returns one objective; name that one, and report others beside it")
    named = answers.metrics[0] if answers.metrics else None
    metric = named or question("What does the app return and report? A name for it, such as val/acc", guessed, "--metric")
    direction = _direction(answers, metric, question)
    seed, epochs = (
        _key(values, given, pattern, flag)
        for given, pattern, flag in (
            (answers.seed_key, discovery.SEED, "--seed-key"),
            (answers.epochs_key, discovery.EPOCHS, "--epochs-key"),
        )
    )
    smoke = answers.smoke or ([f"{epochs}=1"] if epochs else [])
    described = {
        "app": command,
        "objective": metric,
        "direction": direction,
        "seed_key": seed,
        "epochs_key": epochs,
        "space": SPACE,
        "code": discovery.code_of(command, root, composed.folders),
        "data": answers.data,
        "ignore": [],
        "overrides": [*_sampler(composed), *answers.overrides],
        "smoke": smoke,
        "keep": answers.keep,
        "test": _test(answers),
    }
    return described, [
        f"app: {command}; {direction} {metric}",
        f"seed: {seed or 'no key found: runs of the seeds stage will not be seeded (--seed-key)'}",
        f"epochs: {epochs or 'no key found (--epochs-key); the check stops a run at its first trivet.report'}",
    ]


def _sampler(composed: discovery.Composed) -> list[str]:
    """Where the app names a sweeper of its own, its sampler's defaults must give way as well."""
    return [] if composed.sweeper.endswith("BasicSweeper") else ["hydra/sweeper/sampler=default"]


def _key(values: Mapping[str, Any], given: str | None, pattern: Any, flag: str) -> str | None:
    if given in ("null", "none", ""):
        return None
    if given is not None and given.lstrip("+") not in values and not given.startswith("+"):
        raise UserError(f"{flag} {given}: not in the config{nearest(given, values)}")
    return given or discovery.find_key(values, pattern)


def _ranges(given: Sequence[str], composed: discovery.Composed) -> tuple[str, str]:
    """The text of space.yaml, and what to tell of it."""
    values = composed.values
    head = (
        "# What is searched. Forms: interval(0.1, 1) | tag(log, interval(1e-4, 1e-1)) | int(interval(1, 8)) | choice(a, b)\n"
        "# A range that counts only with an option of a config group stands under it:   optimizer=sgd:   and, indented, its ranges.\n"
    )
    if given:
        pairs = dict(_pair(text) for text in given)
        for param in space.parse_params(pairs):
            key = param.key
            if not key.startswith("+") and key not in values and key.partition("@")[0] not in composed.choices:
                raise UserError(f"--range {key}: not in the config{nearest(key, values)}")
        return head + yaml.safe_dump(pairs, sort_keys=False, width=10**6), f"{len(pairs)} ranges"
    found = suggest(values)
    lines = [yaml.safe_dump({s.key: s.text}, width=10**6).rstrip() + secrets.line(f"   # {s.why}") for s in found]
    others = [secrets.line(f"# {group}: choice({', '.join(options)})   # a config group") for group, options in composed.groups.items()]
    text = head + "# Suggested by the names in the config: edit before anything is spent on it.\n" + "\n".join([*lines, *others]) + "\n"
    if not found:
        return text + "# Nothing was recognised; write ranges here:\n# optimizer.lr: tag(log, interval(1e-5, 1e-1))\n", (
            f"no parameter was recognised by its name: write ranges into {SPACE}"
        )
    return text, f"{len(found)} ranges suggested by name: edit {SPACE} before anything is spent on it"


def _pair(text: str) -> tuple[str, str]:
    key, found, value = text.partition("=")
    if not found or not key.strip():
        raise UserError(f"--range {text}: must be key=range, such as 'optimizer.lr=tag(log, interval(1e-5, 1e-1))'")
    return key.strip(), value.strip()


DESCRIBED = {
    "app": "the command that trains once; Hydra overrides are put behind it",
    "objective": "a name for what it returns and reports",
    "direction": "maximize | minimize",
    "seed_key": "of its config; null: it cannot be seeded",
    "epochs_key": "of its config: how many steps a training has; null: not known",
    "space": "the file of ranges",
    "code": "files and folders: a change re-runs the stages that train",
    "data": "files and folders that decide results besides code and config",
    "ignore": "keys of the config that change no result (paths, loggers, devices)",
    "overrides": "that hold in every training",
    "smoke": "overrides that make a training short, for the check; none: it is stopped at its first report",
    "keep": "a file in a trial's folder, such as checkpoints/best.ckpt: what the test command evaluates",
    "test": "{command: python eval.py ckpt={model}, metric: 'acc=([0-9.]+)'}; null: no test is made",
    "command": "line with {placeholders} ({folder}, {seed}, {trial}, {gpus}, {n_gpus} are given); metrics and step: regular expressions",
    "parameters": "values of placeholders that are not searched",
}


def _description_text(described: Mapping[str, Any]) -> str:
    """trivet.yaml, with what every key means above it."""
    lines = ['# What trivet knows of this app. Every key may be edited; README, section "Your own Hydra app", says more.']
    for key, value in described.items():
        lines += ["", f"# {DESCRIBED[key]}", yaml.safe_dump({key: value}, width=10**6, sort_keys=False).rstrip()]
    return "\n".join(lines) + "\n"


def _texts(app: description.App, root: Path, ranges: str | None) -> dict[str, str]:
    """The other files by name. A params.yaml or dvc.yaml of the user's own stays: the knobs then have a file of their own."""
    own = (root / "params.yaml").exists() and not stages.has_knobs(root / "params.yaml")
    knobs = "trivet-params.yaml" if own else "params.yaml"
    texts = {knobs: stages.KNOBS_TEXT, "dvc.yaml": stages.dvc_text(app, knobs), "sweeps/.gitignore": "*\n"}
    return texts if ranges is None else {app.space: ranges, **texts}


def _next(root: Path, app: description.App) -> list[str]:
    lines = [f"next: look at {app.space}, then"]
    if not stages.is_ours(root / "dvc.yaml"):
        lines.append("  trivet run                # all stages (dvc.yaml is your own, and has none of them)")
    elif (root / ".dvc").is_dir():
        lines.append("  dvc repro                 # all stages; or, without DVC, trivet run")
    else:
        lines.append("  trivet run                # all stages; or, with DVC: dvc init && dvc repro")
    return [*lines, "  trivet report results     # what was found: Markdown, HTML, figures"]


def main(answers: Answers, root: Path = Path()) -> int:
    """Run and print."""
    print(secrets.lines("\n".join(run(answers, root))))
    return 0
