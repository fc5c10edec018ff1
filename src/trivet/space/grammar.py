"""Search spaces as people write them: Hydra's sweep grammar, YAML mappings, hydra-optuna-sweeper's old form, `space:` nodes in a config."""

import difflib
import functools
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser, create_functions
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, QuotedString, RangeSweep
from hydra.errors import HydraException

from trivet.errors import UserError
from trivet.space.specs import ON_GRID, Choice, Fixed, Float, Int, Param, Spec, check_unique, option_text, to_text

ONE_FORM = "tag(log, interval(1e-4, 1e-1))"
FORMS = f"interval(0.1, 1), {ONE_FORM}, int(interval(1, 8)) or choice(a, b)"
CONDITION = re.compile(r"\s*([\w./@-]+)\s*=\s*(\S.*?)\s*")

# The types of hydra-optuna-sweeper's `search_space` (categorical, int, float), and Optuna's names for the same, which older configs hold.
LEGACY_TYPES = {
    "categorical": ("categorical", False),
    "int": ("int", False),
    "int_uniform": ("int", False),
    "int_loguniform": ("int", True),
    "float": ("float", False),
    "uniform": ("float", False),
    "loguniform": ("float", True),
    "discrete_uniform": ("float", False),
}
LEGACY_KEYS = ("type", "low", "high", "step", "q", "log", "choices")


def parse(value: Any, key: str = "") -> Spec | Fixed:
    """A range or choice from a sweep text or a list; `Fixed` from a scalar, or from a text that sweeps nothing.

    Ranges mean what they mean in hydra-optuna-sweeper: `interval(a, b)` is continuous, even between whole numbers, and
    `int(interval(a, b))` whole; ends included. `range(a, b)` excludes b, as Hydra documents, and warns where that matters.
    A list is a choice and may hold null. Raises UserError that names `key`.
    """
    if isinstance(value, Mapping):
        raise UserError(f"{key}={dict(value)!r}: a mapping is no range: write {FORMS}")
    if isinstance(value, str):
        return _with_key(key, value, lambda: _spec(_parsed(f"x={value.strip()}"), value.strip()))
    if value is None or isinstance(value, (bool, int, float)):
        return Fixed(value)
    if not isinstance(value, Sequence) or isinstance(value, bytes):  # YAML knows sets, which have no order, and bytes
        raise UserError(f"{key}={value!r}: a {type(value).__name__} is no range: write {FORMS}")
    return _with_key(key, value, lambda: Choice(tuple(value)))


def parse_overrides(overrides: list[str], config_loader: ConfigLoader | None = None) -> tuple[list[Param], list[str]]:
    """Command-line overrides split into searched parameters and the rest, as given (`+`, `++` and `~` included), both in order.

    `config_loader` (Hydra's) lists the options of `group=glob(...)`; without one a glob is refused. Raises UserError on what cannot
    be read, and on a key that is swept and given again.
    """
    params: list[Param] = []
    fixed: list[str] = []
    keys: dict[str, bool] = {}
    for text in overrides:
        override = _with_key("", text, lambda text=text: _parsed(text, config_loader))
        key = override.get_key_element()
        swept = override.is_sweep_override() and not override.is_hydra_override()
        bare = key.lstrip("+~")
        if bare in keys and (swept or keys[bare]) and not override.is_hydra_override():
            raise UserError(f"{bare}: swept and given twice ({text}): give it once")
        keys[bare] = swept
        if not swept:
            fixed.append(text)
        elif override.is_delete():
            raise UserError(f"{text}: a deletion cannot be swept: delete one value, or sweep with {bare}=...")
        else:
            value = override.get_value_string()
            spec = _with_key(key, value, lambda override=override, value=value: _spec(override, value))
            params.append(Param(key, spec))
    return params, fixed


