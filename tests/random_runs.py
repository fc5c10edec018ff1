"""Small runs of the pipeline drawn at random, odd ones among them, and what must hold of the report of any run whatever.

python tests/random_runs.py 300      # 300 of them, from seed 0: prints what does not hold
"""

from __future__ import annotations

import re
import sys

import numpy as np
import pandas as pd
from report_stories import LR, SEEDS, alone, search, story

from trivet import space
from trivet.diagnosis.sweep import Entry, Sweep
from trivet.reporting.context import Context
from trivet.reporting.decision import AGREES, decide

METRICS = [("val/accuracy", "maximize"), ("val/loss", "minimize"), ("score", "maximize"), ("val/rmse", "minimize")]
SIZES = [1, 2, 3, 5, 7, 8, 12, 19, 20, 21, 30, 45]
OPTIONS = ["adam", "sgd"]


def values(rng: np.random.Generator, n: int, metric: str) -> np.ndarray:
    """Values of a search: rising, flat, all the same, or best first; shares for an accuracy, of any size for others."""
    shape = rng.choice(["noise", "rising", "same", "first"])
    drawn = {
        "noise": rng.uniform(0.3, 0.99, n), "rising": np.sort(rng.uniform(0.3, 0.99, n)), "same": np.full(n, 0.5),
        "first": np.sort(rng.uniform(0.3, 0.99, n))[::-1],
    }[str(shape)]  # fmt: skip
    if metric == "val/accuracy":
        return np.clip(drawn * rng.choice([1.0, 1.0, 1.02]), 0, 1)
    return drawn * float(rng.choice([1e-6, 1.0, 1.0, 3e4])) - float(rng.choice([0.0, 0.0, 0.5]))


def a_search(rng: np.random.Generator, name: str, metric: str, direction: str) -> Sweep:
    n = int(rng.choice(SIZES))
    rates = rng.uniform(-2.99, -0.01, n)
    found = values(rng, n, metric) if rng.random() < 0.7 else 0.3 + 0.2 * (rates + 3) + rng.normal(0, 0.002, n)  # the rate alone tells
    state = rng.choice(
        ["COMPLETE", "PRUNED", "FAIL"], n, p=[[0.6, 0.3, 0.1], [1.0, 0, 0], [0.1, 0.85, 0.05], [0.2, 0.1, 0.7]][rng.integers(4)]
    )
    full = int(rng.choice([1, 2, 20, 20]))
    steps = np.where(state == "COMPLETE", float(full), rng.integers(1, max(full, 2), n).astype(float))
    best = np.maximum(1.0, np.floor(steps * rng.uniform(0.1, 1, n)))
    frame = pd.DataFrame({
        "number": np.arange(n), "state": state, "reason": np.where(state == "FAIL", "diverged: loss is nan", ""),
        "value": np.where(state == "FAIL", np.nan, found), "step": steps, "best_step": best,
        "lr": 10**rates, "opt": rng.choice(OPTIONS, n), "depth": rng.integers(1, 4, n).astype(float),
        "seconds": 1.0, "worker": "0", "started": "",
    })  # fmt: skip
    rows = [
        (number, step, value * (0.5 + 0.5 * step / full), 2.0 - value * step / full, 2.2 - value * step / full)
        for number, last, value in zip(frame["number"], steps, found, strict=True)
        for step in range(1, int(last) + 1)
    ]
    curves = pd.DataFrame(rows, columns=["number", "step", "value", "train/loss", "val/loss"]) if rng.random() < 0.5 else None
    more: dict = {"config": {"epochs": full, "seed": 0}}
    more |= {"defaults": {"lr": float(frame["lr"][0])}} if rng.random() < 0.3 else {}
    more |= [{}, {"stopped_by": "rule"}, {"stopped_by": "interrupted", "n_trials": n + 5}, {"stopped_by": "n_trials", "n_trials": n}][
        rng.integers(4)
    ]
    sweep = search(frame, name, LR, curves, direction=direction, metric=metric, pruner={"name": "median"}, **more)
    sweep.params = ["lr", "opt", "depth"]
    sweep.space = [
        *sweep.space,
        Entry("opt", space.parse("choice(adam, sgd)", "opt")),
        Entry("depth", space.parse("int(interval(1, 3))", "depth")),
    ]
    return sweep


def draw(seed: int) -> Context:
    """One run: a sweep alone, or a pipeline with or without its later stages."""
    rng = np.random.default_rng(seed)
    metric, direction = METRICS[rng.integers(len(METRICS))]
    coarse = a_search(rng, "coarse", metric, direction)
    if rng.random() < 0.4:
        return alone(coarse)
    fine = a_search(rng, "fine", metric, direction) if rng.random() < 0.6 else None
    finalists = tested = None
    if metric == "val/accuracy" and coarse.count("COMPLETE") > 5 and rng.random() < 0.8:
        n, spread = int(rng.integers(1, 4)), float(rng.choice([0.0, 0.001, 0.03]))
        middle = rng.uniform(0.5, 0.95, n + 1)
        finalists = {k: [float(min(m + rng.normal(0, spread), 1.0)) for _ in SEEDS[: rng.integers(1, 4)]] for k, m in enumerate(middle)}
        if rng.random() < 0.6:
            tested = tuple([float(np.clip(m, 0, 1)) for m in rng.normal(0.8, spread, 3)] for _ in range(2))
    return story(finalists, tested=tested, coarse=coarse, fine=fine, n_test=int(rng.choice([1, 50, 1000])))


