"""The page of a running sweep: made of the tables as they are, anew only where they changed, for this machine alone."""

from __future__ import annotations

import http.client
import threading
from pathlib import Path

import fake_results
import pytest

from trivet.errors import UserError
from trivet.reporting import live


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("running") / "search-1"


def publish(folder, n: int):
    frame, curves = fake_results.search(6, fake_results.SPACE, seed=4)
    return fake_results.publish(folder, frame.head(n), curves, fake_results.study("search", fake_results.SPACE, frame.head(n)))


@pytest.fixture(scope="module")
def serving(folder):
    with live.server(lambda: folder) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


def ask(serving, path: str = "/", host: str | None = None, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection(*serving.server_address)
    connection.request(method, path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_it_listens_on_this_machine_alone(serving):
    assert serving.server_address[0] == "127.0.0.1"


def test_the_page_follows_the_tables(serving, folder):
    folder.mkdir()
    status, page = ask(serving)
    assert status == 200 and "No trial has ended yet" in page and ask(serving, "/mark") == (200, "none")
    publish(folder, 2)
    first = ask(serving, "/mark")[1]
    page = ask(serving)[1]
    assert f'data-mark="{first}"' in page and "2 trials of the search" in page and "connect-src 'self'" in page
    assert ask(serving)[1] == page and ask(serving, "/mark")[1] == first
    publish(folder, 3)
    assert ask(serving, "/mark")[1] != first and "3 trials of the search" in ask(serving)[1]


@pytest.mark.parametrize(
    ("host", "status"), [("localhost:1", 200), ("127.0.0.1", 200), ("evil.example", 403), ("127.0.0.1.evil.example:80", 403)]
)
def test_no_other_name_is_answered(serving, host, status):
    assert ask(serving, "/mark", host)[0] == status


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/../study.yaml", 404), ("POST", "/", 501), ("DELETE", "/", 501)])
def test_it_gives_nothing_else_and_takes_nothing(serving, method, path, status):
    assert ask(serving, path, method=method)[0] == status


def test_a_port_that_cannot_be_had_is_one_line(serving):
    for port in (serving.server_address[1], 70000):
        with pytest.raises(UserError, match=f"--port={port}: cannot be listened on"):
            live.server(lambda: Path("nowhere"), port)


def test_tables_that_cannot_be_read_are_one_line_before_anything_is_served(tmp_path):
    (tmp_path / "trials.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="is no table of trials"):
        live.server(lambda: tmp_path)


def test_a_folder_that_is_gone_meanwhile_is_one_line(tmp_path):
    def tables():
        if (tmp_path / "gone").exists():
            raise UserError("sweeps/x: is not a sweep's folder")
        return tmp_path

    with live.server(tables) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        (tmp_path / "gone").touch()
        assert ask(found) == ask(found, "/mark") == (503, "sweeps/x: is not a sweep's folder")
        found.shutdown()