def parse_params(mapping: Mapping) -> list[Param]:
    """`hydra.sweeper.params`: {key: text, list or scalar}; a scalar gives a Param with a `Fixed` spec.

    A mapping under a key `group=option` holds parameters (full keys) that count where that option is chosen, to any depth; one with
    `type` under any other key is a range in the form of `search_space`. Raises UserError.
    """
    if not isinstance(mapping, Mapping):
        raise UserError(f"params={mapping!r}: write a mapping from key to range, e.g. {{optimizer.lr: '{ONE_FORM}'}}")
    return check_unique(_params(mapping, ()))


def load(mapping: Mapping) -> list[Param]:
    """The parameters that `dump` wrote. The same as `parse_params`."""
    return parse_params(mapping)


def dump(params: list[Param]) -> dict:
    """The params as a mapping of plain strings for `hydra.sweeper.params`; conditional ones stand together under their `group=option`.

    `load(dump(params))` gives the same parameters. Raises UserError when two share key and conditions.
    """
    check_unique(params)
    mapping: dict = {}
    for param in params:
        node = mapping
        for group, option in param.when:
            node = node.setdefault(f"{group}={option}", {})
        node[param.key] = to_text(param.spec)
    return mapping


def parse_search_space(mapping: Mapping) -> list[Param]:
    """hydra-optuna-sweeper's deprecated `search_space`: {key: {type, low, high, step (or q), log, choices}}. Raises UserError.

    As there, a step beside `log: true` is ignored; here with a warning.
    """
    if not isinstance(mapping, Mapping):
        raise UserError(f"search_space={mapping!r}: write a mapping, e.g. {{lr: {{type: float, low: 0.001, high: 0.1, log: true}}}}")
    return [Param(str(key), _with_key(str(key), entry, functools.partial(_legacy, str(key), entry))) for key, entry in mapping.items()]


def collect(config: Mapping, choices: Mapping, *, searched: set[str] | None = None) -> list[Param]:
    """The parameters of every `space:` node of a composed config (a plain dict), in the order of the config.

    A node's keys are relative to what holds it. `choices` is {group: chosen option}, as in `hydra.runtime.choices`: a node inside the
    package of a group counts only where the option is chosen, so `when` lists every enclosing group, outermost first; groups outside
    `searched` (None: all are searched) set no condition. `space: null` and a key with null are not searched. Raises UserError for a
    `space` that is no mapping, an entry that is no range, and a key that the config does not have.
    """
    groups = {_package(group): (group, option) for group, option in choices.items() if not group.startswith("hydra/")}
    groups.pop("", None)
    params: list[Param] = []
    _collect(config, "", groups, searched, params)
    return check_unique(params)


def _collect(node: Mapping, path: str, groups: dict, searched: set[str] | None, params: list[Param]) -> None:
    space = node.get("space") if "space" in node else None
    if space is not None and not isinstance(space, Mapping):
        where = f"{path}.space" if path else "space"
        raise UserError(f"{where}={space!r}: `space` holds search ranges, a mapping from key to range: write e.g. {{lr: '{ONE_FORM}'}}")
    for key, value in (space or {}).items():
        if value is not None:
            params.append(_collected(str(key), value, node, path, groups, searched))
    for key, child in node.items():
        if key != "space" and isinstance(child, Mapping):
            _collect(child, f"{path}.{key}" if path else str(key), groups, searched, params)


def _collected(key: str, value: object, node: Mapping, path: str, groups: dict, searched: set[str] | None) -> Param:
    """One entry of a `space:` node at `path` as a parameter with its conditions."""
    full = f"{path}.{key}" if path else key
    dotted = full.replace("/", ".")
    spec = parse(value, full)
    if isinstance(spec, Fixed):
        raise UserError(f"{full}: {value!r} in `space` is a single value, not a range: set {full} itself, or write {FORMS}")
    if dotted not in groups:
        _check_exists(key, full, node)
    prefixes = [".".join(path.split(".")[: i + 1]) for i in range(path.count(".") + 1)] if path else []
    enclosing = [groups[prefix] for prefix in prefixes if prefix in groups]
    when = tuple((group, option_text(option)) for group, option in enclosing if searched is None or group in searched)
    return Param(groups[dotted][0] if dotted in groups else full, spec, when)