NEVER = {
    "a value that is none": r"(?<![\w.-])(?:nan|NaN|inf|None|NaT)(?![\w-])",
    "once": r"(?<![\d.,])\b1 times(?!: the| the)\b",
    "nothing of nothing": r"\b0 of 0\b",
    "one of many": r"(?<![\d.,x\d] )(?<![\d.,])\b1 (?:trials|epochs|seeds|parameters|finalists|others|runs|\w+ trials)\b",
    "many of one": r"(?<![\d.,])\b(?:0|[2-9]|\d{2,}) (?:trial|epoch|finalist|parameter)\b(?! (?:set|of its))",
    "a share above all": r"(?<![\d.,])(?:10[1-9]|1[1-9]\d|1\d{3,}|[2-9][0-9]{2,})(?:\.\d+)? %(?! (?:more|of the loss))",
    "minus nought": r"(?<![\w.])-0(?:\.0+)?(?![\d.eE])",
    "an empty bracket": r"\(\s*\)|\[\s*\]|\{\}",
    "two stops": r"\.\.(?!\.)(?!/)|,,|;\.|,\.| ,",
    "a placeholder": r"\{[a-z_.]+\}",
}


def prose(text: str) -> str:
    """Without tables and commands, a word of ours at the begin of a line, and advice for another search."""
    lines = "\n".join(line for line in text.split("\n") if not line.startswith(("|", "python ", "dvc ", "trivet ")))
    return re.sub("^None of |In another search.*", "", lines, flags=re.MULTILINE)


def odd(sentences: str) -> list[str]:
    """What must never stand in a report, with its place."""
    return [
        f"{what}: ..{sentences[max(hit.start() - 70, 0) : hit.end() + 40]!r}"
        for what, rule in NEVER.items()
        for hit in re.finditer(rule, sentences)
    ]


def broken(context: Context, text: str) -> list[str]:
    """What does not hold of a report, each with its place in the text."""
    bare = [f"nothing under {hit[1]}" for hit in re.finditer(r"^(### .*)\n+(?=##|\Z)", text, re.MULTILINE)]
    return odd(prose(text)) + bare + _contradictions(context, text) + _intervals(prose(text))


def _contradictions(context: Context, text: str) -> list[str]:
    decision = decide(context)
    text = re.sub("In another search.*", "", text)
    found = []
    for title in ("Stop searching:", "Go on:", "Run more before you judge:", "Keep the default:"):
        if title in text and title != decision.title:
            found.append(f"{title} beside {decision.title}")
    mends = re.findall(r"^- Mend: (.*)$", text, re.MULTILINE)
    asked = {flag.mend: flag.asks for flag in context.flags}
    found += [
        f"{decision.title} beside the mend {mend}" for mend in mends if asked.get(mend) and asked[mend] not in AGREES[decision.action]
    ]
    if decision.action == "stop" and context.last.count("COMPLETE") + int(context.last.stopped.sum()) < 20:
        found.append("stop after few trials")
    if "Keep the default" in text and re.search(r"[Tt]he tuned configuration reaches", text.split("## ")[1]):
        found.append("keep the default beside what tuning reached")
    fixed = re.findall(r"[\w.]+", "".join(re.findall(r"^- Fix: (.*), which made no", text, re.MULTILINE)))
    widened = re.findall(r"^- Widen: ([\w.]+)", text, re.MULTILINE)
    found += [f"{key} is to be fixed and to be widened" for key in set(fixed) & set(widened)]
    table = re.findall(r"^\| .* \|$", text.split("## How it went")[-1].split("## Red flags")[0], re.MULTILINE)
    for head, row in zip(table[:1] * len(table), table[2:], strict=False):
        cells = dict(zip(*(line.strip("| ").split(" | ") for line in (head, row)), strict=True))
        pairs = [("Time", "Time with one worker"), ("Time without pruning", "One worker, no pruning")]
        pairs = [tuple(map(seconds, (cells[a], cells[b]))) for a, b in pairs if a in cells]
        found += [f"one worker is faster than several: {row}" for several, one in pairs if one < 0.99 * several]
    return found


UNITS = {"s": 1, "min": 60, "h": 3600, "days": 86400}


def seconds(text: str) -> float:
    """Of `2.5 min`; infinite where it is not known."""
    number, _, unit = text.partition(" ")
    return float(number) * UNITS[unit] if unit in UNITS else float("inf")


def _intervals(text: str) -> list[str]:
    """Of each `x (95 % interval a to b)`: whether x lies between a and b."""
    number = r"([-+]?[\d.,]*\d(?:e[-+]?\d+)?)"
    found = []
    for hit in re.finditer(rf"{number}(?: %| percentage points?| points?)? \([^()]*?interval[^()]*? {number}(?: %)? to {number}", text):
        middle, low, high = (float(part.replace(",", "")) for part in hit.groups())
        if not low - 1e-9 <= middle <= high + 1e-9:
            found.append(f"an interval without its estimate: {hit.group(0)!r}")
    return found


def main(n: int) -> int:
    from report_stories import said

    bad = 0
    for seed in range(n):
        context = draw(seed)
        for line in broken(context, said(context)):
            bad += 1
            print(seed, line)
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
