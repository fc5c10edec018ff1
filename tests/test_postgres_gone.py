"""How long a study waits for its PostgreSQL, without one: the time that passes is what was slept."""

import psycopg2
import pytest

from trivet.errors import StorageGone
from trivet.study import postgres
from trivet.study.postgres import LONGEST_PAUSE, Database

URL = "postgresql://someone@nowhere/studies"


@pytest.fixture
def slept(monkeypatch):
    """The pauses; the server is away all the time."""
    pauses: list[float] = []

    def sleep(seconds):
        assert len(pauses) < 100, "the wait has no end"
        pauses.append(seconds)

    def away(*_, **__):
        raise psycopg2.OperationalError("no route to host\nDETAIL: none")

    monkeypatch.setattr(postgres.time, "sleep", sleep)
    monkeypatch.setattr(postgres.time, "monotonic", lambda: 1000.0 + sum(pauses))
    monkeypatch.setattr(psycopg2, "connect", away)
    return pauses


def test_the_wait_for_a_server_has_an_end(slept):
    with pytest.raises(StorageGone) as told:
        Database(URL, "study", 60.0, URL)
    assert str(told.value) == (
        f"hydra.sweeper.storage={URL}: gone for 60 s (storage_timeout): no route to host; the same command continues when it is back"
    )
    assert slept[:3] == [0.05, 0.1, 0.2] and max(slept) == LONGEST_PAUSE
    assert 60 - LONGEST_PAUSE < sum(slept) <= 60


def test_an_impatient_one_does_not_wait(slept):
    with pytest.raises(psycopg2.OperationalError, match="no route"):
        Database(URL, "study", 60.0, URL, patient=False)
    assert slept == []