def _check_exists(key: str, full: str, node: Mapping) -> None:
    here: object = node
    for part in key.split("."):
        if not isinstance(here, Mapping) or part not in here:
            near = difflib.get_close_matches(part, [str(k) for k in here if k != "space"] if isinstance(here, Mapping) else [], n=1)
            hint = f"did you mean {near[0]}?" if near else "give the key a value beside `space`, or drop the range"
            raise UserError(f"{full}: has a search range but no value in the config: {hint}")
        here = here[part]


def _package(group: str) -> str:
    """The dotted config path that a group's option fills: `optimizer/inner` -> optimizer.inner, `db@backup` -> backup."""
    name, _, package = group.partition("@")
    return ("" if package == "_global_" else package) if package else name.replace("/", ".")


def _params(mapping: Mapping, when: tuple[tuple[str, str], ...]) -> list[Param]:
    params = []
    for raw, value in mapping.items():
        key = str(raw)
        if isinstance(value, Mapping):
            match = CONDITION.fullmatch(key)
            if not match and "type" in value:  # the form of search_space, moved here as it is
                params.append(Param(key, _with_key(key, value, functools.partial(_legacy, key, value)), when))
                continue
            if not match:
                raise UserError(f"{key}: holds a mapping, so it must be a condition: write it as group=option, e.g. optimizer=sgd")
            params += _params(value, (*when, (match[1], match[2])))
        elif "=" in key:
            raise UserError(f"{key}: a condition holds a mapping of ranges, not {value!r}: write the keys with their ranges under it")
        else:
            params.append(Param(key, parse(value, key), when))
    return params


def _legacy(key: str, entry: object) -> Spec:
    if not isinstance(entry, Mapping):
        raise UserError("write a mapping with type, low and high, or with type: categorical and choices")
    unknown = [name for name in entry if name not in LEGACY_KEYS]
    if unknown:
        raise UserError(f"unknown key {unknown[0]!r}: allowed are {', '.join(LEGACY_KEYS)}")
    kind = getattr(entry.get("type"), "name", entry.get("type"))
    if kind not in LEGACY_TYPES:
        raise UserError(f"unknown type {kind!r}: allowed are {', '.join(LEGACY_TYPES)}")
    kind, log = LEGACY_TYPES[kind]
    if kind == "categorical":
        choices = entry.get("choices")
        if choices is None or isinstance(choices, (str, int, float)):
            raise UserError(f"type categorical needs a list of choices, not {choices!r}: write choices: [a, b]")
        return Choice(tuple(choices))
    missing = [name for name in ("low", "high") if entry.get(name) is None]
    if missing:
        raise UserError(f"type {kind} needs {missing[0]}: write low and high")
    log = log or bool(entry.get("log"))
    step = entry.get("step") if entry.get("step") is not None else entry.get("q")
    if log and step is not None:
        warnings.warn(f"{key}: step {step} on a log scale is ignored, as in hydra-optuna-sweeper: drop the step", stacklevel=5)
        step = None
    if kind == "int":
        return Int(entry["low"], entry["high"], log=log, step=1 if step is None else step)
    return Float(entry["low"], entry["high"], log=log, step=step)


def _spec(override: Override, text: str) -> Spec | Fixed:
    value = override.value()
    if isinstance(value, IntervalSweep):
        log = "log" in _tags(value, text)
        low, high = _bound(value.start), _bound(value.end)
        return Int(low, high, log=log) if isinstance(low, int) and isinstance(high, int) else Float(low, high, log=log)
    if isinstance(value, RangeSweep):
        return _range(value, text)
    if override.is_choice_sweep():
        if isinstance(value, ChoiceSweep):
            if "log" in _tags(value, text):
                warnings.warn(f"{text}: options have no scale, so the tag log is ignored: drop it", stacklevel=5)
            return Choice(tuple(map(_unquoted, value.list)))
        if override.config_loader is None:
            raise UserError("glob(...) needs the options of a config group: list them with choice(a, b)")
        options = tuple(override.sweep_iterator())
        if not options:
            raise UserError("glob(...) matches no option of this config group: correct the pattern, or list them with choice(a, b)")
        return Choice(options)
    return Fixed(value)


