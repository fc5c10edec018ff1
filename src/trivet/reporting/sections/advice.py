"""What next: stop or go on, which parameters to fix, which ranges to widen, and the command for the next study."""

from __future__ import annotations

import math
import shlex

from trivet.diagnosis.flag import Case
from trivet.diagnosis.importance import importance
from trivet.diagnosis.progress import Progress, progress
from trivet.diagnosis.space_flags import at_edges, widened
from trivet.diagnosis.sweep import Sweep
from trivet.reporting.context import Context, words_of
from trivet.reporting.model import Bullets, Code, Command, Section, Strong
from trivet.reporting.words import count, listing, number
from trivet.space import to_text


def build(context: Context) -> Section:
    section = Section("next", "What next")
    sweep = context.last
    state = progress(sweep)
    if state is None:
        section.say("No trial ran to its end with a value, so first find out why: see the red flags and the log of one trial.")
        return section
    action = decide(context)
    section.say(*verdict(context, action))
    section.add(Bullets(tuple(_rules(context, state))))
    edges = at_edges(Case(sweep, context.scale))
    changes = _changes(context, sweep, edges)
    if changes:
        section.add(Bullets(tuple(changes)))
    section.add(_command(context, sweep, state, action, [(entry, low) for entry, low, *_ in edges]))
    return section


def decide(context: Context) -> str:
    """What to do now, by the red flags: mend | widen | go_on | longer | stop. The first that applies, in this order."""
    keys = {flag.key for flag in context.flags}
    if any(flag.level == "serious" for flag in context.flags):
        return "mend"
    for key, action in (("edge", "widen"), ("improving", "go_on"), ("best_last", "longer")):
        if key in keys:
            return action
    return "stop"


def verdict(context: Context, action: str) -> list:
    """The decision in a sentence."""
    if action == "mend":
        worst = next(flag for flag in context.flags if flag.level == "serious")
        reason = f"a serious red flag ({worst.title[:1].lower()}{worst.title[1:]}) makes more trials pointless until it is dealt with."
        return [Strong("Mend first:"), " ", reason]
    words = {
        "widen": ("Go on, in a wider space:", "the best value sits at the edge of what was searched."),
        "go_on": ("Go on:", "the last trials still brought a worthwhile improvement."),
        "longer": ("Train longer rather than search more:", "the best trials were still improving when their training ended."),
        "stop": (
            "Stop:",
            "more trials of this kind would bring little. What is left to gain lies elsewhere: data, model, longer training.",
        ),
    }
    return [Strong(words[action][0]), " ", words[action][1]]


def _rules(context: Context, state: Progress) -> list[tuple]:
    scale = context.scale
    gain = f"improved the best by {scale.delta(state.recent_gain)}" if state.recent_gain > 0 else "brought no improvement"
    noise = context.seeds.noise if context.seeds is not None else None
    if noise is not None and 0 < state.recent_gain <= noise:
        gain += f", less than the {scale.delta(noise)} by which one configuration varies from seed to seed"
    items = [(f"The last {count(state.recent, 'trial')} {gain}.",)]
    items.append((f"The best value has stood for {count(state.same_for, 'trial')} (since trial {state.best_trial}).",))
    step = 0.01 if scale.percent else 0.01 * abs(state.best)
    more = state.trials_for(step)
    one = "One more percentage point" if scale.percent else "One more per cent"
    if math.isinf(more) or more > 100 * state.n:
        items.append((f"{one} is out of reach for this search: at its present pace it would take more than a hundred times the trials.",))
    else:
        items.append(
            (
                f"{one} would take about {number(max(math.ceil(more), 1), 2)} trials more, if the best value goes on growing "
                "with the logarithm of "
                "their number.",
            )
        )
    return items


def _changes(context: Context, sweep: Sweep, edges: list) -> list[tuple]:
    items: list[tuple] = []
    found = importance(sweep)
    if found is not None and found.trusted and found.idle:
        kept = [part for key in found.idle for part in (Code(key), ", ")][:-1]
        items.append((Strong("Fix:"), " ", *kept, ", which made no visible difference."))
    for entry, low_end, *_ in edges:
        when = f" (where {listing([f'{group}={option}' for group, option in entry.when])})" if entry.when else ""
        items.append(
            (
                Strong("Widen: "),
                Code(entry.key),
                when,
                " from ",
                Code(to_text(entry.spec)),
                " to ",
                Code(to_text(widened(entry.spec, low_end))),
                ".",
            )
        )
    return items


def _command(context: Context, sweep: Sweep, state: Progress, action: str, edges: list) -> Command | None:
    """The next study, as far as a command can say it: conditional ranges live in files of conf/, so those are changed there."""
    words = words_of(sweep)
    if not words or action == "mend":
        return None
    pipeline = not context.single and sweep.name in ("coarse", "fine")
    plain = {entry.key: to_text(widened(entry.spec, low)) for entry, low in edges if not entry.when}
    n = max(2 * state.n, 20)
    if action == "widen" and plain:
        changed = plain | {"hydra.sweeper.n_trials": str(n)}
        return Command(shlex.join(_replaced(words, changed)), "The next study, with the range widened:")
    if action in ("widen", "go_on"):
        first = "After the change of the range, this runs the next study" if action == "widen" else "This continues the study"
        line = f"dvc exp run -S {sweep.name}.n_trials={n}" if pipeline else shlex.join(_replaced(words, {"hydra.sweeper.n_trials": str(n)}))
        return Command(line, f"{first}, up to {count(n, 'trial')}:")
    if action == "longer":
        epochs = str(2 * sweep.full)
        line = f"dvc exp run -S epochs={epochs}" if pipeline else shlex.join(_replaced(words, {"epochs": epochs}))
        return Command(line, "The next study, with longer trainings:") if pipeline or "epochs" in _config(sweep) else None
    if not pipeline and "seed" not in _config(sweep):
        return None
    seed = str(_seed(sweep) + 1)
    line = f"dvc exp run -S seed={seed}" if pipeline else shlex.join(_replaced(words, {"seed": seed}))
    return Command(line, "To check the result, the same once more with another seed of the search:")


def _config(sweep: Sweep) -> dict:
    return sweep.study.get("config") or {}


def _seed(sweep: Sweep) -> int:
    seed = sweep.study.get("seed")
    return seed if isinstance(seed, int) else 0


def _replaced(words: list[str], changed: dict[str, str]) -> list[str]:
    """The study's command with these keys set: in place where they stand in it, else at the end. What only publishes a phase "
    "is left out."""
    left = dict(changed)
    out = []
    for word in words:
        key = word.split("=", 1)[0]
        if key == "hydra.sweeper.publish":
            continue
        out.append(f"{key}={left.pop(key)}" if "=" in word and key in left else word)
    return [*out, *(f"{key}={value}" for key, value in left.items())]
