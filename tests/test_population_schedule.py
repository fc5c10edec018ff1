"""The schedule of a population's winner, as schedule.yaml says it."""

from types import SimpleNamespace

from trivet import space
from trivet.study import schedule
from trivet.study.records import Official

PARAMS = [space.Param("lr", space.parse("interval(0.0, 1.0)", "lr")), space.Param("opt", space.parse("choice(adam, sgd)", "opt"))]
VALUES = [{"lr": 0.5, "opt": "adam"}, {"lr": 0.25, "opt": "adam"}, {"lr": 0.125, "opt": "sgd"}]
STARTS = {0: {}, 1: None, 2: {"start": {"trial": 0}}}


def trial(number: int, steps: int) -> Official:
    curve = [(step, number + step / 10) for step in range(1, steps + 1)]
    return Official(number, "COMPLETE", [curve[-1][1]], "", curve, {}, None)


STUDY = SimpleNamespace(
    finished=lambda: [trial(0, 2), trial(1, 2), trial(2, 4)],
    given=STARTS.get,
    params_of=VALUES.__getitem__,
    spec=SimpleNamespace(params=PARAMS, groups=("opt",)),
)


def test_a_schedule_names_its_segments_groups_first():
    assert schedule.of(STUDY, 2) == {
        "trial": 2,
        "value": 2.4,
        "segments": [
            {"trial": 0, "until": 2, "overrides": ["opt=adam", "lr=0.5"]},
            {"trial": 2, "until": 4, "overrides": ["opt=sgd", "lr=0.125"]},
        ],
    }
    assert [part["trial"] for part in schedule.of(STUDY, 1)["segments"]] == [1]


def test_a_lineage_begins_with_the_first():
    assert schedule.lineage({3: 1, 1: 0, 0: None}, 3) == [0, 1, 3] and schedule.lineage({}, 7) == [7]