def _range(value: RangeSweep, text: str) -> Spec:
    """Hydra's meaning: from start on, below stop. shuffle(range(...)) is a choice among the points, as in hydra-optuna-sweeper."""
    start, stop, step = _bound(value.start), _bound(value.stop), value.step
    whole = all(isinstance(x, int) for x in (start, stop, step))

    def point(i: int) -> float:
        return start + i * step if whole else float(Decimal(repr(start)) + i * Decimal(repr(step)))

    for x in (start, stop, step):
        if not math.isfinite(x):
            raise UserError(f"{x!r} in a range: write finite numbers")
    if step <= 0:
        raise UserError(f"step is {step!r}: write a step above 0, with the lower bound first")
    if start >= stop:
        raise UserError(f"an empty range: {start!r} is not below {stop!r}, and the upper end is excluded: raise the second number")
    steps = (Decimal(repr(stop)) - Decimal(repr(start))) / Decimal(repr(step))
    on_grid = abs(steps - round(steps)) <= Decimal(repr(ON_GRID))
    n = round(steps) if on_grid else math.floor(steps) + 1
    last = point(n - 1)
    spec = _stepped(start, last, step, log="log" in _tags(value, text))
    if on_grid and not value.shuffle:
        wider = _stepped(start, stop, step)
        warnings.warn(
            f"{text}: range excludes its upper end here, as Hydra documents, so the last value is {last!r}; "
            f"hydra-optuna-sweeper's random and TPE include {stop!r}: write {to_text(wider)} to include it",
            stacklevel=6,
        )
    if value.shuffle:
        if n > 1000:
            raise UserError(f"shuffle makes {n} separate options: drop shuffle")
        return Choice(tuple(map(point, range(n))))
    return spec


def _stepped(low: float, high: float, step: float, log: bool = False) -> Float | Int:
    """Over whole numbers where all three are whole."""
    if isinstance(low, int) and isinstance(high, int) and isinstance(step, int):
        return Int(low, high, log=log, step=step)
    return Float(float(low), float(high), log=log, step=float(step))


def _bound(value: float | None) -> float:
    """A bound that Hydra's types leave open and its grammar does not."""
    if value is None:
        raise UserError(f"a range without its bounds: write a range as {FORMS}")
    return value


def _tags(sweep: ChoiceSweep | IntervalSweep | RangeSweep, text: str) -> set[str]:
    for tag in sorted(sweep.tags - {"log"}):
        warnings.warn(f"{text}: the tag {tag} means nothing here and is ignored; log is the one that does", stacklevel=6)
    return sweep.tags


def _unquoted(value: object) -> object:
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list):
        return [_unquoted(item) for item in value]
    if isinstance(value, dict):
        return {key: _unquoted(item) for key, item in value.items()}
    return value


def _choice(*args):
    """Hydra's choice(), which here takes null too."""
    if not args:
        raise ValueError("empty choice is not legal")
    if len(args) == 1 and isinstance(args[0], ChoiceSweep):
        if not args[0].simple_form:
            raise ValueError("nesting choices is not supported")
        return ChoiceSweep(list=args[0].list)
    return ChoiceSweep(list=list(args))


@functools.cache
def _parser() -> OverridesParser:
    functions = create_functions()
    del functions.definitions["choice"]
    functions.register(name="choice", func=_choice)
    return OverridesParser(functions)


def _parsed(text: str, config_loader: ConfigLoader | None = None) -> Override:
    try:
        override = _parser().parse_override(text)
    except (HydraException, ValueError, TypeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"this cannot be read ({reason}): write a range as {FORMS}, and quote special characters") from None
    override.config_loader = config_loader
    return override


def _with_key(key: str, value: object, make):
    """`make()`, with key and value put before the message of its UserError."""
    try:
        return make()
    except UserError as error:
        shown = value if isinstance(value, str) else repr(value)
        raise UserError(f"{key}={shown}: {error}" if key else f"{shown}: {error}") from None
