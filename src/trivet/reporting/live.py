"""The report of a sweep that runs, as a page on this machine alone: refreshed as trials end, read only.

Python's own http.server is enough for one reader: two addresses, the page and the mark of its tables. Whoever is not on this machine gets
nothing: it listens on loopback, and answers no request that names another host (a web page that points its own name at 127.0.0.1).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from trivet.errors import UserError
from trivet.reporting import html
from trivet.reporting.build import report_of

HOST = "127.0.0.1"
HOSTS = ("127.0.0.1", "localhost", "[::1]")
SECONDS = 5  # between two looks of the page
WAITING = b"<!doctype html><meta charset='utf-8'><title>Waiting</title><p>No trial has ended yet. This page looks again by itself.</p>"


class Pages:
    """The page of a sweep and the mark of the tables that it was made of. tables: brings them up to date and returns their folder."""

    def __init__(self, tables: Callable[[], Path]) -> None:
        self.tables, self.lock = tables, threading.Lock()
        self.made: tuple[str, bytes] = ("", b"")

    def mark(self) -> str:
        """A digest of the tables as they are now; `none` before the first trial has ended."""
        with self.lock:
            return self._mark()[0]

    def page(self) -> bytes:
        """The report of the tables as they are now, made anew only where they have changed."""
        with self.lock:
            mark, folder = self._mark()
            if mark != self.made[0]:
                self.made = mark, html.render(report_of(folder), live=(mark, SECONDS)).encode() if mark != "none" else self._waiting()
            return self.made[1]

    def _mark(self) -> tuple[str, Path]:
        folder = self.tables()
        files = [folder / name for name in ("trials.csv", "study.yaml")]
        if not files[0].is_file() or files[0].read_text(encoding="utf-8").count("\n") < 2:
            return "none", folder
        return hashlib.sha256(files[0].read_bytes()).hexdigest()[:16], folder

    @staticmethod
    def _waiting() -> bytes:
        return WAITING + f"<meta http-equiv='refresh' content='{SECONDS}'>".encode()


def server(tables: Callable[[], Path], port: int = 0) -> ThreadingHTTPServer:
    """Ready to serve, on loopback; `port` 0 takes a free one. UserError where the port is taken, or the tables cannot be read."""
    pages = Pages(tables)
    pages.page()  # what is wrong with the tables is told here, and not to a browser

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
            if host not in HOSTS:
                self._send(403, b"this page is for this machine alone", "text/plain")
            elif self.path not in ("/", "/mark"):
                self._send(404, b"there is nothing but /", "text/plain")
            else:
                self._answer()

        def _answer(self) -> None:
            try:
                body = pages.page() if self.path == "/" else pages.mark().encode()
            except (UserError, OSError) as error:  # the sweep's folder was moved, or is written to this moment
                self._send(503, str(error).encode(), "text/plain")
            else:
                self._send(200, body, "text/html; charset=utf-8" if self.path == "/" else "text/plain")

        def _send(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the terminal belongs to whoever watches."""

    try:
        return ThreadingHTTPServer((HOST, port), Handler)
    except (OSError, OverflowError) as error:
        raise UserError(f"--port={port}: cannot be listened on ({error}); take another, or 0 for any free one") from None


def watch(tables: Callable[[], Path], port: int = 0) -> None:
    """Serve until Ctrl-C; prints the address once."""
    with server(tables, port) as serving:
        print(f"http://{HOST}:{serving.server_address[1]}/   (Ctrl-C ends it)", flush=True)
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            print()
