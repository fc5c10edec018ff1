"""A race of given configurations over replicates: all run once, the better half once more, and so on, until a number of runs is spent.

    hydra.sweeper.replicates: {key: seed, values: [0, 1, 2, 3, 4], race: 18}

Successive halving (Jamieson and Talwalkar 2016) over seeds instead of epochs: the runs that equal shares would give to configurations which
the first ones show to be worse go to those that are still in question. The first configuration, the default, stays to the end, for the
others to be compared with. A round begins when the one before is over, so who goes on does not depend on who ran when.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

STAY = 1
"""How many of the first configurations stay to the end."""


def plan(n: int, runs: int) -> list[int]:
    """How many of `n` configurations take part in each round: half of the others (rounded up) each time, besides the first, which stays.

    As many runs in all as fit into `runs`, at least the first round; what whole rounds leave over widens the first rounds that it can.
    """
    if n <= STAY:
        return [n] * max(1, runs // n)
    sizes, others, left = [n], n - STAY, runs - n
    while STAY + (others := -(-others // 2)) <= left:
        sizes.append(STAY + others)
        left -= sizes[-1]
    for i in range(1, len(sizes)):
        more = min(left, sizes[i - 1] - sizes[i]) if left > 0 else 0
        sizes[i], left = sizes[i] + more, left - more
    return sizes


def standing(
    sizes: Sequence[int], found: Sequence[Sequence[float]], failed: Sequence[bool], rank: Callable[[Sequence[float]], float]
) -> tuple[list[int], list[bool]]:
    """(how many runs each configuration may have by now, which are out), as far as the runs tell.

    `found`: the values of a configuration's runs, `failed`: whether the one after them did not complete, which ends it. `rank` of values is
    greater for better ones; equals go by number.
    """
    allowed, out = [1] * len(found), [False] * len(found)
    within = list(range(len(found)))
    for r, size in enumerate(sizes[1:], 1):
        within = [n for n in within if len(found[n]) >= r or not failed[n]]
        if any(len(found[n]) < r for n in within):
            break
        stay = [n for n in within if n < STAY]
        others = sorted((n for n in within if n >= STAY), key=lambda n: (-rank(found[n][:r]), n))
        on = {*stay, *others[: size - len(stay)]}
        for n in within:
            out[n], allowed[n] = n not in on, r + (n in on)
        within = [n for n in within if n in on]
    return allowed, out
