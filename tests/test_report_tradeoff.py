"""The front of several objectives: its knee and how it grew, on points that can be counted."""

import numpy as np
import pytest

from trivet.diagnosis.front import growth, hypervolume, knee, pareto


@pytest.mark.parametrize(
    ("points", "area"),
    [
        ([[0, 0]], 1.0),
        ([[0.5, 0.5]], 0.25),
        ([[0.5, 0.5], [0.5, 0.5]], 0.25),
        ([[0, 0.5], [0.5, 0]], 0.75),
        ([[0.5, 0], [0, 0.5], [0.75, 0.75]], 0.75),
        ([[0, 1], [1, 0]], 0.0),
        ([[0.25, 0.5], [0.5, 0.25]], 0.75 * 0.5 + 0.5 * 0.25),
    ],
)
def test_hypervolume(points, area):
    assert hypervolume(np.array(points, dtype=float)) == pytest.approx(area)


def test_it_grows_with_the_front_and_only_with_it():
    values = np.array([[0.0, 4.0], [1.0, 2.0], [0.5, 4.0], [2.0, 2.0], [4.0, 0.0]])  # more of the first, less of the second
    assert growth(values, ["maximize", "minimize"]) == pytest.approx([0.0, 0.125, 0.125, 0.25, 1.0])
    assert growth(-values, ["minimize", "maximize"]) == pytest.approx([0.0, 0.125, 0.125, 0.25, 1.0])
    assert growth(np.ones((2, 2)), ["minimize", "minimize"]) == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize(
    ("values", "directions", "place"),
    [
        ([[0.0, 10.0], [1.0, 2.0], [10.0, 0.0]], ["minimize", "minimize"], 1),
        ([[0.9, 100.0], [0.89, 20.0], [0.5, 10.0]], ["maximize", "minimize"], 1),
        ([[3.0, 3.0]], ["minimize", "maximize"], 0),
        ([[0.0, 1.0, 5.0], [1.0, 0.0, 5.0]], ["minimize", "minimize", "minimize"], 0),
    ],
)
def test_the_knee(values, directions, place):
    assert knee(np.array(values), directions) == place


@pytest.mark.parametrize(
    ("values", "directions", "front"),
    [
        ([[1, 1], [2, 2], [3, 3]], ["maximize", "minimize"], [True, True, True]),
        ([[1, 1], [2, 2], [3, 3]], ["maximize", "maximize"], [False, False, True]),
        ([[1, 5], [1, 5], [0, 9]], ["minimize", "minimize"], [True, True, True]),
        ([[1, 5], [1, 6], [0, 9]], ["minimize", "minimize"], [True, False, True]),
        ([[1]], ["minimize"], [True]),
    ],
)
def test_pareto_front(values, directions, front):
    assert pareto(np.array(values, dtype=float), directions).tolist() == front
