"""What to do now. The one place that decides: the headline, the red flags, the checklist and "What next" all ask here, so they agree.

Every piece of advice has its price: epochs of training and time, at the pace of this run.
"""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass

import numpy as np

from trivet.diagnosis.flag import Case, Flag
from trivet.diagnosis.front import candidates, front
from trivet.diagnosis.progress import Progress, progress
from trivet.diagnosis.space_flags import at_edges
from trivet.diagnosis.sweep import Sweep
from trivet.diagnosis.thresholds import limit
from trivet.diagnosis.widening import widened
from trivet.reporting import commands
from trivet.reporting.belonging import origin_of
from trivet.reporting.context import Context
from trivet.reporting.model import Command
from trivet.reporting.pruning import audited
from trivet.reporting.words import count, duration, listing, money
from trivet.space import to_text
from trivet.space.limits import STRUCTURE, leaf

AGREES = {  # decision -> what a red flag may ask for beside it
    "look": ("mend",),
    "mend": ("mend",),
    "wait": ("more", "mend"),
    "keep": ("keep", "stop"),
    "milder": ("milder",),
    "widen": ("widen", "more"),
    "go_on": ("more",),
    "few": ("more",),
    "longer": ("longer", "stop"),
    "ended": ("stop",),
    "choose": ("more", "longer", "milder", "stop"),
    "stop": ("stop",),
}


@dataclass(frozen=True)
class Decision:
    """action: a key of AGREES. title and reason make the sentence; price: what following it costs; command: how, where one exists."""

    action: str
    title: str
    reason: str
    price: str
    command: Command | None = None

    def agrees(self, flag: Flag) -> bool:
        """Whether a flag's mend asks for nothing that this decision advises against."""
        return not flag.asks or flag.asks in AGREES[self.action]


def decide(context: Context) -> Decision:
    """The first that applies: nothing to judge, a serious flag, a search that has not ended, several objectives, the default won, pruning
    lost better ones, a better value beyond an edge, a search that still improves, trainings cut off, a rule at its end, too few trials;
    else stop."""
    sweep, state = context.last, progress(context.last)
    if state is None:
        return _look(context, sweep)
    serious = next((flag for flag in context.flags if flag.level == "serious"), None)
    if serious is not None:
        reason = f"{serious.title[:1].lower()}{serious.title[1:]}, and until that is dealt with more trials are pointless."
        return Decision("mend", "Mend first:", reason, "Price: no training; see the red flag.")
    if context.single and sweep.unended:
        return _wait(context, sweep)
    if sweep.several:
        return _choose(context, sweep)
    if context.default_won:
        return _keep(context)
    keys = {flag.key for flag in context.flags}
    found = audited(context)
    if found is not None and found.clearly:
        return _milder(context, found.clearly, found.n)
    if "edge" in keys:
        return _widen(context, sweep, state.n)
    if "improving" in keys:
        return _go_on(context, sweep, state.n)
    if "best_last" in keys:
        return _longer(context, sweep)
    if sweep.study.get("stopped_by") == "rule":
        return Decision("ended", "Nothing more of this kind:", "the rule that chose the trials has come to its end.", "Price: none.")
    return _stop(context, sweep) if state.concluding else _few(context, sweep, state)


def _look(context: Context, sweep: Sweep) -> Decision:
    where = f"of the {context.name(sweep)}"
    if (pruned := sweep.count("PRUNED")) and pruned == len(sweep.trials):
        reason = f"all {count(pruned, 'trial')} {where} were pruned, so nothing of it can be compared."
        return Decision("look", "Let some finish:", reason, "Price: a few full trainings, with more trials or a milder pruner.")
    return Decision("look", "Find out why first:", f"no trial {where} ran to its end with a value.", "Price: reading the log of one trial.")


def _wait(context: Context, sweep: Sweep) -> Decision:
    words, left = commands.words_of(sweep), sweep.planned - len(sweep.trials)
    return Decision(
        "wait",
        "Let it end first:",
        f"{len(sweep.trials):,} of {count(sweep.planned, 'planned trial')} have ended, and this is what they say so far.",
        f"Price: about {price(context, per_trial(sweep) * left)} for the other {left:,}.",
        Command(shlex.join(words), "If it no longer runs, the same command continues it:") if words else None,
    )


def _choose(context: Context, sweep: Sweep) -> Decision:
    """Of several objectives nobody but the reader knows what one is worth in the other."""
    best, known = len(front(sweep)), len(candidates(sweep))
    which = f"{best:,} of {count(known, 'completed trial')} {'is' if best == 1 else 'are'} beaten by no other in every objective"
    return Decision(
        "choose",
        "Choose from the front:",
        f"{which}, and which is best depends on what one objective is worth in another.",
        f"Price: none. As many trials again take about {price(context, per_trial(sweep) * len(sweep.trials))}.",
    )


def _keep(context: Context) -> Decision:
    cost = price(context, sum(spent(sweep) for sweep in context.searches))
    return Decision(
        "keep",
        "Keep the default:",
        "tuning brought nothing here.",
        f"Price: none. Another search like this one would take about {cost}.",
    )


