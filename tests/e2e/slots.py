"""A web server of a test's own: a page, the widget, and an API that answers as the test says and writes down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

WIDGET = Path(__file__).resolve().parents[2] / "decisioning" / "static" / "decisioning" / "widget.js"
# As strict as a page can be that runs the widget at all.
STRICT = "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
STRICT += "require-trusted-types-for 'script'"
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title><link rel="icon" href="/icon">
<script src="{source}" data-key="{key}" {options} async></script></head><body>{body}</body></html>"""


class Site:
    """What pages there are, how the API answers, and what it was asked and told."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.source, self.key = "/widget.js", "k-1"
        self.body, self.options, self.policy = '<div data-placement="hero">fallback</div>', "", ""
        self.items: dict[str, list[dict[str, Any]]] = {"hero": [item("apple", title="Apples")]}
        self.status, self.raw = 200, b""
        self.outcome_status = 200
        self.open = Event()
        self.open.set()
        self.asked: list[dict[str, Any]] = []
        self.told: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    def page(self) -> bytes:
        """The only page there is, under every address."""
        return PAGE.format(source=self.source, key=self.key, options=self.options, body=self.body).encode()

    def decided(self, question: dict[str, Any]) -> bytes:
        """An answer in the contract's shape."""
        placements = [
            {
                "key": one["key"],
                "decision_id": "d-1",
                "reason": "RANKED",
                "items": self.items[one["key"]][: one.get("n", 9)],
            }
            for one in question["placements"]
            if one["key"] in self.items
        ]
        return json.dumps({"request_id": "r", "rung": "full", "placements": placements}).encode()

    def of(self, kind: str) -> list[str]:
        """The tokens that outcomes of this type came with."""
        return [one["token"] for one in self.told if one["type"] == kind]


def item(key: str, **content: Any) -> dict[str, Any]:
    """One chosen content; its token is as long as real ones are."""
    return {
        "id": key,
        "rank": 1,
        "score": 0.5,
        "propensity": 1.0,
        "token": f"token-{key}".ljust(64, "x"),
        "content": content,
    }


class Handler(BaseHTTPRequestHandler):
    """GET gives the page or the widget; POST is the API."""

    site: Site

    def do_GET(self) -> None:
        if self.path == "/widget.js":
            return self.reply(200, WIDGET.read_bytes(), "text/javascript")
        return self.reply(200, self.site.page(), "text/html; charset=utf-8")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        site = self.site
        site.headers.append({name.lower(): value for name, value in self.headers.items()})
        if self.path == "/v1/outcomes":
            site.told.append(body)
            return self.reply(site.outcome_status, b'{"success": true}', "application/json")
        site.asked.append(body)
        site.open.wait(30)
        return self.reply(site.status, site.raw or site.decided(body), "application/json")

    def reply(self, status: int, body: bytes, kind: str) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if self.site.policy and kind.startswith("text/html"):
                self.send_header("Content-Security-Policy", self.site.policy)
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # a browser that had waited long enough

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal."""


@contextmanager
def site() -> Iterator[Site]:
    """Served on a port of its own for the length of a block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        made = Site(f"http://127.0.0.1:{server.server_address[1]}")
        server.RequestHandlerClass = type("Handler", (Handler,), {"site": made})
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield made
        finally:
            made.open.set()
            server.shutdown()
