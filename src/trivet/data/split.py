"""Hold out a part of the samples, in proportion per class."""

from __future__ import annotations

import numpy as np

from trivet.errors import UserError


def split_indices(
    indices: np.ndarray, fraction: float, labels: np.ndarray | None, rng: np.random.Generator, key: str, classes: list | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(kept, held out), each sorted: `fraction` of `indices`, rounded, is held out; at least one is, and at least one is kept.

    `labels` (of all samples, 0..K-1): each class gives its share, to within one sample, and at least one to either part.
    UserError when a class has too few samples for that. `key` and `classes` are for the message.
    """
    if labels is None:
        if len(indices) < 2:
            raise UserError(f"{key}={fraction:g}: {len(indices)} sample(s) cannot be split in two: more data is needed")
        order = rng.permutation(indices)
        n = min(max(1, round(len(indices) * fraction)), len(indices) - 1)
        return np.sort(order[n:]), np.sort(order[:n])
    found, counts = np.unique(labels[indices], return_counts=True)
    if counts.min() < 2:
        label = found[counts.argmin()]
        named = label if classes is None else classes[label]
        raise UserError(f"{key}={fraction:g}: class {named} has 1 sample left, and each part needs one: add samples of it, or drop it")
    held = []
    for label, n in zip(found, _shares(counts, fraction), strict=True):
        members = indices[labels[indices] == label]
        held.append(rng.permutation(members)[:n])
    out = np.sort(np.concatenate(held))
    return np.setdiff1d(indices, out), out


def _shares(counts: np.ndarray, fraction: float) -> np.ndarray:
    """How many of each class to hold out: whole parts first, then one more for the largest remainders, until the total is right."""
    exact = counts * fraction
    shares = np.clip(np.floor(exact).astype(int), 1, counts - 1)
    wanted = round(int(counts.sum()) * fraction)
    for index in np.argsort(shares - exact, kind="stable"):
        if shares.sum() >= wanted:
            break
        shares[index] += shares[index] < counts[index] - 1
    return shares