def _milder(context: Context, better: int, n: int) -> Decision:
    audit = context.results.audit if context.results is not None else None
    search = (origin_of(context.searches, audit) if audit is not None else None) or context.last
    return Decision(
        "milder",
        "Prune less:",
        f"{better} of {count(n, 'pruned trial')} that {'was' if n == 1 else 'were'} trained to the end came out better than the best.",
        f"Price: without any pruning the {context.name(search)} takes {price(context, search.epochs_unpruned)}.",
    )


def _widen(context: Context, sweep: Sweep, n: int) -> Decision:
    edges = at_edges(Case(sweep, context.scale))
    sizes = sorted({entry.key for entry, *_ in edges if STRUCTURE.fullmatch(leaf(entry.key))})
    cost = f"Price: about {price(context, per_trial(sweep) * max(n, 20))} for {count(max(n, 20), 'trial')}"
    if sizes:
        cost += f", and more for each: the cost of an epoch grows with {listing(sizes)}, of a width about with its square"
    plain = {entry.key: to_text(widened(entry.spec, low, entry.key)) for entry, low, *_ in edges if not entry.when}
    words = commands.words_of(sweep)
    line = None
    if plain and words and context.single:
        line = Command(
            shlex.join(commands.replaced(words, plain | {"hydra.sweeper.n_trials": str(max(2 * n, 20))})),
            "The next study, with the range widened:",
        )
    return Decision("widen", "Go on, in a wider space:", "the best value sits at the edge of what was searched.", cost + ".", line)


def _go_on(context: Context, sweep: Sweep, n: int) -> Decision:
    total = max(2 * n, 20)
    line = commands.again(context.results, sweep, f"{sweep.name}.n_trials", "hydra.sweeper.n_trials", total)
    return Decision(
        "go_on",
        "Go on:",
        "the last trials still brought a worthwhile improvement.",
        f"Price: about {price(context, per_trial(sweep) * (total - n))} for {count(total - n, 'trial')} more.",
        Command(line, f"This continues the study, up to {count(total, 'trial')}:") if line else None,
    )


def _few(context: Context, sweep: Sweep, state: Progress) -> Decision:
    """Whether more trials would bring anything can be said neither way."""
    n, least = state.n, int(limit("enough"))
    total = max(2 * n, least)
    told, which = (state.judged, "trial") if state.judged < least else (state.completed, "completed trial")
    line = commands.again(context.results, sweep, f"{sweep.name}.n_trials", "hydra.sweeper.n_trials", total)
    return Decision(
        "few",
        "Run more before you judge:",
        f"{count(told, which)} {'is' if told == 1 else 'are'} too few to say whether more would bring anything.",
        f"Price: about {price(context, per_trial(sweep) * (total - n))} for {count(total - n, 'trial')} more.",
        Command(line, f"This continues the study, up to {count(total, 'trial')}:") if line else None,
    )


def _longer(context: Context, sweep: Sweep) -> Decision:
    epochs, line = 2 * sweep.full, None
    if not context.single or "epochs" in (sweep.study.get("config") or {}):
        line = commands.again(context.results, sweep, "epochs", "epochs", epochs)
    cost = 2 * sum(spent(search) for search in context.searches)
    return Decision(
        "longer",
        "Train longer rather than search more:",
        "the best trials were still improving when their training ended.",
        f"Price: about {price(context, cost)} for the same search with {count(epochs, 'epoch')} a trial.",
        Command(line, "The next study, with longer trainings:") if line else None,
    )


def _stop(context: Context, sweep: Sweep) -> Decision:
    seed, line = sweep.study.get("seed"), None
    seed = seed + 1 if isinstance(seed, int) else 1
    if not context.single or "seed" in (sweep.study.get("config") or {}):
        line = commands.again(context.results, sweep, "seed", "seed", seed)
    cost = sum(spent(search) for search in context.trained)
    return Decision(
        "stop",
        "Stop searching:",
        "more trials of this kind would bring little. What is left to gain lies elsewhere: data, model, longer training.",
        f"Price: none; the whole once more with another seed, to check it, takes about {price(context, cost)}.",
        Command(line, "To check the result, the same once more with another seed of the search:") if line else None,
    )


def spent(sweep: Sweep) -> float:
    """What a search cost, in epochs; in trials where none reported an epoch."""
    return sweep.epochs or len(sweep.trials)


def per_trial(sweep: Sweep) -> float:
    """What a trial of this search cost on average, pruned ones among them."""
    return spent(sweep) / max(len(sweep.trials), 1)


def price(context: Context, cost: float) -> str:
    """Of a cost as `spent` counts it: `700 epochs, 2.5 min at the pace of this run`, with money where params.yaml has a price."""
    known = [sweep for sweep in context.trained if bool(sweep.epochs) == bool(context.unit)]
    whole, seconds = sum(map(spent, known)), sum(sweep.wall for sweep in known)
    words = count(math.ceil(cost), "epoch" if context.unit else "trial")
    if not whole or not np.isfinite(seconds) or seconds <= 0:
        return words
    time = cost * seconds / whole
    words = f"{words}, " if context.unit else ""
    words += f"{duration(time)} at the pace of this run"
    return words + (f", {money(time / 3600 * context.price_per_hour)} in money" if context.price_per_hour else "")
