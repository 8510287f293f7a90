"""Shows an atlas's site on 127.0.0.1, finished or growing, and passes the page's questions on to its patch lab.

It gives out only what the manifest or journal lists. A question is a POST that carries the token which this server's
own page holds, so that no other page in the same browser can ask one.
"""

from __future__ import annotations

import errno
import hmac
import json
import mimetypes
import os
import secrets
import sys
import threading
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

from actatlas.errors import ActatlasError, StorageError, UsageError, first_line
from actatlas.images import MAX_FILE_BYTES
from actatlas.site.serving import SiteFiles, with_lab

_LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")
TOKEN_HEADER = "X-Actatlas-Token"
_MOST_QUESTION_BYTES = 16 * 2**10
_PAGE = "text/html; charset=utf-8"
_PATIENCE_S = 60  # for a request's next bytes
_MOST_READERS = 256


class Lab(Protocol):
    """What answers questions; actatlas.lab has the one that asks the network."""

    questions: frozenset[str]

    def answer(self, question: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """question: of `questions`. Raises ActatlasError for what cannot be answered."""

    def receive(self, picture: bytes) -> dict[str, Any]:
        """A picture file of the reader's. Raises ActatlasError."""


def make_server(folder: Path, port: int = 0, lab: Lab | None = None) -> ThreadingHTTPServer:
    """A server that has not started; `server_address[1]` is its port, a free one where 0 was asked for.

    lab: answers the page's questions; without one the page is all there is

    Raises NotAnAtlas, UnfinishedAtlas if there is no page yet, StorageError if the port is taken.
    """

    class Handler(_SiteHandler):
        files = SiteFiles(folder)

    Handler.lab, Handler.token = lab, secrets.token_urlsafe(32)
    try:
        return _Server(("127.0.0.1", port), Handler)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise StorageError(f"port {port} is taken by another program; choose another --port", port=port) from None


class _Server(ThreadingHTTPServer):
    """Each reader has a thread; who comes when there are too many is sent away."""

    def __init__(self, *arguments: Any):
        self._places = threading.BoundedSemaphore(_MOST_READERS)
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader who goes away before an answer is there is no fault."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _SiteHandler(BaseHTTPRequestHandler):
    files: SiteFiles
    lab: Lab | None
    token: str
    protocol_version = "HTTP/1.1"
    server_version = "actatlas"
    sys_version = ""
    timeout = _PATIENCE_S

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_POST(self) -> None:
        question = self.path.removeprefix("/lab/")
        if self.lab is None or self.path != f"/lab/{question}":
            return self._say(HTTPStatus.METHOD_NOT_ALLOWED)
        if not self._is_our_page():
            return self._refuse(HTTPStatus.FORBIDDEN, "only the page that this server shows may ask")
        if question != "picture" and question not in self.lab.questions:
            return self._refuse(HTTPStatus.NOT_FOUND, "the lab knows no such question; load the page again")
        body = self._body(MAX_FILE_BYTES if question == "picture" else _MOST_QUESTION_BYTES)
        if body is not None:
            self._tell(*self._answer_of(self.lab, question, body))

    def __getattr__(self, name: str):
        if name.startswith("do_"):  # every other method, known or not
            return lambda: self._say(HTTPStatus.METHOD_NOT_ALLOWED)
        raise AttributeError(name)

    def _answer(self, with_body: bool) -> None:
        if not self._is_local():
            return self._say(HTTPStatus.FORBIDDEN)
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # what follows is no request
        asked = self.path.partition("#")[0].partition("?")[0]
        path = unquote(asked[1:]) or "index.html"
        body = self.files.read(path) if asked.startswith("/") else None
        if body is None:
            return self._say(HTTPStatus.NOT_FOUND)
        if path == "index.html" and self.lab is not None:
            body = with_lab(body, self.token)
        self._send(HTTPStatus.OK, body, _type_of(path), with_body)

    # --- questions

    def _is_local(self) -> bool:
        return self.headers.get("Host", "").rsplit(":", 1)[0] in _LOCAL_HOSTS

    def _is_our_page(self) -> bool:
        """A browser says which page asks; what is no browser says nothing, and needs the token all the same."""
        origin = self.headers.get("Origin")
        is_ours = origin is None or origin == f"http://{self.headers.get('Host')}"
        token = self.headers.get(TOKEN_HEADER, "").encode("latin-1", "replace")
        return self._is_local() and is_ours and hmac.compare_digest(token, self.token.encode())

    def _body(self, most: int) -> bytes | None:
        """None where it was refused, and that was said."""
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or "Transfer-Encoding" in self.headers:
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "say how many bytes the question has")
        elif len(length) > 12 or int(length) > most:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"too large: at most {most / 2**20:.3g} MB")
        else:
            body = self.rfile.read(int(length))
            if len(body) == int(length):
                return body
            self._refuse(HTTPStatus.BAD_REQUEST, "the question ends before it is complete")
        return None

    def _answer_of(self, lab: Lab, question: str, body: bytes) -> tuple[HTTPStatus, dict[str, Any]]:
        """Always JSON: an answer, or {"error": a sentence}."""
        try:
            if question == "picture":
                return HTTPStatus.OK, lab.receive(body)
            return HTTPStatus.OK, lab.answer(question, _asked(body))
        except ActatlasError as error:
            return HTTPStatus.BAD_REQUEST, {"error": str(error)}
        except Exception as error:  # a fault of ours: the page says so, and the server goes on
            if os.environ.get("ACTATLAS_DEBUG"):
                traceback.print_exc()
            told = f"a fault of actatlas: {type(error).__name__}: {first_line(error)}"
            return HTTPStatus.INTERNAL_SERVER_ERROR, {"error": told}

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        """The body was not read, so the connection ends here."""
        self.close_connection = True
        self._tell(status, {"error": why})

    def _tell(self, status: HTTPStatus, value: dict[str, Any]) -> None:
        self._send(status, json.dumps(value).encode(), "application/json", with_body=True)

    # --- answers

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What is no request at all, as the base class finds it: nothing of it is said again."""
        self._say(HTTPStatus(code))

    def _say(self, status: HTTPStatus) -> None:
        self.close_connection = True
        self._send(status, status.phrase.encode(), "text/plain; charset=utf-8", self.command != "HEAD")

    def _send(self, status: HTTPStatus, body: bytes, content_type: str, with_body: bool) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        # The page holds the token: no copy of it is kept, and no other page shows it in a frame.
        is_private = self.lab is not None and (self.command == "POST" or content_type == _PAGE)
        self.send_header("Cache-Control", "no-store" if is_private else "no-cache")
        self.send_header("Content-Security-Policy", "frame-ancestors 'none'")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        return None


def _asked(body: bytes) -> dict[str, Any]:
    """Raises UsageError."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):  # no JSON, no UTF-8, or numbers and nests without end
        raise UsageError("a question is JSON, and this is not") from None
    if not isinstance(asked, dict):
        raise UsageError("a question is a JSON object")
    return asked


def _type_of(path: str) -> str:
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    if path.endswith(".js"):
        kind = "text/javascript"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
