"""`sampler: auto`: which sampler a search gets, by the kind of its space. What it rests on: `python benchmarks/search_quality.py`."""

from __future__ import annotations

from collections.abc import Sequence

from trivet import space
from trivet.search.samplers import DEFAULTS, SamplerSpec

MOST_DIMENSIONS = 60
"""Distances in more dimensions tell a Gaussian process little, and its cost grows with them."""


def choose(spec: SamplerSpec, params: Sequence[space.Param], directions: Sequence[str], extended: bool) -> tuple[SamplerSpec, str]:
    """The sampler that `auto` stands for, with the arguments that `spec` gives, and why; `extended`: the app adds parameters as it goes.

    Nothing that may change while a study goes on (budget, workers, the clock) has a say: a study keeps its sampler.
    """
    n = sum(not isinstance(p.spec, space.Fixed) for p in params)
    if len(directions) > 1:
        name, why = "tpe", "several objectives"
    elif extended:
        name, why = "tpe", "custom_search_space adds parameters as it goes"
    elif n > MOST_DIMENSIONS:
        name, why = "tpe", f"{n} parameters are many for a Gaussian process"
    else:
        name, why = "gp", f"one objective, {n} parameters"
    return SamplerSpec(name, {**DEFAULTS[name], **spec.arguments}), why
